//! Counts the inputs that reached the code under test.

use std::cell::Cell;

thread_local! {
    static REACHED: Cell<u64> = const { Cell::new(0) };
}

/// Counts an input that reached the code under test. A target that rejects every input early tests
/// nothing.
pub(super) fn reach() {
    REACHED.set(REACHED.get() + 1);
}

/// The number of such inputs so far on this thread.
pub fn reached() -> u64 {
    REACHED.get()
}
