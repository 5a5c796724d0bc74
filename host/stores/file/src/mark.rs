//! Marks: how much of a segment was durable, said in a file beside it.
//!
//! A segment says so itself, but damage may take its words along with its records. So a writer
//! notes it in `<epoch>.mark` too, after each sync. An opener that finds less than a mark says does
//! not go on, unless the loss is accepted.
//!
//! ```text
//!  0 magic "kvm1"       8 epoch         u64     24 salt of the segment, 16 bytes
//!  4 zero    u32       16 durable bytes u64     40 zeros
//!                                               56 hash of bytes 0..56 u64
//! ```
//!
//! Numbers are little-endian; the hash is XXH64. The file has two such slots, written alternately
//! in place, so that a write that a crash tears leaves the mark before it. Nothing syncs a mark: a
//! crash that loses it leaves less to compare with, and nothing wrong. Its salt tells records from
//! values if the start of the segment is damaged.

use crate::directory::{Directory, File, IoKind};
use crate::lease::remove;
use crate::names::{Name, mark_name, segment_name};
use crate::salt::Salt;
use kvfs_contract::StoreError;
use xxhash_rust::xxh64::xxh64;

const SLOT_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"kvm1";

/// So many bytes of a segment were durable once, and all segments that it lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) epoch: u64,
    pub(crate) durable_bytes: u64,
    pub(crate) salt: Salt,
}

impl Mark {
    fn to_bytes(self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.durable_bytes.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.salt.to_bytes());
        let hash = xxh64(&bytes[..56], 0);
        bytes[56..64].copy_from_slice(&hash.to_le_bytes());
        bytes
    }

    /// Reads a slot of the mark of an epoch; `None` if it is not whole.
    fn from_bytes(bytes: &[u8], epoch: u64) -> Option<Self> {
        let bytes: &[u8; SLOT_BYTES] = bytes.try_into().ok()?;
        let durable_bytes = u64::from_le_bytes(*bytes.get(16..)?.first_chunk()?);
        let salt = Salt::from_bytes(*bytes.get(24..)?.first_chunk()?);
        let mark = Self { epoch, durable_bytes, salt };
        (mark.to_bytes() == *bytes).then_some(mark)
    }
}

/// Reads the marks of these epochs. Those that are gone, empty or not whole say nothing.
pub(crate) fn read_marks<D: Directory>(directory: &D, names: &[Name]) -> Result<Vec<Mark>, StoreError> {
    let mut marks = Vec::new();
    for name in names {
        let Name::Mark(epoch) = *name else { continue };
        let bytes = match directory.open(&mark_name(epoch)).and_then(|file| file.read(0, 2 * SLOT_BYTES)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind == IoKind::NotFound => continue,
            Err(error) => return Err(error.at(&mark_name(epoch))),
        };
        let slots = bytes.chunks(SLOT_BYTES).filter_map(|slot| Mark::from_bytes(slot, epoch));
        marks.extend(slots.max_by_key(|mark| mark.durable_bytes));
    }
    Ok(marks)
}

/// Checks that what was read has as much as the marks say. `read` are the epochs that count with
/// their accepted bytes, ascending.
///
/// A segment that is not among them, and is older than the newest, was collected: the newest one
/// was begun by an opener that had found it, or had the loss accepted.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if a durable part is missing.
pub(crate) fn check(marks: &[Mark], read: &[(u64, u64)]) -> Result<(), StoreError> {
    let newest = read.last().map(|&(epoch, _)| epoch);
    for &Mark { epoch, durable_bytes, .. } in marks {
        let found = read.iter().find(|(of, _)| *of == epoch).map(|&(_, accepted_bytes)| accepted_bytes);
        let what = match found {
            Some(accepted_bytes) if accepted_bytes >= durable_bytes => continue,
            Some(accepted_bytes) => format!("is whole for {accepted_bytes} bytes only"),
            None if newest.is_some_and(|newest| newest > epoch) => continue,
            None => "is missing or has no start".into(),
        };
        return Err(StoreError::Corrupt(format!(
            "{} {what}, and {durable_bytes} bytes of it were durable, as {} says: what was written there \
             last is lost; put the files back as they were, or accept the loss (--accept-loss) to go on with \
             what is there",
            segment_name(epoch),
            mark_name(epoch),
        )));
    }
    Ok(())
}

/// Writes the marks of an opener.
#[derive(Debug)]
pub(crate) struct Marker<F> {
    current: Option<Current<F>>,
    /// Marks that go once a newer one is there.
    older: Vec<u64>,
}

#[derive(Debug)]
struct Current<F> {
    epoch: u64,
    file: F,
    second_slot: bool,
}

impl<F: File> Marker<F> {
    /// Begins beside the marks of earlier openers.
    pub(crate) fn new(names: &[Name]) -> Self {
        let marks = names.iter().filter(|name| matches!(name, Name::Mark(_)));
        Self { current: None, older: marks.map(|name| name.epoch()).collect() }
    }

    /// Notes that so much of a segment is durable, and all segments that it lists.
    ///
    /// A mark that cannot be written, on a full disk for example, is left out: an older one stays,
    /// and says something weaker that is as true.
    pub(crate) fn put<D: Directory<File = F>>(&mut self, directory: &D, mark: Mark) {
        let epoch = mark.epoch;
        let current = match self.current.take() {
            Some(current) if current.epoch == epoch => Some(current),
            before => {
                self.older.extend(before.map(|before| before.epoch));
                let file = directory.create(&mark_name(epoch));
                file.ok().map(|file| Current { epoch, file, second_slot: false })
            }
        };
        let Some(mut current) = current else { return };
        let at = if current.second_slot { SLOT_BYTES as u64 } else { 0 };
        if current.file.write(at, &mark.to_bytes()).is_ok() {
            current.second_slot = !current.second_slot;
            for older in self.older.drain(..) {
                // The next opener removes what is left.
                let _ = remove(directory, &mark_name(older));
            }
        }
        self.current = Some(current);
    }

    /// Removes the marks of earlier openers, whose loss was accepted.
    pub(crate) fn forget<D: Directory<File = F>>(&mut self, directory: &D) -> Result<(), StoreError> {
        self.older.drain(..).try_for_each(|older| remove(directory, &mark_name(older)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_any_flipped_bit_is_found() {
        let mark = Mark { epoch: 7, durable_bytes: 1 << 40, salt: Salt::from_numbers([3, 4]) };
        let bytes = mark.to_bytes();
        assert_eq!(Mark::from_bytes(&bytes, 7), Some(mark));
        assert_eq!(Mark::from_bytes(&bytes, 8), None, "another segment's");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::from_bytes(&damaged, 7), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Mark::from_bytes(&bytes[..length], 7), None, "{length} bytes");
        }
        assert_eq!(Mark::from_bytes(&[0; SLOT_BYTES], 0), None);
    }

    #[test]
    fn less_than_a_mark_says_is_an_error_and_a_collected_segment_is_none() {
        let mark = |epoch, durable_bytes| Mark { epoch, durable_bytes, salt: Salt::NONE };
        let marks = [mark(4, 100), mark(6, 200)];
        let read: [&[(u64, u64)]; 4] =
            [&[(4, 100), (6, 200)], &[(6, 300)], &[(3, 5), (7, 0)], &[(4, 1000), (6, 200)]];
        for read in read {
            assert_eq!(check(&marks, read), Ok(()), "{read:?}");
        }
        let lost: [(&[(u64, u64)], &str); 5] = [
            (&[], "0000000000000004.kvfs"),
            (&[(4, 100)], "0000000000000006.kvfs is missing"),
            (&[(4, 99), (6, 200)], "0000000000000004.kvfs is whole for 99 bytes"),
            (&[(4, 100), (6, 199)], "0000000000000006.kvfs is whole for 199 bytes"),
            (&[(6, 199)], "0000000000000006.kvfs"),
        ];
        for (read, text) in lost {
            let error = check(&marks, read).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("accept"), "{read:?}: {error}");
        }
    }
}
