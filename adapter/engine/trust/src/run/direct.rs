//! Reads and writes in both ways that the engine has: with a copy, and where the bytes lie.

use kvfs::{At, Descriptor, Result, Volume};

/// Writes, in the one way or the other by a number.
pub(super) fn write(
    volume: &mut Volume,
    file: &Descriptor,
    at: At,
    data: &[u8],
    number: u8,
) -> Result<usize> {
    if number.is_multiple_of(2) {
        return volume.write(file, at, data);
    }
    let mut rest = data;
    let placed = volume.place(file, at, data.len(), |place| {
        let (bytes, behind) = rest.split_at(place.len());
        place.copy_from_slice(bytes);
        rest = behind;
    })?;
    if !placed {
        return volume.write(file, at, data);
    }
    assert_eq!(rest, [], "there was a place for fewer bytes than were taken");
    volume.placed(file).map(|()| data.len())
}

/// Reads, in the one way or the other by the offset.
pub(super) fn read(
    volume: &mut Volume,
    file: &Descriptor,
    offset: u64,
    length: usize,
    bytes: &mut Vec<u8>,
) -> Result<usize> {
    if offset.is_multiple_of(2) {
        return volume.read(file, offset, length, bytes);
    }
    volume.lend(file, offset, length, |piece| bytes.extend_from_slice(piece))
}
