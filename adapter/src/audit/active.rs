//! The log of the component: made with the first descriptor, and there to its end.

use super::sink::Sink;
use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use crate::clock::WallClock;
use crate::codes::to_code;
use crate::config::{self, Config};
use kvfs::{Clock, Durability, Error, Result, StoreError};
use kvfs_audit::{Line, Log, Span, Time};
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

/// Whether every change leaves this memory at once, by another way than the store.
const CHANGES_LEAVE: bool = cfg!(feature = "host-mounts");

struct Active {
    log: Log,
    sink: Sink,
    required: bool,
    /// Why the sink has failed last; `None` if it did not.
    failure: Option<Error>,
}

thread_local! {
    /// Never dropped: components end without dropping.
    static ACTIVE: RefCell<Option<ManuallyDrop<Active>>> = const { RefCell::new(None) };
    /// Whether the store was changed since the last call of the guest ended.
    static CHANGED: Cell<bool> = const { Cell::new(false) };
    /// Why the last drop has failed to store.
    static DROPPED: Cell<Option<ErrorCode>> = const { Cell::new(None) };
    static FAILURE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Does something with the log, if there is one.
fn with<T>(act: impl FnOnce(&mut Active) -> T) -> Option<T> {
    ACTIVE.with(|place| {
        // Never entered again from within: the sink's store calls do not come here.
        let mut place = place.try_borrow_mut().ok()?;
        place.as_deref_mut().map(act)
    })
}

/// Makes the log, if the configuration asks for one. Returns whether there is one.
pub(super) fn start() -> bool {
    if with(|_| ()).is_some() {
        return true;
    }
    // The table of mounts reports a configuration that cannot be read.
    let Ok(Config { audit: Some(settings), options, .. }) = config::get() else { return false };
    ACTIVE.with(|place| {
        if let Ok(mut place) = place.try_borrow_mut() {
            let (log, sink) = (Log::new(settings), Sink::new(settings, options.clone()));
            *place =
                Some(ManuallyDrop::new(Active { log, sink, required: settings.required, failure: None }));
        }
    });
    true
}

fn now() -> Time {
    let now = WallClock.now();
    Time { seconds: now.seconds, nanoseconds: now.nanoseconds }
}

/// Writes an event of a call that has ended.
// Not generic and not inlined: it is in every call, and rarely used.
#[inline(never)]
pub(super) fn tell(
    op: &'static str,
    is_change: bool,
    result: &'static str,
    write: &mut dyn FnMut(&mut Line<'_>),
) {
    with(|active| {
        if active.log.wants(is_change)
            && let Some(mut line) = active.log.begin(op, now())
        {
            write(&mut line);
            line.end(result);
        }
    });
    settle_after(is_change && result == "ok");
}

/// Writes a read or a write that has ended.
#[inline(never)]
pub(super) fn transfer(
    span: Span,
    is_change: bool,
    bytes: u64,
    result: &'static str,
    start: &mut dyn FnMut(&mut Line<'_>),
) {
    with(|active| {
        if active.log.wants(is_change) {
            active.log.transfer(span, bytes, result, now, start);
        }
    });
    settle_after(false);
}

/// Ends a call of the guest: stores the lines if the call has changed the store, or if many wait.
#[inline(never)]
pub(crate) fn settle() {
    settle_after(false);
}

#[inline(never)]
fn settle_after(has_left: bool) {
    let must = CHANGED.take() || (has_left && CHANGES_LEAVE);
    with(|active| {
        if must || active.log.is_full() {
            // Of a failure, the log counts what it must drop.
            let _ = active.flush(Durability::Buffered);
        }
    });
}

/// Stores the lines that have to be stored before a commit. A failure is one of the commit if the
/// log is required.
pub(super) fn before_commit(level: Durability) -> std::result::Result<(), StoreError> {
    let flushed = with(|active| {
        if level == Durability::Durable || active.required {
            let flushed = active.flush(Durability::Buffered);
            if active.required { flushed.map_err(to_store_error) } else { Ok(()) }
        } else {
            Ok(())
        }
    });
    flushed.unwrap_or(Ok(()))
}

fn to_store_error(error: Error) -> StoreError {
    match error {
        Error::Store(error) => error,
        other => StoreError::Other(format!("the audit log: {other}")),
    }
}

/// Notes that a volume has called the store. The call may have changed it even if it failed.
pub(super) fn after_commit(level: Durability, is_done: bool) {
    CHANGED.set(true);
    if is_done && level == Durability::Durable {
        with(|active| active.sink.synced());
    }
}

/// Returns why no change may be made now: the log is required, and takes no line.
#[inline(never)]
pub(crate) fn refusal() -> Option<Error> {
    let refused = with(|active| {
        if !active.required {
            None
        } else if active.log.is_at_bound() {
            Some(Error::Store(StoreError::QuotaExceeded))
        } else if active.failure.is_some() {
            active.flush(Durability::Buffered).err()
        } else {
            None
        }
    });
    refused.flatten()
}

/// Notes why a drop has failed to store, which the guest is not told.
pub(crate) fn drop_failed(error: &Error) {
    DROPPED.set(Some(to_code(error)));
}

/// Takes why the last drop has failed.
pub(super) fn take_dropped() -> Option<ErrorCode> {
    DROPPED.take()
}

/// Stores all lines durably, and how many events have none.
pub(crate) fn finish() -> std::result::Result<(), ()> {
    CHANGED.set(false);
    let outcome = with(|active| {
        // First what waits: the line of lost events needs its room.
        let _ = active.flush(Durability::Buffered);
        active.log.tell_lost();
        active.flush(Durability::Durable).map_err(|error| {
            let (lost, waiting) = (active.log.lost(), active.log.lines().len() + active.sink.waiting_bytes());
            format!("{error} ({waiting} bytes of lines, and {lost} events without a line)")
        })
    });
    let outcome = outcome.unwrap_or(Ok(()));
    FAILURE.set(outcome.clone().err());
    outcome.map_err(drop)
}

/// Returns why the last [`finish`] failed, if it did.
pub(crate) fn failure() -> Option<String> {
    FAILURE.take()
}

impl Active {
    fn flush(&mut self, level: Durability) -> Result<()> {
        let outcome = self.sink.put(&mut self.log, level);
        self.failure = outcome.clone().err();
        outcome
    }
}
