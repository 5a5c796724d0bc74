//! The end of the process: stores that nobody closed or dropped end in order all the same.
//!
//! `std::process::exit` drops nothing, and hosts of WASI programs call it for their exit codes. So every open store on
//! disk is registered here, and ended when the process ends in order. A redb file that was not closed is checked whole
//! at its next opening, and redb then falls back to an older root if the newest one is damaged.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, Once, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for calls that are busy with a store, for all stores together: a disk that hangs must not keep the
/// process from ending.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// A store that has something to do before its process ends.
pub(crate) trait Ends: Send + Sync {
    /// Stores what is not durable yet and closes the store, once no call is busy with it, or not at all after `until`.
    /// Later calls may wait until the process is gone, so that no guest sees its files fail in its last moment.
    fn end(&self, until: Instant);
}

static OPEN: Mutex<Vec<Weak<dyn Ends>>> = Mutex::new(Vec::new());

/// Has a store ended when the process ends while the store is open.
pub(crate) fn register(store: Weak<dyn Ends>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // Fails for want of memory alone; then the store is as after a kill.
        let _ = c::atexit(end_all);
    });
    let mut open = OPEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    open.retain(|store| store.strong_count() > 0);
    open.push(store);
}

/// Runs when `main` returns and in `std::process::exit`, not after a signal that ends the process.
extern "C" fn end_all() {
    // A panic must not reach the C library.
    let _ = std::panic::catch_unwind(|| {
        let mut open = OPEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let until = Instant::now() + MAX_WAIT;
        for store in open.drain(..).filter_map(|store| store.upgrade()) {
            store.end(until);
            // Dropped as the last handle, it would wait for the lock that `end` keeps.
            std::mem::forget(store);
        }
    });
}

/// Takes a lock, also one that a panic left behind; `None` if it is not free until `until`.
pub(crate) fn lock_until<T>(lock: &Mutex<T>, until: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        match lock.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(1))
            }
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}

/// Tells on standard error that a store ended without its last changes: nobody is left to be told.
pub(crate) fn lament(store: &Path, why: &str) {
    let store = store.to_string_lossy();
    eprintln!("kvfs: {}: cannot store the last changes: {}", store.escape_debug(), why.escape_debug());
}

/// Runs `work` on a thread that is not panicking: redb leaves a file open that is dropped by one that is.
pub(crate) fn calmly(work: impl FnOnce() + Send) {
    if thread::panicking() {
        thread::scope(|scope| drop(scope.spawn(work)));
    } else {
        work();
    }
}

#[allow(unsafe_code, reason = "only the C library tells of the end of a process that drops nothing")]
mod c {
    use std::ffi::c_int;

    unsafe extern "C" {
        // Safe with any function that does not unwind.
        pub(super) safe fn atexit(hook: extern "C" fn()) -> c_int;
    }
}
