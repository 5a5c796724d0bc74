//! A mark: which store it is, and how many durable applies it has acknowledged.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh64::xxh64;

use crate::StoreError;

/// The form of the marks that this version writes.
pub(crate) const MARK_FORM: u32 = 1;

/// The key under which a store holds its own mark. No volume has it, as the prefix of a volume
/// begins with a length of 1 to 255.
pub(crate) const MARK_KEY: &[u8] = b"\x00kvfs-mark";

/// The first bytes of an encoded mark. The digit is its form. A later form keeps the number of bytes
/// and the checksum of this one, so that it is told from damage.
const MAGIC: [u8; 4] = *b"kvm1";

/// Bytes of an encoded mark: magic, id, applies, time, checksum.
pub(crate) const MARK_BYTES: usize = 4 + ID_BYTES + 8 + 8 + 8;

const ID_BYTES: usize = 16;

/// Progress of a store: the number of durable applies that it had acknowledged, and when it
/// acknowledged the last of them.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mark {
    /// Random bytes that tell the store from every other. Copies of it have the same.
    pub store_id: [u8; ID_BYTES],
    /// Durable applies so far, counted from 1. A loss that was accepted counts as one.
    pub applies: u64,
    /// The time of the last of them by the host's clock, in seconds since 1970.
    pub seconds: u64,
}

impl Mark {
    /// Makes a mark for a store without one.
    ///
    /// # Errors
    /// [`StoreError::Fault`] if the system has no random bytes.
    pub(super) fn first() -> Result<Self, StoreError> {
        let mut store_id = [0; ID_BYTES];
        getrandom::fill(&mut store_id)
            .map_err(|error| StoreError::Fault(format!("the system has no random bytes: {error}")))?;
        Ok(Self { store_id, applies: 1, seconds: now() })
    }

    /// Returns the mark after one more durable apply.
    pub(super) fn next(self) -> Self {
        Self { applies: self.applies.saturating_add(1), seconds: now(), ..self }
    }

    pub(crate) fn encode(&self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        let mut at = 0;
        let mut push = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        push(&MAGIC);
        push(&self.store_id);
        push(&self.applies.to_be_bytes());
        push(&self.seconds.to_be_bytes());
        let sum = xxh64(&bytes[..MARK_BYTES - 8], 0);
        bytes[MARK_BYTES - 8..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// Returns the mark in these bytes, which are hostile; `None` if they are no whole mark of this
    /// form.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let body = whole(bytes)?;
        let (store_id, numbers) = body.strip_prefix(&MAGIC)?.split_first_chunk()?;
        let (applies, seconds) = numbers.split_first_chunk()?;
        Some(Self {
            store_id: *store_id,
            applies: u64::from_be_bytes(*applies),
            seconds: u64::from_be_bytes(*seconds.first_chunk()?),
        })
    }

    /// Returns the form of a mark that a later version wrote; `None` for any other bytes.
    pub(crate) fn later_form(bytes: &[u8]) -> Option<u32> {
        match whole(bytes)?.strip_prefix(b"kvm")?.first()? {
            digit @ b'2'..=b'9' => Some(u32::from(digit - b'0')),
            _ => None,
        }
    }

    /// Returns the time of the last durable apply, as text.
    pub fn time(&self) -> String {
        let seconds = i64::try_from(self.seconds).unwrap_or(i64::MAX);
        let text = kvfs_audit::Time { seconds, nanoseconds: 0 }.to_string();
        match text.split_once('.') {
            Some((second, _)) => format!("{second}Z"),
            None => text,
        }
    }
}

/// Returns the bytes before the checksum if they are as they were written.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let bytes: &[u8; MARK_BYTES] = bytes.try_into().ok()?;
    let (body, sum) = bytes.split_at(MARK_BYTES - 8);
    (sum == xxh64(body, 0).to_be_bytes()).then_some(body)
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u128::from_be_bytes(self.store_id);
        write!(f, "Mark({id:032x}, {} applies, {})", self.applies, self.time())
    }
}

fn now() -> u64 {
    // A clock before 1970 was never set.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Encodes a mark as a later version might.
    pub(crate) fn of_a_later_form(mark: &Mark) -> [u8; MARK_BYTES] {
        let mut bytes = mark.encode();
        bytes[3] = b'2';
        let sum = xxh64(&bytes[..MARK_BYTES - 8], 0);
        bytes[MARK_BYTES - 8..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn a_later_form_is_told_from_damage() {
        let mark = Mark { store_id: *b"0123456789abcdef", applies: 7, seconds: 1_700_000_000 };
        let later = of_a_later_form(&mark);
        assert_eq!((Mark::decode(&later), Mark::later_form(&later)), (None, Some(2)));
        assert_eq!(Mark::later_form(&mark.encode()), None);
        for at in 0..later.len() * 8 {
            let mut flipped = later;
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(Mark::later_form(&flipped), None, "bit {at}");
        }
        let mut flipped = mark.encode();
        flipped[3] = b'2';
        assert_eq!(Mark::later_form(&flipped), None, "a damaged digit is no later form");
    }

    #[test]
    fn a_mark_is_read_back_and_no_other_bytes_are_one() {
        let mark = Mark { store_id: *b"0123456789abcdef", applies: 7, seconds: 1_700_000_000 };
        let bytes = mark.encode();
        assert_eq!(Mark::decode(&bytes), Some(mark));
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(Mark::decode(&flipped), None, "bit {at}");
        }
        for cut in 0..bytes.len() {
            assert_eq!(Mark::decode(&bytes[..cut]), None);
        }
        assert_eq!(Mark::decode(&[0; MARK_BYTES]), None);
        assert_eq!(mark.time(), "2023-11-14T22:13:20Z");
        let late = Mark { seconds: u64::MAX, applies: u64::MAX, ..mark };
        assert!(late.next().applies == u64::MAX && late.time().starts_with("9999-"));
    }
}
