//! The end of the process: stores that nobody closed or dropped still end in order.
//!
//! `std::process::exit` drops nothing, and hosts of WASI programs call it for their exit codes. So
//! every open store on disk is registered here and ended when the process ends in order. A redb
//! file that was not closed is checked whole at its next opening, and redb then falls back to an
//! older root if the newest one is damaged.

use std::panic::catch_unwind;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError, TryLockError, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for busy calls of all stores together: a disk that hangs must not keep the process
/// from ending.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Longest wait for the reader of standard error.
const MAX_TELL_WAIT: Duration = Duration::from_secs(1);

/// A store with work to do before its process ends.
pub(crate) trait Ends: Send + Sync {
    /// Makes everything durable and closes the store once no call is busy with it; not at all after
    /// `until`. Later calls may wait until the process is gone, so that no guest sees its files
    /// fail in its last moment.
    ///
    /// # Errors
    /// The changes that could not be stored, in words: see [`lament`].
    fn end(&self, until: Instant) -> Result<(), String>;
}

/// A registered store. Without a strong reference it is being dropped.
struct Open {
    id: u64,
    /// The process that opened the store: a forked child has no part in its parent's stores.
    process: u32,
    store: Weak<dyn Ends>,
}

static OPEN: Mutex<Vec<Open>> = Mutex::new(Vec::new());
static CLOSED: Condvar = Condvar::new();

/// A store's entry in the list. It is the store's last field, so it lasts until the store is
/// dropped whole.
#[derive(Debug)]
pub(crate) struct Registered(u64);

/// Registers a store to be ended if the process ends while it is open.
pub(crate) fn register<S: Ends + 'static>(store: Weak<S>) -> Registered {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // Fails only without memory; then the store is left as by a kill.
        let _ = c::atexit(end_all);
    });
    let mut open = list();
    let id = open.last().map_or(0, |last| last.id + 1);
    open.push(Open { id, process: std::process::id(), store });
    Registered(id)
}

impl Drop for Registered {
    fn drop(&mut self) {
        list().retain(|open| open.id != self.0);
        CLOSED.notify_all();
    }
}

fn list() -> MutexGuard<'static, Vec<Open>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs when `main` returns and in `std::process::exit`, but not after a signal that ends the
/// process.
extern "C" fn end_all() {
    // A panic must not reach the C library.
    let _ = catch_unwind(|| {
        let until = Instant::now() + MAX_WAIT;
        let process = std::process::id();
        let of_process = |open: &&Open| open.process == process;
        // A store that wraps another was opened after it, and has work for it to do.
        let stores: Vec<Arc<dyn Ends>> =
            list().iter().rev().filter(of_process).filter_map(|open| open.store.upgrade()).collect();
        let laments: Vec<String> = stores.iter().filter_map(|store| store.end(until).err()).collect();
        // If this dropped the last handle, the store would wait for the lock that `end` keeps.
        std::mem::forget(stores);
        // Another thread may be dropping a store; that thread closes it.
        let mut open = list();
        while open.iter().filter(of_process).any(|open| open.store.strong_count() == 0) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            open = CLOSED.wait_timeout(open, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(open);
        if !laments.is_empty() {
            tell(laments.join("\n"));
        }
    });
}

/// Takes a lock, even a poisoned one; `None` if it is not free until `until`.
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

/// The message for a store that ended without its last changes.
pub(crate) fn lament(store: &Path, why: &str) -> String {
    let store = store.to_string_lossy();
    format!("kvfs: {}: cannot store the last changes: {}", store.escape_debug(), why.escape_debug())
}

/// Writes lines to standard error, since no caller is left to be told. Gives up soon if nobody
/// reads there either.
pub(crate) fn tell(lines: String) {
    let (told, telling) = mpsc::channel::<()>();
    let teller = thread::Builder::new().spawn(move || {
        eprintln!("{lines}");
        drop(told);
    });
    if teller.is_ok() {
        let _ = telling.recv_timeout(MAX_TELL_WAIT);
    }
}

/// Runs `work` on a thread that is not panicking: redb leaves a file open if a panicking thread
/// drops it.
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
