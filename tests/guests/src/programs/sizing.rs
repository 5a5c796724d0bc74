//! `set-size`.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::Descriptor;

pub(super) fn grows_and_shrinks(root: &Descriptor) {
    let file = file(root, "file", b"0123456789");
    say("same", file.set_size(10));
    say("shrink", file.set_size(4));
    say("shrunk", bytes_of(&file));
    say("grow", file.set_size(8));
    say("what was cut is zeros", bytes_of(&file));
    say("grow far", file.set_size(200_000));
    say_stat("stat", file.stat());
    say("in the hole", file.read(4, 150_000));
    must("write", file.write(b"end", 199_997));
    say("shrink into the hole", file.set_size(199_998));
    say("grow again", file.set_size(200_000));
    say("the end", file.read(10, 199_995));
    say("to nothing", file.set_size(0));
    say("all", bytes_of(&file));
    must("write", file.write(b"new", 0));
    let reader = must("stream", file.read_via_stream(2));
    must("set-size", file.set_size(1));
    say("a stream behind the new end", reader.blocking_read(1).map(crate::say::Bytes));
}

pub(super) fn errors(root: &Descriptor) {
    drop(file(root, "file", b"content"));
    drop(directory(root, "dir"));
    let read_only = must("open", open(root, "file", PLAIN, READ));
    say("not opened to write", read_only.set_size(1));
    let dir = must("open", open(root, "dir", DIRECTORY, READ | MUTATE));
    say("a directory", dir.set_size(0));
    say("content", bytes_at(root, "file"));
}

pub(super) fn far(root: &Descriptor) {
    let file = file(root, "file", b"content");
    say("a terabyte", file.set_size(1 << 40));
    say_stat("stat", file.stat());
    say("no size", file.set_size(u64::MAX));
    say("more than is signed", file.set_size(1 << 63));
    say("back", file.set_size(7));
    say("content", bytes_of(&file));
}
