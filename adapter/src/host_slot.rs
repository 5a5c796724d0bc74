//! Counts what a guest holds open in directories of the host.

use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use kvfs::limits::{MAX_HOST_DESCRIPTORS, MAX_OPEN_DESCRIPTORS};
use std::cell::Cell;

thread_local! {
    static OPEN: Cell<u32> = const { Cell::new(0) };
    /// The most that the instance may have open: here and in volumes.
    static MOST: Cell<u32> = const { Cell::new(MAX_OPEN_DESCRIPTORS) };
    /// Returns how many of these are open in volumes.
    static IN_VOLUMES: Cell<fn() -> u32> = const { Cell::new(|| 0) };
}

/// Sets how many descriptors, streams and listings the instance may have open.
pub(crate) fn allow(most: u32) {
    MOST.set(most);
}

/// Sets what returns how many are open in volumes: they count in the same sum.
pub(crate) fn count_volumes(count: fn() -> u32) {
    IN_VOLUMES.set(count);
}

/// Returns how many are open in directories of the host.
pub(crate) fn count() -> u32 {
    OPEN.get()
}

/// The place of one descriptor, stream or listing of the host. Given back when dropped.
///
/// A stream has its own: the host may keep a file open for it when the descriptor is closed.
pub(crate) struct HostSlot(());

impl HostSlot {
    /// Takes a place. Fails if all are taken, here or in the instance.
    pub(crate) fn take() -> Result<Self, ErrorCode> {
        let (open, in_volumes) = (OPEN.get(), IN_VOLUMES.get());
        if open >= MAX_HOST_DESCRIPTORS || open.saturating_add(in_volumes()) >= MOST.get() {
            return Err(ErrorCode::InsufficientMemory);
        }
        OPEN.set(open + 1);
        Ok(Self(()))
    }
}

impl Drop for HostSlot {
    fn drop(&mut self) {
        OPEN.set(OPEN.get().saturating_sub(1));
    }
}
