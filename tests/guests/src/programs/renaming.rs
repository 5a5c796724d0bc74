//! `rename-at`.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::Descriptor;

pub(super) fn files(root: &Descriptor) {
    drop(file(root, "one", b"one"));
    drop(file(root, "two", b"two"));
    symlink(root, "one", "link");
    say("to a new name", root.rename_at("one", root, "three"));
    say("content", bytes_at(root, "three"));
    say("over a file", root.rename_at("three", root, "two"));
    say("content over a file", bytes_at(root, "two"));
    say("a link", root.rename_at("link", root, "link2"));
    say("it is still a link", root.readlink_at("link2"));
    say("over a link", root.rename_at("two", root, "link2"));
    say("content over a link", bytes_at(root, "link2"));
    say("list", list(root));
}

pub(super) fn directories(root: &Descriptor) {
    let dir = directory(root, "dir");
    drop(file(&dir, "inner", b"inner"));
    drop(directory(root, "empty"));
    say("to a new name", root.rename_at("dir", root, "moved"));
    say("what is in it", bytes_at(root, "moved/inner"));
    say("by the descriptor", bytes_at(&dir, "inner"));
    say("over an empty one", root.rename_at("moved", root, "empty"));
    say("what is in it then", bytes_at(root, "empty/inner"));
    say("with slashes", root.rename_at("empty/", root, "last/"));
    say("deeper", {
        drop(directory(root, "other"));
        root.rename_at("last", root, "other/last")
    });
    say("up from there", dir.stat_at(NO_FOLLOW, "inner").map(|stat| stat.size));
    say("list", list(root));
    say("list of the other", open(root, "other", DIRECTORY, READ).and_then(|dir| list(&dir)));
}

pub(super) fn errors(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "empty"));
    let dir = directory(root, "dir");
    drop(file(&dir, "inner", b"inner"));
    symlink(root, "dir", "link");
    say("missing", root.rename_at("missing", root, "new"));
    say("into a missing directory", root.rename_at("file", root, "missing/new"));
    say("into a file", root.rename_at("dir", root, "file/new"));
    say("file over directory", root.rename_at("file", root, "empty"));
    say("directory over file", root.rename_at("dir", root, "file"));
    say("directory over link", root.rename_at("dir", root, "link"));
    say("over one that is not empty", root.rename_at("empty", root, "dir"));
    say("into itself", root.rename_at("dir", root, "dir/new"));
    say("into its child", {
        drop(directory(&dir, "child"));
        root.rename_at("dir", root, "dir/child/new")
    });
    say("over its parent", root.rename_at("dir/child", root, "dir"));
    say("over its own content", root.rename_at("dir", root, "dir/inner"));
    say("file with a slash", root.rename_at("file/", root, "new"));
    say("file to a name with a slash", root.rename_at("file", root, "new/"));
    say("out of the directory", root.rename_at("file", root, "../new"));
    say("from outside", root.rename_at("../file", root, "new"));
    say("absolute", root.rename_at("/file", root, "new"));
    say("to an absolute name", root.rename_at("file", root, "/new"));
    say("empty", root.rename_at("", root, "new"));
    say("to an empty name", root.rename_at("file", root, ""));
    say("to a long name", root.rename_at("file", root, &"n".repeat(256)));
    say("list", list(root));
    say("list of the directory", list(&dir));
}

pub(super) fn across_directories(root: &Descriptor) {
    let one = directory(root, "one");
    let two = directory(root, "two");
    drop(file(&one, "file", b"content"));
    drop(directory(&one, "dir"));
    drop(file(&one, "dir/inner", b"inner"));
    say("a file", one.rename_at("file", &two, "file"));
    say("a directory", one.rename_at("dir", &two, "dir"));
    say("what is in it", bytes_at(&two, "dir/inner"));
    say("up from it", bytes_at(root, "two/dir/../file"));
    say("list of the first", list(&one));
    say("list of the second", list(&two));
    say("a way up from a directory", two.rename_at("file", &one, "../file"));
}

pub(super) fn onto_itself(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    must("link", root.link_at(NO_FOLLOW, "file", root, "second"));
    say("a file", root.rename_at("file", root, "file"));
    say("a directory", root.rename_at("dir", root, "dir"));
    say("by another way", root.rename_at("file", root, "dir/../file"));
    say("its second name", root.rename_at("file", root, "second"));
    say("list", list(root));
    say_stat("stat", root.stat_at(NO_FOLLOW, "second"));
}

/// A final `.` or `..` names no entry.
pub(super) fn last_dots(root: &Descriptor) {
    drop(directory(root, "dir"));
    drop(directory(root, "dir/inner"));
    say("from dot", root.rename_at("dir/.", root, "new"));
    say("from dots", root.rename_at("dir/inner/..", root, "new"));
    say("to dot", root.rename_at("dir", root, "."));
    say("to dots", root.rename_at("dir/inner", root, "dir/.."));
    say("the root", root.rename_at(".", root, "new"));
    say("list", list(root));
}

pub(super) fn of_open_files(root: &Descriptor) {
    let one = file(root, "one", b"one");
    let two = file(root, "two", b"two");
    must("rename", root.rename_at("one", root, "two"));
    say("the moved one", bytes_of(&one));
    say("the replaced one", bytes_of(&two));
    say_stat("stat of the replaced one", two.stat());
    must("write", one.write(b"1", 0));
    say("by its new name", bytes_at(root, "two"));
}
