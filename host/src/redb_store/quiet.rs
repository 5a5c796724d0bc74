//! Calls of redb that may panic: it trusts a file that was closed in order, and one that was damaged
//! since may break any of its assumptions.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageError;

/// The message for a file at which redb panicked.
pub(super) const NO_SENSE: &str = "redb could not make sense of it";

thread_local! {
    /// The depth of calls on this thread whose panics are caught here.
    static QUIET: Cell<u32> = const { Cell::new(0) };
}

/// Calls redb and catches its panics, without their text on standard error.
pub(super) fn calling<T>(call: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
    quietly(call).unwrap_or_else(|| Err(StorageError::Corrupted(NO_SENSE.into())))
}

/// Makes a call and catches its panics; `None` after one.
///
/// The process's panic hook is wrapped once, so that it stays silent for these calls. A hook that
/// somebody sets later is not wrapped, and tells of them.
pub(super) fn quietly<T>(call: impl FnOnce() -> T) -> Option<T> {
    wrap_hook();
    let change = |by: i32| QUIET.try_with(|depth| depth.set(depth.get().wrapping_add_signed(by)));
    let _ = change(1);
    let result = catch_unwind(AssertUnwindSafe(call));
    let _ = change(-1);
    result.ok()
}

fn wrap_hook() {
    static IS_WRAPPED: AtomicBool = AtomicBool::new(false);
    if IS_WRAPPED.load(Ordering::Relaxed) {
        return;
    }
    // The hook must not be changed by a thread that panics, as when it drops a store.
    if !std::thread::panicking() && !IS_WRAPPED.swap(true, Ordering::Relaxed) {
        let previous = take_hook();
        set_hook(Box::new(move |panic| {
            if QUIET.try_with(Cell::get).unwrap_or_default() == 0 {
                previous(panic);
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_panic_in_a_call_is_caught_and_the_next_one_outside_is_told() {
        // Wraps the hook that the harness has set.
        assert_eq!(quietly(|| 1), Some(1));
        let told = Arc::new(AtomicU32::new(0));
        let count = told.clone();
        let wrapped = take_hook();
        set_hook(Box::new(move |panic| {
            // Only those that the wrapped hook would have told of.
            if panic.payload().downcast_ref::<&str>() == Some(&"told") && QUIET.get() == 0 {
                count.fetch_add(1, Ordering::SeqCst);
            } else {
                wrapped(panic);
            }
        }));
        assert!(calling::<()>(|| panic!("told")).is_err());
        assert_eq!(quietly(|| quietly(|| panic!("told"))), Some(None::<()>));
        assert_eq!(told.load(Ordering::SeqCst), 0);
        assert!(catch_unwind(|| panic!("told")).is_err());
        assert_eq!(told.load(Ordering::SeqCst), 1);
    }
}
