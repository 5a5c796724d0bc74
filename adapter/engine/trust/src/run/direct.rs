//! Reads and writes in both ways that the engine offers: by copying, and in place.

use kvfs::{At, Descriptor, Result, Volume};

/// Writes by copying or in place; `number` chooses.
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
    let (mut rest, mut places) = (data, Ranges::default());
    let placed = volume.place(file, at, data.len(), |place| {
        places.add(place);
        let (bytes, behind) = rest.split_at(place.len());
        place.copy_from_slice(bytes);
        rest = behind;
    })?;
    if !placed {
        return volume.write(file, at, data);
    }
    assert_eq!(rest, [], "fewer bytes were placed than acknowledged");
    // Glue fills the places only now, so they must still be where the file's bytes lie.
    if file.access().read {
        let offset = match at {
            At::Offset(offset) => offset,
            At::End => volume.stat(file)?.size.saturating_sub(data.len() as u64),
        };
        let mut lie = Ranges::default();
        volume.lend(file, offset, data.len(), |piece| lie.add(piece))?;
        assert_eq!(lie, places, "bytes moved after their place was given");
    }
    volume.placed(file).map(|()| data.len())
}

/// Ranges of memory; ranges that touch are joined.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ranges(Vec<std::ops::Range<usize>>);

impl Ranges {
    fn add(&mut self, bytes: &[u8]) {
        let start = bytes.as_ptr().addr();
        match self.0.last_mut() {
            Some(last) if last.end == start => last.end += bytes.len(),
            _ => self.0.push(start..start + bytes.len()),
        }
    }
}

/// Reads by copying or in place; the offset chooses.
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
