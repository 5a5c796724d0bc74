//! `write-via-stream` and `append-via-stream`.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::Descriptor;

pub(super) fn writes(root: &Descriptor) {
    let file = file(root, "file", b"");
    let stream = must("stream", file.write_via_stream(0));
    say("blocking-write-and-flush", stream.blocking_write_and_flush(b"one "));
    say("of nothing", stream.blocking_write_and_flush(b""));
    say("of a whole piece", stream.blocking_write_and_flush(&[b'p'; 4096]));
    say("blocking-flush", stream.blocking_flush());
    say("visible at once", bytes_of(&file));
    drop(stream);
    say_stat("stat", file.stat());
}

/// The protocol: ask how much may be written, write that much, flush, wait.
pub(super) fn checks_first(root: &Descriptor) {
    let file = file(root, "file", b"");
    let stream = must("stream", file.write_via_stream(0));
    for piece in [b"one ".as_slice(), b"two ", b"three"] {
        let label = piece.escape_ascii().to_string();
        stream.subscribe().block();
        say(
            &format!("{label} may be written"),
            stream.check_write().map(|permit| permit >= piece.len() as u64),
        );
        say(&format!("{label} write"), stream.write(piece));
        say(&format!("{label} flush"), stream.flush());
        say(&format!("{label} blocking-flush"), stream.blocking_flush());
    }
    say("content", bytes_of(&file));
}

pub(super) fn writes_at_an_offset(root: &Descriptor) {
    let file = file(root, "file", b"0123456789");
    let stream = must("stream", file.write_via_stream(3));
    say("inside", stream.blocking_write_and_flush(b"abc"));
    say("content", bytes_of(&file));
    let stream = must("stream", file.write_via_stream(8));
    say("over the end", stream.blocking_write_and_flush(b"wxyz"));
    say("content over the end", bytes_of(&file));
    let stream = must("stream", file.write_via_stream(15));
    say("behind the end", stream.blocking_write_and_flush(b"!"));
    say("content behind the end", bytes_of(&file));
}

/// Each write finds the end, whoever has moved it.
pub(super) fn appends(root: &Descriptor) {
    let file = file(root, "file", b"start ");
    let one = must("stream", file.append_via_stream());
    let other = must("stream", file.append_via_stream());
    say("first", one.blocking_write_and_flush(b"one "));
    say("second", other.blocking_write_and_flush(b"other "));
    say("first again", one.blocking_write_and_flush(b"one "));
    must("set-size", file.set_size(5));
    say("after a cut", other.blocking_write_and_flush(b"+cut"));
    must("write", file.write(b"beyond", 12));
    say("after growth", one.blocking_write_and_flush(b"."));
    say("content", bytes_of(&file));
}

pub(super) fn zeroes(root: &Descriptor) {
    let file = file(root, "file", b"0123456789");
    let stream = must("stream", file.write_via_stream(2));
    say("check-write", stream.check_write().map(|permit| permit >= 3));
    say("write-zeroes", stream.write_zeroes(3));
    say("blocking-flush", stream.blocking_flush());
    say("blocking-write-zeroes-and-flush", stream.blocking_write_zeroes_and_flush(2));
    say("write", stream.blocking_write_and_flush(b"x"));
    say("of nothing", stream.blocking_write_zeroes_and_flush(0));
    say("content", bytes_of(&file));
    let stream = must("stream", file.append_via_stream());
    say("at the end", stream.blocking_write_zeroes_and_flush(4096));
    say_stat("stat", file.stat());
}

pub(super) fn two_at_once(root: &Descriptor) {
    let file = file(root, "file", b"..........");
    let one = must("stream", file.write_via_stream(0));
    let other = must("stream", file.write_via_stream(5));
    for piece in [b"a", b"b", b"c"] {
        must("write", one.blocking_write_and_flush(piece));
        must("write", other.blocking_write_and_flush(piece));
    }
    let reader = must("stream", file.read_via_stream(0));
    say("read by a third", reader.blocking_read(100).map(crate::say::Bytes));
    must("positioned", file.write(b"X", 3));
    say("positioned beside it", one.blocking_write_and_flush(b"d"));
    say("content", bytes_of(&file));
}

pub(super) fn outlives_its_descriptor(root: &Descriptor) {
    let file = file(root, "file", b"");
    let stream = must("stream", file.write_via_stream(0));
    let second = must("stream", file.append_via_stream());
    drop(file);
    say("closed", stream.blocking_write_and_flush(b"closed"));
    say("the other", second.blocking_write_and_flush(b" and appended"));
    say("content", bytes_at(root, "file"));
    must("unlink", root.unlink_file_at("file"));
    say("unlinked", stream.blocking_write_and_flush(b"nowhere"));
    say("content by name", bytes_at(root, "file"));
}

/// A failure closes a stream for good.
pub(super) fn too_far(root: &Descriptor) {
    let file = file(root, "file", b"content");
    for (name, offset) in [("no offset", u64::MAX), ("highest offset", i64::MAX as u64)] {
        match file.write_via_stream(offset) {
            Err(code) => say(&format!("{name}, refused"), code),
            Ok(stream) => {
                say(&format!("{name}, first write"), stream.blocking_write_and_flush(b"x"));
                say(&format!("{name}, second write"), stream.blocking_write_and_flush(b"x"));
                say(&format!("{name}, check-write"), stream.check_write());
                say(&format!("{name}, flush"), stream.flush());
                say(&format!("{name}, blocking-flush"), stream.blocking_flush());
            }
        }
    }
    say("content", bytes_of(&file));
}

/// The interface allows 4096 bytes in one blocking write.
pub(super) fn more_than_a_call_takes(root: &Descriptor) {
    let file = file(root, "file", b"");
    let stream = must("stream", file.write_via_stream(0));
    say("written", stream.blocking_write_and_flush(&[b'm'; 4097]));
}

/// The interface demands a check before each write.
pub(super) fn without_a_check(root: &Descriptor) {
    let file = file(root, "file", b"");
    let stream = must("stream", file.write_via_stream(0));
    // An empty write, because it is chance whether it still happens when the second one ends the
    // program.
    say("first", stream.write(b""));
    say("second", stream.write(b"two "));
}
