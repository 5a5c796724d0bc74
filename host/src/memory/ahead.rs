//! Memory that a thread asks for ahead of what it is going to keep.
//!
//! On all threads but the first, glibc takes memory from the system for each allocation alone when it has
//! none: by pages, and with a lock on the memory of the whole process. These calls were a seventh of the time
//! in which a large file is written. Memory that was asked for and given back is kept by the allocator, and
//! takes no page before it is used.

use std::cell::Cell;
use std::hint::black_box;

/// Memory that is asked for at a time.
const AHEAD_BYTES: usize = 4 << 20;

/// Bytes that an entry is taken to need beside its value.
const ENTRY_BYTES: usize = 128;

/// Asks for memory if what the thread asked for before is used up, now that it keeps a value of `value_bytes`.
#[inline]
pub(super) fn ask(value_bytes: usize) {
    thread_local!(static LEFT: Cell<usize> = const { Cell::new(0) });
    LEFT.with(|left| match left.get().checked_sub(value_bytes + ENTRY_BYTES) {
        Some(rest) => left.set(rest),
        None => {
            drop(black_box(Vec::<u8>::with_capacity(AHEAD_BYTES)));
            left.set(AHEAD_BYTES);
        }
    });
}
