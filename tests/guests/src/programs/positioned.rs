//! `read`, `write`, `advise`, `sync`, `sync-data`.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::Descriptor;
use crate::wasi::bindings::wasi::filesystem::types::Advice;

pub(super) fn reads(root: &Descriptor) {
    let file = file(root, "file", b"0123456789");
    say("start", file.read(4, 0));
    say("middle", file.read(4, 3));
    say("up to the end", file.read(2, 8));
    say("over the end", file.read(10, 8));
    say("at the end", file.read(10, 10));
    say("behind the end", file.read(10, 11));
    say("nothing", file.read(0, 3));
    say("nothing at the end", file.read(0, 10));
    let empty = crate::files::file(root, "empty", b"");
    say("an empty file", empty.read(10, 0));
}

pub(super) fn writes(root: &Descriptor) {
    let file = file(root, "file", b"");
    say("first", file.write(b"0123456789", 0));
    say("inside", file.write(b"abc", 2));
    say("over the end", file.write(b"xyz", 9));
    say("nothing", file.write(b"", 0));
    say("nothing behind the end", file.write(b"", 100));
    say("content", bytes_of(&file));
    let large: Vec<u8> = (0..100_000_u32).map(|i| (i * 7 % 253) as u8).collect();
    let second = crate::files::file(root, "large", &large);
    say("a large one", bytes_of(&second));
    must("write", second.write(&[b'#'; 5000], 30_000));
    say("changed in the middle", bytes_of(&second));
}

pub(super) fn holes(root: &Descriptor) {
    let file = file(root, "file", b"start");
    say("behind the end", file.write(b"end", 100_000));
    say_stat("stat", file.stat());
    say("in the hole", file.read(8, 50_000));
    say("at its edges", file.read(8, 99_996));
    say("all", bytes_of(&file));
    say("in the hole, written", file.write(b"island", 40_000));
    say("all again", bytes_of(&file));
}

pub(super) fn far_offsets(root: &Descriptor) {
    let file = file(root, "file", b"content");
    say("read far", file.read(4, 1 << 40));
    say("read farthest", file.read(4, i64::MAX as u64));
    say("read at no offset", file.read(4, u64::MAX));
    say("write far", file.write(b"x", 1 << 40));
    say_stat("stat", file.stat());
    say("cut", file.set_size(7));
    say("write farthest", file.write(b"x", i64::MAX as u64));
    say("write at no offset", file.write(b"x", u64::MAX));
    say("content", bytes_of(&file));
}

pub(super) fn advice(root: &Descriptor) {
    let file = file(root, "file", b"0123456789");
    let all = [
        ("normal", Advice::Normal),
        ("sequential", Advice::Sequential),
        ("random", Advice::Random),
        ("will-need", Advice::WillNeed),
        ("dont-need", Advice::DontNeed),
        ("no-reuse", Advice::NoReuse),
    ];
    for (name, advice) in all {
        say(name, file.advise(0, 10, advice));
        say(&format!("{name}, to the end"), file.advise(5, 0, advice));
        say(&format!("{name}, behind the end"), file.advise(100, 1 << 30, advice));
    }
    say("no offset", file.advise(u64::MAX, 1, Advice::WillNeed));
    say("no length", file.advise(0, u64::MAX, Advice::WillNeed));
    say("content", bytes_of(&file));
}

pub(super) fn syncs(root: &Descriptor) {
    let file = file(root, "file", b"content");
    say("sync", file.sync());
    must("write", file.write(b"C", 0));
    say("sync-data", file.sync_data());
    say("directory", root.sync());
    say("directory's data", root.sync_data());
    say("content", bytes_of(&file));
}
