//! `splice` and `blocking-splice`, between files and standard streams.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::{Descriptor, stdin, stdout};

pub(super) fn file_to_file(root: &Descriptor) {
    let one = file(root, "one", b"0123456789");
    let two = file(root, "two", b"");
    let from = must("stream", one.read_via_stream(2));
    let to = must("stream", two.write_via_stream(0));
    say("blocking-splice", to.blocking_splice(&from, 3));
    must("flush", to.blocking_flush());
    say("of nothing", to.blocking_splice(&from, 0));
    from.subscribe().block();
    to.subscribe().block();
    say("splice", to.splice(&from, 2));
    must("flush", to.blocking_flush());
    say("more than there is", to.blocking_splice(&from, 100));
    must("flush", to.blocking_flush());
    say("content", bytes_of(&two));
}

pub(super) fn standard_input_to_file(root: &Descriptor) {
    let file = file(root, "file", b"");
    let to = must("stream", file.append_via_stream());
    let from = stdin();
    let mut moved = 0;
    let ended = loop {
        match to.blocking_splice(&from, 1000) {
            Ok(count) => moved += count,
            Err(error) => break error,
        }
        must("flush", to.blocking_flush());
    };
    say("moved", moved);
    say("ended", ended);
    say("content", bytes_of(&file));
}

pub(super) fn file_to_standard_output(root: &Descriptor) {
    let file = file(root, "file", b"spliced: by the file system\n");
    let from = must("stream", file.read_via_stream(0));
    let to = stdout();
    let moved = to.blocking_splice(&from, 1000);
    must("flush", to.blocking_flush());
    say("moved", moved);
}

pub(super) fn at_the_end(root: &Descriptor) {
    let one = file(root, "one", b"0123");
    let two = file(root, "two", b"");
    let from = must("stream", one.read_via_stream(4));
    let to = must("stream", two.write_via_stream(0));
    say("at the end", to.blocking_splice(&from, 1));
    say("the output still works", to.blocking_write_and_flush(b"x"));
    say("content", bytes_of(&two));
}
