//! Panics of libraries: counted, and none ends the look at a store.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::atomic::{AtomicU64, Ordering};

use kvfs_host::StoreError;

static IN_THREADS: AtomicU64 = AtomicU64::new(0);

/// Keeps panics quiet, and counts those of other threads than the main one from now on.
pub(super) fn watch() {
    set_hook(Box::new(|_| {
        if std::thread::current().name() != Some("main") {
            IN_THREADS.fetch_add(1, Ordering::Relaxed);
        }
    }));
}

/// Returns how many threads panicked.
pub(super) fn in_threads() -> u64 {
    IN_THREADS.load(Ordering::Relaxed)
}

/// Why a call gave no answer.
pub(super) enum Failed {
    Error(StoreError),
    Panic,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic => f.write_str("panic"),
            Self::Error(error) => write!(f, "{error}"),
        }
    }
}

/// Calls a store.
pub(super) fn call<R>(call: impl FnOnce() -> Result<R, StoreError>) -> Result<R, Failed> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Failed::Error),
        Err(_) => Err(Failed::Panic),
    }
}
