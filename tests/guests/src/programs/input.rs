//! `read-via-stream`: reading a file from an offset.

use crate::files::*;
use crate::say::{Bytes, Shown, must, say};
use crate::wasi::{Descriptor, InputStream};

pub(super) fn reads(root: &Descriptor) {
    let file = file(root, "file", b"0123456789");
    let stream = must("stream", file.read_via_stream(2));
    say("nothing wanted", stream.read(0).map(Bytes));
    say("three bytes", read_ready(&stream, 3));
    say("two more", read_ready(&stream, 2));
    say("the rest", read_ready(&stream, 100));
    say("at the end", read_ready(&stream, 100));
    say("at the end again", read_ready(&stream, 1));
}

pub(super) fn blocking_reads(root: &Descriptor) {
    let content: Vec<u8> = (0..20_000_u32).map(|i| (i % 251) as u8).collect();
    let file = file(root, "file", &content);
    let stream = must("stream", file.read_via_stream(0));
    say("first", stream.blocking_read(5_000).map(Bytes));
    say("second", stream.blocking_read(10_000).map(Bytes));
    say("the rest", stream.blocking_read(10_000).map(Bytes));
    say("at the end", stream.blocking_read(10_000).map(Bytes));
    let empty = crate::files::file(root, "empty", b"");
    let stream = must("stream", empty.read_via_stream(0));
    say("of an empty file", stream.blocking_read(1).map(Bytes));
}

pub(super) fn skips(root: &Descriptor) {
    let file = file(root, "file", b"0123456789");
    let stream = must("stream", file.read_via_stream(0));
    say("blocking-skip", stream.blocking_skip(3));
    say("then read", stream.blocking_read(2).map(Bytes));
    stream.subscribe().block();
    say("skip", stream.skip(2));
    say("then read again", stream.blocking_read(2).map(Bytes));
    say("skip more than there is", stream.blocking_skip(100));
    say("skip at the end", stream.blocking_skip(1));
    let stream = must("stream", file.read_via_stream(4));
    say("skip all", stream.blocking_skip(6));
    say("read at the end", stream.blocking_read(1).map(Bytes));
}

/// Asks for no bytes, with and without waiting.
pub(super) fn nothing_wanted(root: &Descriptor) {
    let file = file(root, "file", b"0123");
    let stream = || must("stream", file.read_via_stream(0));
    let (reading, blocking, skipping, waiting) = (stream(), stream(), stream(), stream());
    say("read", reading.read(0).map(Bytes));
    say("then read", reading.blocking_read(4).map(Bytes));
    say("blocking-read", blocking.blocking_read(0).map(Bytes));
    say("blocking-read, then read", blocking.blocking_read(4).map(Bytes));
    say("skip", skipping.skip(0));
    say("skip, then read", skipping.blocking_read(4).map(Bytes));
    say("blocking-skip", waiting.blocking_skip(0));
    say("blocking-skip, then read", waiting.blocking_read(4).map(Bytes));
}

pub(super) fn past_the_end(root: &Descriptor) {
    let file = file(root, "file", b"0123456789");
    for (name, offset) in
        [("at the end", 10), ("behind it", 11), ("far", 1 << 40), ("farthest", i64::MAX as u64)]
    {
        let stream = must(name, file.read_via_stream(offset));
        say(name, stream.blocking_read(4).map(Bytes));
    }
    say(
        "no offset at all",
        match file.read_via_stream(u64::MAX) {
            Ok(stream) => stream.blocking_read(4).map(Bytes),
            Err(code) => return say("no offset at all, refused", code),
        },
    );
}

/// A stream reaches the end of a file, and then the file grows.
pub(super) fn grows_while_read(root: &Descriptor) {
    let file = file(root, "file", b"0123");
    let stream = must("stream", file.read_via_stream(0));
    say("before", stream.blocking_read(2).map(Bytes));
    must("write", file.write(b"45", 4));
    say("grown before the end was met", stream.blocking_read(100).map(Bytes));
    say("end", stream.blocking_read(100).map(Bytes));
    must("write", file.write(b"67", 6));
    say("grown after the end was met", stream.blocking_read(100).map(Bytes));
    let fresh = must("stream", file.read_via_stream(6));
    say("a fresh stream", fresh.blocking_read(100).map(Bytes));
}

/// Every call that takes bytes from a stream. A splice appends them to a file.
const TAKERS: [(&str, fn(&InputStream, &Descriptor) -> String); 6] = [
    ("read", |stream, _| read_ready(stream, 9).shown()),
    ("blocking-read", |stream, _| stream.blocking_read(9).map(Bytes).shown()),
    ("skip", |stream, _| {
        stream.subscribe().block();
        stream.skip(9).shown()
    }),
    ("blocking-skip", |stream, _| stream.blocking_skip(9).shown()),
    ("splice", |stream, target| {
        let to = must("stream", target.append_via_stream());
        stream.subscribe().block();
        to.splice(stream, 9).shown()
    }),
    ("blocking-splice", |stream, target| {
        let to = must("stream", target.append_via_stream());
        to.blocking_splice(stream, 9).shown()
    }),
];

/// A stream that has reached its end stays at its end: however it got there, and even if the file
/// then grows or is cut.
pub(super) fn an_end_is_for_good(root: &Descriptor) {
    let target = file(root, "target", b"");
    for (met, meet) in TAKERS {
        let file = file(root, met, b"0123");
        let stream = must("stream", file.read_via_stream(0));
        say(&format!("{met}, all"), stream.blocking_read(9).map(Bytes));
        let second = must("stream", file.read_via_stream(4));
        say(&format!("{met}, the end"), meet(&stream, &target));
        must("write", file.write(b"more", 4));
        for (again, take) in TAKERS {
            say(&format!("{met}, grown, then {again}"), take(&stream, &target));
        }
        say(&format!("{met}, nothing wanted"), stream.read(0).map(Bytes));
        say(&format!("{met}, another stream"), second.blocking_read(9).map(Bytes));
        must("set-size", file.set_size(2));
        must("write", file.write(b"anew", 2));
        say(&format!("{met}, cut and grown"), stream.blocking_read(9).map(Bytes));
        let fresh = must("stream", file.read_via_stream(4));
        say(&format!("{met}, a new stream"), fresh.blocking_read(9).map(Bytes));
    }
    say("spliced", bytes_of(&target));
}

pub(super) fn outlives_its_descriptor(root: &Descriptor) {
    let file = file(root, "file", b"0123456789");
    let stream = must("stream", file.read_via_stream(0));
    let second = must("stream", file.read_via_stream(5));
    drop(file);
    say("closed", stream.blocking_read(2).map(Bytes));
    must("unlink", root.unlink_file_at("file"));
    say("unlinked", stream.blocking_read(2).map(Bytes));
    say("another one", second.blocking_read(2).map(Bytes));
}
