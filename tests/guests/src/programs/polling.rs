//! `wasi:io/poll` over pollables of files, standard streams and clocks.

use crate::files::*;
use crate::say::{must, say};
use crate::wasi::bindings::wasi::clocks::monotonic_clock::{subscribe_duration, subscribe_instant};
use crate::wasi::bindings::wasi::io::poll::{Pollable, poll};
use crate::wasi::{Descriptor, now_nanoseconds, stdin, stdout};

/// Returns the indexes of the ready ones, sorted: the interface promises no order.
fn ready(pollables: &[&Pollable]) -> Vec<u32> {
    let mut ready = poll(pollables);
    ready.sort_unstable();
    ready
}

const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MILLISECOND;

pub(super) fn files_alone(root: &Descriptor) {
    let file = file(root, "file", b"content");
    let input = must("stream", file.read_via_stream(0));
    let output = must("stream", file.write_via_stream(0));
    let (reading, writing) = (input.subscribe(), output.subscribe());
    reading.block();
    writing.block();
    say("input ready", reading.ready());
    say("output ready", writing.ready());
    say("both", ready(&[&reading, &writing]));
    say("one twice", ready(&[&reading, &reading]));
    let at_end = must("stream", file.read_via_stream(7));
    let ended = at_end.subscribe();
    ended.block();
    say("at the end", ready(&[&ended]));
}

/// A clock far in the future wakes nobody while a file is ready.
pub(super) fn files_and_clocks(root: &Descriptor) {
    let file = file(root, "file", b"content");
    let input = must("stream", file.read_via_stream(0));
    let reading = input.subscribe();
    reading.block();
    let far = subscribe_duration(HOUR);
    let past = subscribe_instant(now_nanoseconds());
    past.block();
    say("file before a clock", ready(&[&reading, &far]));
    say("file behind a clock", ready(&[&far, &reading]));
    say("file and a clock that has run", ready(&[&past, &far, &reading]));
    say("a clock that is far off", far.ready());
    let start = now_nanoseconds();
    let soon = subscribe_duration(20 * MILLISECOND);
    say("clocks alone", ready(&[&far, &soon]));
    let took = now_nanoseconds() - start;
    say("waited as long as it should", (20 * MILLISECOND..HOUR).contains(&took));
    let soon = subscribe_duration(MILLISECOND);
    soon.block();
    say("blocked on a clock", soon.ready());
}

/// The runner's standard input is ready.
pub(super) fn standard_streams(root: &Descriptor) {
    let file = file(root, "file", b"content");
    let stream = must("stream", file.read_via_stream(0));
    let (input, output) = (stdin(), stdout());
    let (reading, standard, printing) = (stream.subscribe(), input.subscribe(), output.subscribe());
    reading.block();
    standard.block();
    printing.block();
    let far = subscribe_duration(HOUR);
    say("all and a clock that is far off", ready(&[&far, &printing, &reading, &far, &standard]));
    say("standard streams alone", ready(&[&standard, &printing]));
    say("what the input holds", read_ready(&input, 5));
}

/// Waiting for nothing is the program's fault.
pub(super) fn empty_list(root: &Descriptor) {
    let _ = root;
    say("an answer", poll(&[]));
}
