//! The reserve: room for the calls that must work on a full disk, which are opening the store and
//! removing from it.
//!
//! A file without meaning keeps the room. Such a call cuts the file, and makes it whole again
//! afterwards from the room that is left, so nothing else gets it.

use crate::directory::{Directory, File, IoKind};

/// The name of the file. No segment has the number 0.
pub(crate) const NAME: &str = "0000000000000000.reserve";

/// The reserve is for records of at most one byte for so many of its own.
const RESERVE_PER_RECORD: usize = 2;

/// The reserve is for records whose values have at most one byte for so many of its own.
const RESERVE_PER_VALUES: usize = 64;

/// The reserve has one byte for so many live ones: as much as a segment, so that any of them can be
/// collected.
const LIVE_PER_RESERVE: u64 = 32;

/// Most bytes of the reserve, unless more are asked for.
const MAX_RESERVE_BYTES: usize = 16 << 20;

/// Bytes written or given up at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Returns how large the reserve of a store with so many live bytes is.
pub(crate) fn size_for(live_bytes: u64, least: usize) -> usize {
    let share = usize::try_from(live_bytes / LIVE_PER_RESERVE).unwrap_or(usize::MAX);
    share.clamp(least, MAX_RESERVE_BYTES.max(least))
}

/// Makes the reserve as large as there is room, unless it is large enough already. One that is much
/// too large is cut.
pub(crate) fn keep<D: Directory>(directory: &D, size_bytes: usize) {
    let file = match directory.open_for_writing(NAME) {
        Err(error) if error.kind == IoKind::NotFound => directory.create(NAME),
        opened => opened,
    };
    let Ok(file) = file else { return };
    let Ok(status) = file.status() else { return };
    if status.size_bytes / 2 >= size_bytes as u64 {
        // A failure leaves it too large, which does no harm.
        let _ = file.cut(size_bytes as u64);
        return;
    }
    let mut written = status.size_bytes as usize;
    let mut state = status.size_bytes + 1;
    while written < size_bytes {
        let chunk = chunk(&mut state, CHUNK_BYTES.min(size_bytes - written));
        if file.write(written as u64, &chunk).is_err() {
            return;
        }
        written += chunk.len();
    }
}

/// Returns whether the reserve may be given up for a record of so many bytes, of which so many are
/// values.
///
/// A record that does not fit would fail in the middle, and what was written of it would keep the
/// room: neither the segment nor the reserve could get it back, and nobody could open the store. A
/// few with large values would use the reserve up, even if they remove more.
pub(crate) fn is_for(record_bytes: usize, values_bytes: usize, reserve_bytes: usize) -> bool {
    record_bytes <= reserve_bytes / RESERVE_PER_RECORD && values_bytes <= reserve_bytes / RESERVE_PER_VALUES
}

/// Frees the room for the next call.
pub(crate) fn give_up<D: Directory>(directory: &D) {
    let _ = directory.remove(NAME);
}

/// Makes a call with the reserve given up.
pub(crate) fn without<D: Directory, T>(directory: &D, size_bytes: usize, call: impl FnOnce() -> T) -> T {
    give_up(directory);
    let result = call();
    keep(directory, size_bytes);
    result
}

/// Makes a call that writes a record with a part of the reserve given up, and once more with all of
/// it if there still is no room.
pub(crate) fn lend<D: Directory, T>(
    directory: &D,
    record_bytes: usize,
    size_bytes: usize,
    mut call: impl FnMut() -> T,
    is_full: impl Fn(&T) -> bool,
) -> T {
    let needed = record_bytes.saturating_mul(RESERVE_PER_RECORD).next_multiple_of(CHUNK_BYTES) as u64;
    let file = directory.open_for_writing(NAME);
    // What fails here is made up for below.
    let _ = file.and_then(|file| file.cut(file.status()?.size_bytes.saturating_sub(needed)));
    let mut result = call();
    if is_full(&result) {
        give_up(directory);
        result = call();
    }
    keep(directory, size_bytes);
    result
}

/// Returns bytes that no file system compresses, as some do with zeros (xorshift64).
fn chunk(state: &mut u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
