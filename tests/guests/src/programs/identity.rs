//! `metadata-hash`, `metadata-hash-at` and `is-same-object`: which names and descriptors mean the
//! same object.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::Descriptor;
use crate::wasi::bindings::wasi::filesystem::types::MetadataHashValue;

fn same(one: &MetadataHashValue, other: &MetadataHashValue) -> bool {
    one.lower == other.lower && one.upper == other.upper
}

pub(super) fn hashes(root: &Descriptor) {
    let one = file(root, "one", b"1");
    let other = file(root, "other", b"1");
    drop(directory(root, "dir"));
    symlink(root, "one", "link");
    must("link", root.link_at(NO_FOLLOW, "one", root, "second"));
    let of = |path| must(path, root.metadata_hash_at(NO_FOLLOW, path));
    let hash = must("hash", one.metadata_hash());
    say("by descriptor and by name", same(&hash, &of("one")));
    say("asked again", same(&hash, &of("one")));
    say("two files", same(&hash, &must("hash", other.metadata_hash())));
    say("a second name", same(&hash, &of("second")));
    say("a link itself", same(&hash, &of("link")));
    say("a link followed", same(&hash, &must("link", root.metadata_hash_at(FOLLOW, "link"))));
    say("a directory", same(&hash, &of("dir")));
    say("the root by two ways", same(&must("root", root.metadata_hash()), &of(".")));
    must("write", one.write(b"more", 0));
    let written = must("hash", one.metadata_hash());
    say("after a write", same(&hash, &written));
    say("after a write, the half that libc takes for the inode", hash.lower == written.lower);
    let hash = written;
    must("rename", root.rename_at("one", root, "dir/moved"));
    say("after a rename", same(&hash, &of("dir/moved")));
    must("unlink", root.unlink_file_at("dir/moved"));
    must("unlink", root.unlink_file_at("second"));
    say("without a name", same(&hash, &must("hash", one.metadata_hash())));
    say("a missing name", root.metadata_hash_at(NO_FOLLOW, "missing").map(drop));
    say("a name outside", root.metadata_hash_at(NO_FOLLOW, "../x").map(drop));
}

pub(super) fn same_objects(root: &Descriptor) {
    let one = file(root, "one", b"1");
    let other = file(root, "other", b"1");
    let dir = directory(root, "dir");
    must("link", root.link_at(NO_FOLLOW, "one", root, "second"));
    symlink(root, "one", "link");
    let opened = |path| must(path, root.open_at(FOLLOW, path, PLAIN, READ));
    say("with itself", one.is_same_object(&one));
    say("opened twice", one.is_same_object(&opened("one")));
    say("by a second name", one.is_same_object(&opened("second")));
    say("through a link", one.is_same_object(&opened("link")));
    say("two files", one.is_same_object(&other));
    say("a file and a directory", one.is_same_object(&dir));
    say("a directory twice", dir.is_same_object(&opened("dir")));
    say("the root twice", root.is_same_object(&opened(".")));
    say("the root and a directory", root.is_same_object(&dir));
    must("unlink", root.unlink_file_at("other"));
    let again = file(root, "other", b"1");
    say("a name used again", other.is_same_object(&again));
}
