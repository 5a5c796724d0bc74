//! `open-at` with each of its flags.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::{Descriptor, DescriptorFlags};

pub(super) fn creates(root: &Descriptor) {
    say("missing", open(root, "file", PLAIN, READ));
    say("create", open(root, "file", CREATE, WRITE));
    say("create what is there", open(root, "file", CREATE, READ_WRITE));
    say("create to read", open(root, "second", CREATE, READ));
    say("create with no flags", open(root, "third", CREATE, DescriptorFlags::empty()));
    say("in a missing directory", open(root, "missing/file", CREATE, WRITE));
    say("with a slash", open(root, "fourth/", CREATE, WRITE));
    say("list", list(root));
}

pub(super) fn exclusive(root: &Descriptor) {
    drop(directory(root, "dir"));
    symlink(root, "missing", "dangling");
    say("new", open(root, "file", EXCLUSIVE, WRITE));
    say("again", open(root, "file", EXCLUSIVE, WRITE));
    say("a directory", open(root, "dir", EXCLUSIVE, WRITE));
    say("a dangling link", open(root, "dangling", EXCLUSIVE, WRITE));
    say("a dangling link followed", root.open_at(FOLLOW, "dangling", EXCLUSIVE, WRITE));
    say("list", list(root));
}

pub(super) fn truncates(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    symlink(root, "file", "link");
    say("a link", open(root, "link", TRUNCATE, WRITE));
    say("untouched", bytes_at(root, "file"));
    say("a link followed", root.open_at(FOLLOW, "link", TRUNCATE, WRITE));
    say("emptied", bytes_at(root, "file"));
    say("a directory", open(root, "dir", TRUNCATE, WRITE));
    say("missing", open(root, "missing", TRUNCATE, WRITE));
    say("new", open(root, "new", CREATE | TRUNCATE, WRITE));
    drop(file(root, "second", b"content"));
    say("with a descriptor to read", open(root, "second", TRUNCATE, READ));
    say("its content", bytes_at(root, "second"));
}

pub(super) fn demands_a_directory(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    symlink(root, "dir", "link");
    symlink(root, "file", "to-file");
    say("a directory", open(root, "dir", DIRECTORY, READ));
    say("a file", open(root, "file", DIRECTORY, READ));
    say("a link", open(root, "link", DIRECTORY, READ));
    say("a link followed", root.open_at(FOLLOW, "link", DIRECTORY, READ));
    say("a link to a file followed", root.open_at(FOLLOW, "to-file", DIRECTORY, READ));
    say("missing", open(root, "missing", DIRECTORY, READ));
    say("to be created", open(root, "new", DIRECTORY | CREATE, READ));
    say("to be created, there", open(root, "dir", DIRECTORY | CREATE, READ));
    say("to be truncated", open(root, "dir", DIRECTORY | TRUNCATE, READ));
    say("to write", open(root, "dir", DIRECTORY, WRITE));
    say("list", list(root));
}

pub(super) fn without_flags(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    let file = must("open", open(root, "file", PLAIN, DescriptorFlags::empty()));
    say("get-type", file.get_type());
    say_stat("stat", file.stat());
    say("read", file.read(4, 0));
    say("write", file.write(b"x", 0));
}

pub(super) fn of_directories(root: &Descriptor) {
    drop(directory(root, "dir"));
    say("to read", open(root, "dir", PLAIN, READ));
    say("to write", open(root, "dir", PLAIN, WRITE));
    say("to change", open(root, "dir", PLAIN, MUTATE));
    say("to create", open(root, "dir", CREATE, READ));
    say("itself", open(root, ".", PLAIN, READ));
    let dir = must("open", open(root, "dir", PLAIN, READ | MUTATE));
    say("up", open(&dir, "..", PLAIN, READ));
    say("create in it", open(&dir, "new", CREATE, WRITE));
    say("list", list(&dir));
}

pub(super) fn errors(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    symlink(root, "file", "link");
    symlink(root, "dir", "to-dir");
    say("missing", open(root, "missing", PLAIN, READ));
    say("missing directory", open(root, "missing/file", PLAIN, READ));
    say("in a file", open(root, "file/x", PLAIN, READ));
    say("file with a slash", open(root, "file/", PLAIN, READ));
    say("directory with a slash", open(root, "dir/", PLAIN, READ));
    say("link", open(root, "link", PLAIN, READ));
    say("link to a directory", open(root, "to-dir", PLAIN, READ));
    say("link to a directory with a slash", open(root, "to-dir/", PLAIN, READ));
    say("empty", open(root, "", PLAIN, READ));
    say("absolute", open(root, "/file", PLAIN, READ));
    say("outside", open(root, "../file", PLAIN, READ));
    say("long name", open(root, &"n".repeat(256), CREATE, WRITE));
    say("file to change a directory", open(root, "file", PLAIN, READ | MUTATE));
}

pub(super) fn sync_flags(root: &Descriptor) {
    let flags = [
        ("file-integrity-sync", DescriptorFlags::FILE_INTEGRITY_SYNC),
        ("data-integrity-sync", DescriptorFlags::DATA_INTEGRITY_SYNC),
        ("requested-write-sync", DescriptorFlags::REQUESTED_WRITE_SYNC),
    ];
    for (name, flag) in flags {
        say(
            name,
            open(root, name, CREATE, READ_WRITE | flag).and_then(|file| {
                file.write(b"stored", 0)?;
                file.get_flags()
            }),
        );
    }
}
