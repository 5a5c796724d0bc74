//! `create-directory-at`, `remove-directory-at`, `unlink-file-at`.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::Descriptor;

pub(super) fn directories(root: &Descriptor) {
    say("mkdir", root.create_directory_at("one"));
    say("with a slash", root.create_directory_at("two/"));
    say("inner", root.create_directory_at("one/inner"));
    say("by a way with dots", root.create_directory_at("one/./../three"));
    say_stat("stat", root.stat_at(NO_FOLLOW, "one/inner"));
    say("list", list(root));
}

pub(super) fn directory_errors(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    symlink(root, "dir", "link");
    symlink(root, "missing", "dangling");
    say("exists", root.create_directory_at("dir"));
    say("a file exists", root.create_directory_at("file"));
    say("a link exists", root.create_directory_at("link"));
    say("a dangling link exists", root.create_directory_at("dangling"));
    say("no parent", root.create_directory_at("missing/new"));
    say("in a file", root.create_directory_at("file/new"));
    say("dot", root.create_directory_at("."));
    say("dots", root.create_directory_at(".."));
    say("outside", root.create_directory_at("../new"));
    say("absolute", root.create_directory_at("/new"));
    say("empty", root.create_directory_at(""));
    say("long", root.create_directory_at(&"n".repeat(256)));
}

pub(super) fn removes(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    let dir = directory(root, "dir");
    drop(directory(&dir, "inner"));
    symlink(root, "dir", "link");
    say("not empty", root.remove_directory_at("dir"));
    say("a file", root.remove_directory_at("file"));
    say("a link", root.remove_directory_at("link"));
    say("missing", root.remove_directory_at("missing"));
    say("in a file", root.remove_directory_at("file/x"));
    say("dot", root.remove_directory_at("."));
    say("last name dot", root.remove_directory_at("dir/inner/."));
    say("last name dots", root.remove_directory_at("dir/inner/.."));
    say("outside", root.remove_directory_at(".."));
    say("absolute", root.remove_directory_at("/dir"));
    say("empty path", root.remove_directory_at(""));
    say("inner", root.remove_directory_at("dir/inner"));
    say("now empty", root.remove_directory_at("dir"));
    say("again", root.remove_directory_at("dir"));
    say_stat(
        "still open",
        dir.stat().map(|mut stat| {
            stat.link_count = 0;
            stat
        }),
    );
    say("list", list(root));
}

pub(super) fn removes_with_slashes(root: &Descriptor) {
    drop(directory(root, "dir"));
    drop(file(root, "file", b"content"));
    symlink(root, "dir", "link");
    say("a link", root.remove_directory_at("link/"));
    say("a file", root.remove_directory_at("file/"));
    say("missing", root.remove_directory_at("missing/"));
    say("a directory", root.remove_directory_at("dir/"));
}

pub(super) fn unlinks(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    symlink(root, "dir", "link");
    say("a directory", root.unlink_file_at("dir"));
    say("a directory with a slash", root.unlink_file_at("dir/"));
    say("missing", root.unlink_file_at("missing"));
    say("in a file", root.unlink_file_at("file/x"));
    say("with a slash", root.unlink_file_at("file/"));
    say("a link with a slash", root.unlink_file_at("link/"));
    say("dot", root.unlink_file_at("."));
    say("last name dots", root.unlink_file_at("dir/.."));
    say("outside", root.unlink_file_at("../file"));
    say("absolute", root.unlink_file_at("/file"));
    say("empty path", root.unlink_file_at(""));
    say("a link", root.unlink_file_at("link"));
    say("a file", root.unlink_file_at("file"));
    say("again", root.unlink_file_at("file"));
    say("list", list(root));
}

/// The bytes live as long as an open descriptor.
pub(super) fn unlink_of_an_open_file(root: &Descriptor) {
    let file = file(root, "file", b"content");
    must("unlink", root.unlink_file_at("file"));
    say_stat("stat", file.stat());
    say("read", file.read(100, 0));
    say("write", file.write(b"more", 7));
    say("read again", file.read(100, 0));
    say("set-size", file.set_size(3));
    say("sync", file.sync());
    let second = crate::files::file(root, "file", b"another");
    say("the new file", bytes_of(&second));
    say("the old one", bytes_of(&file));
}
