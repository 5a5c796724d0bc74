//! The reserve: room for the calls that must work on a full disk, which are opening the store and
//! removing from it.
//!
//! A file without meaning keeps the room. Such a call removes the file, and makes it anew
//! afterwards from the room that is left, so nothing else gets it.

use crate::directory::{Directory, File};

/// The name of the file. No segment has the number 0.
pub(crate) const NAME: &str = "0000000000000000.reserve";

/// The reserve is for records of at most one byte for so many of its own.
const RESERVE_PER_RECORD: usize = 2;

/// Bytes written at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Makes the reserve as large as there is room, unless it is large enough already.
pub(crate) fn keep<D: Directory>(directory: &D, size_bytes: usize) {
    let there = directory.open(NAME).and_then(|file| file.status());
    if there.is_ok_and(|status| status.size_bytes >= size_bytes as u64) {
        return;
    }
    give_up(directory);
    let Ok(file) = directory.create(NAME) else { return };
    let (mut written, mut state) = (0, 1);
    while written < size_bytes {
        let chunk = chunk(&mut state, CHUNK_BYTES.min(size_bytes - written));
        if file.write(written as u64, &chunk).is_err() {
            return;
        }
        written += chunk.len();
    }
}

/// Returns whether the reserve may be given up for a record of so many bytes.
///
/// A record that does not fit would fail in the middle, and what was written of it would keep the
/// room: neither the segment nor the reserve could get it back, and nobody could open the store.
pub(crate) fn is_for(record_bytes: usize, reserve_bytes: usize) -> bool {
    record_bytes <= reserve_bytes / RESERVE_PER_RECORD
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
