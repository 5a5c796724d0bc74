//! Counts the inputs that came to what their target is there for.

use std::cell::Cell;

thread_local! {
    static REACHED: Cell<u64> = const { Cell::new(0) };
}

/// Notes that an input came to what its target is there for: a target that every input leaves early
/// tries nothing.
pub(super) fn reach() {
    REACHED.set(REACHED.get() + 1);
}

/// How many inputs came so far on this thread.
pub fn reached() -> u64 {
    REACHED.get()
}
