//! Counts what a guest holds open in directories of the host.

use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use kvfs::limits::MAX_HOST_DESCRIPTORS;
use std::cell::Cell;

thread_local! {
    static OPEN: Cell<u32> = const { Cell::new(0) };
    static MOST: Cell<u32> = const { Cell::new(MAX_HOST_DESCRIPTORS) };
}

/// Limits what may be open, below the usual limit.
pub(crate) fn allow(most: u32) {
    MOST.set(most.min(MAX_HOST_DESCRIPTORS));
}

/// The place of one descriptor, stream or listing of the host. Given back when dropped.
///
/// A stream has its own: the host may keep a file open for it when the descriptor is closed.
pub(crate) struct HostSlot(());

impl HostSlot {
    /// Takes a place. Fails if all are taken.
    pub(crate) fn take() -> Result<Self, ErrorCode> {
        let open = OPEN.get();
        if open >= MOST.get() {
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
