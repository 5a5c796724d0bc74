//! The adapter's memory: asked for ahead as it grows.
//!
//! The allocator grows by what a call lacks, mostly by one page of 64 KiB. Each time, it first looks through
//! all free pieces that might be large enough, of which there are thousands while layers are merged beside
//! the guest, and the runtime makes the page accessible.

use core::arch::wasm32::memory_size;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

const PAGE_BYTES: usize = 64 << 10;

/// The memory grows by this part of itself.
const STEPS: usize = 16;

/// Most bytes to ask for at once.
const MAX_AHEAD_BYTES: usize = 4 << 20;

/// Pages of the memory at the last look.
static PAGES: AtomicUsize = AtomicUsize::new(0);

/// Asks for a sixteenth more if the memory has grown since the last call. Without effect if there is no more.
///
/// What is asked for and given back stays with the allocator as one piece. It takes no page of the machine
/// before it is used.
#[inline]
pub(crate) fn ask_ahead() {
    if memory_size::<0>() != PAGES.load(Ordering::Relaxed) {
        grow();
    }
}

#[cold]
fn grow() {
    let ahead_bytes = memory_size::<0>() / STEPS * PAGE_BYTES;
    let mut ahead = Vec::<u8>::new();
    if ahead.try_reserve_exact(ahead_bytes.min(MAX_AHEAD_BYTES)).is_ok() {
        drop(black_box(ahead));
    }
    PAGES.store(memory_size::<0>(), Ordering::Relaxed);
}
