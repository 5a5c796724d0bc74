//! `link-at`, `symlink-at`, `readlink-at`.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::Descriptor;

pub(super) fn hard_links(root: &Descriptor) {
    let one = file(root, "one", b"first");
    let dir = directory(root, "dir");
    say("link", root.link_at(NO_FOLLOW, "one", &dir, "two"));
    say_stat("stat", one.stat());
    say_stat("stat of the second name", dir.stat_at(NO_FOLLOW, "two"));
    must("write", one.write(b"changed", 0));
    say("content by the second name", bytes_at(&dir, "two"));
    say("unlink the first name", root.unlink_file_at("one"));
    say_stat("stat after", one.stat());
    say("content after", bytes_at(&dir, "two"));
    symlink(root, "dir/two", "link");
    say("link to a link", root.link_at(NO_FOLLOW, "link", root, "second-link"));
    say("its target", root.readlink_at("second-link"));
    say_stat("stat of the link", root.stat_at(NO_FOLLOW, "link"));
}

pub(super) fn hard_link_errors(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    symlink(root, "file", "link");
    say("missing", root.link_at(NO_FOLLOW, "missing", root, "new"));
    say("onto a file", root.link_at(NO_FOLLOW, "file", root, "file"));
    say("onto a directory", root.link_at(NO_FOLLOW, "file", root, "dir"));
    say("onto a link", root.link_at(NO_FOLLOW, "file", root, "link"));
    say("of a directory", root.link_at(NO_FOLLOW, "dir", root, "new"));
    say("into a missing directory", root.link_at(NO_FOLLOW, "file", root, "missing/new"));
    say("into a file", root.link_at(NO_FOLLOW, "file", root, "file/new"));
    say("following", root.link_at(FOLLOW, "link", root, "followed"));
    say("new name with a slash", root.link_at(NO_FOLLOW, "file", root, "new/"));
    say("old name with a slash", root.link_at(NO_FOLLOW, "file/", root, "new"));
    say("out of the directory", root.link_at(NO_FOLLOW, "file", root, "../new"));
    say("from outside", root.link_at(NO_FOLLOW, "../file", root, "new"));
    say("absolute", root.link_at(NO_FOLLOW, "/file", root, "new"));
    say("to an absolute name", root.link_at(NO_FOLLOW, "file", root, "/new"));
}

pub(super) fn symbolic_links(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    let dir = directory(root, "dir");
    drop(file(&dir, "inner", b"inner"));
    for (name, target) in [
        ("to-file", "file"),
        ("to-dir", "dir"),
        ("to-inner", "dir/inner"),
        ("to-link", "to-inner"),
        ("dangling", "missing"),
    ] {
        say(&format!("symlink {name}"), root.symlink_at(target, name));
        say_stat(&format!("stat of {name}"), root.stat_at(NO_FOLLOW, name));
        say_stat(&format!("stat behind {name}"), root.stat_at(FOLLOW, name));
    }
    say("symlink up", dir.symlink_at("../file", "up"));
    say("content behind it", bytes_at(root, "dir/up"));
    say("content behind it, from below", bytes_at(&dir, "up"));
    say("through a link", bytes_at(root, "to-dir/inner"));
    say("create through a dangling link", root.open_at(FOLLOW, "dangling", CREATE, WRITE));
    say("what it made", root.stat_at(NO_FOLLOW, "missing").map(|stat| stat.type_));
    say("exclusive through a link", root.open_at(FOLLOW, "to-file", EXCLUSIVE, WRITE));
    say("unlink a link", root.unlink_file_at("to-file"));
    say("the file is still there", bytes_at(root, "file"));
    say("list", list(root));
}

pub(super) fn symbolic_link_errors(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    symlink(root, "file", "link");
    say("onto a file", root.symlink_at("x", "file"));
    say("onto a directory", root.symlink_at("x", "dir"));
    say("onto a link", root.symlink_at("x", "link"));
    say("absolute target", root.symlink_at("/etc", "absolute"));
    say("target outside", root.symlink_at("../x", "outside"));
    say("empty target", root.symlink_at("", "empty"));
    say("empty name", root.symlink_at("x", ""));
    say("name with a slash", root.symlink_at("x", "new/"));
    say("in a missing directory", root.symlink_at("x", "missing/new"));
    say("in a file", root.symlink_at("x", "file/new"));
    say("outside", root.symlink_at("x", "../new"));
    say("absolute", root.symlink_at("x", "/new"));
    say("long target", root.symlink_at(&"t".repeat(4095), "long"));
    say("read back", root.readlink_at("long").map(|target| target.len()));
    say("too long", root.symlink_at(&"t".repeat(4096), "longer"));
}

pub(super) fn read_links(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    symlink(root, "dir/../file", "link");
    symlink(root, "dir", "to-dir");
    symlink(root, "link", "dir/inner");
    say("as it was made", root.readlink_at("link"));
    say("through a link", root.readlink_at("to-dir/inner"));
    say("with a slash", root.readlink_at("to-dir/"));
    say("of a file", root.readlink_at("file"));
    say("of a directory", root.readlink_at("dir"));
    say("missing", root.readlink_at("missing"));
    say("through a file", root.readlink_at("file/x"));
    say("outside", root.readlink_at("../x"));
    say("absolute", root.readlink_at("/link"));
    say("empty", root.readlink_at(""));
}
