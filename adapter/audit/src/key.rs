//! The keys of an audit log in a store.
//!
//! A volume's key begins with the length of its name, 1 to 255. These begin with a zero, so they
//! belong to no volume, and no volume's scan meets them.

use std::fmt;

const PREFIX: &[u8; 6] = b"\0audit";
const RUN_BYTES: usize = 16;

/// The length of every key of an audit log.
pub const KEY_BYTES: usize = PREFIX.len() + RUN_BYTES + 8;

/// The run with the highest id.
pub const MAX_RUN: RunId = RunId([0xff; RUN_BYTES]);

/// The id of a run: one instance of a component.
///
/// It starts with the time at which the log began, in nanoseconds since 1970, so runs sort by it.
/// The rest tells apart those that began at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub [u8; RUN_BYTES]);

impl RunId {
    /// Makes the `attempt`-th id for a run that begins at a time.
    pub fn new(nanoseconds: u64, attempt: u64) -> Self {
        Self(((u128::from(nanoseconds) << 64) | u128::from(attempt)).to_be_bytes())
    }

    /// Returns when the run began, in nanoseconds since 1970.
    pub fn began_nanoseconds(&self) -> u64 {
        (u128::from_be_bytes(self.0) >> 64) as u64
    }

    /// Parses what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 2 * RUN_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = if is_hex { u128::from_str_radix(text, 16).ok()? } else { return None };
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Finds a free number for [`RunId::new`], if 0 is taken. Those before it usually are, so it asks
/// twice for each binary digit of their count.
///
/// # Errors
/// Those of `is_taken`.
pub fn first_free<E>(mut is_taken: impl FnMut(u64) -> Result<bool, E>) -> Result<u64, E> {
    let (mut taken, mut free) = (0, 1_u64);
    while free < u64::MAX && is_taken(free)? {
        (taken, free) = (free, free.saturating_mul(2));
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_taken(middle)? { taken = middle } else { free = middle }
    }
    Ok(free)
}

/// The key of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The run.
    pub run: RunId,
    /// The record's place in the run, from 0.
    pub seq: u64,
}

impl Key {
    /// Returns the bytes.
    pub fn to_bytes(self) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        let parts = PREFIX.iter().chain(&self.run.0).copied().chain(self.seq.to_be_bytes());
        key.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        key
    }

    /// Reads the bytes; `None` if they are no key of an audit log.
    pub fn parse(key: &[u8]) -> Option<Self> {
        let (run, seq) = key.strip_prefix(PREFIX)?.split_first_chunk()?;
        Some(Self { run: RunId(*run), seq: u64::from_be_bytes(seq.try_into().ok()?) })
    }
}

/// Returns the first possible key of a run, which is where a scan starts.
pub fn first_key(run: RunId) -> [u8; KEY_BYTES] {
    Key { run, seq: 0 }.to_bytes()
}

/// Returns the keys of all runs as a range of a scan: start and end.
pub fn key_end() -> (Vec<u8>, Vec<u8>) {
    let mut end = PREFIX.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (PREFIX.to_vec(), end)
}

/// Returns the keys of one run as a range of a scan: start and end.
pub fn run_range(run: RunId) -> (Vec<u8>, Vec<u8>) {
    let mut end = Key { run, seq: u64::MAX }.to_bytes().to_vec();
    end.push(0);
    (first_key(run).to_vec(), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_run_and_place_and_come_back() {
        let keys: Vec<Key> = [(0, 0), (0, 1), (1, 0), (u64::MAX, u64::MAX)]
            .map(|(time, seq)| Key { run: RunId::new(time, 7), seq })
            .to_vec();
        let bytes: Vec<_> = keys.iter().map(|key| key.to_bytes()).collect();
        assert!(bytes.is_sorted());
        let (start, end) = key_end();
        for (key, bytes) in keys.iter().zip(&bytes) {
            assert_eq!(Key::parse(bytes), Some(*key));
            assert!(start.as_slice() <= bytes.as_slice() && bytes.as_slice() < end.as_slice());
            let (start, end) = run_range(key.run);
            assert!(start.as_slice() <= bytes.as_slice() && bytes.as_slice() < end.as_slice());
            assert_eq!(RunId::parse(&key.run.to_string()), Some(key.run));
        }
    }

    #[test]
    fn the_first_free_number_is_found_with_few_questions() {
        for taken in (1..300).chain([65_535, 65_536, 65_537, u64::MAX - 1, u64::MAX]) {
            let mut asked = 0;
            let found = first_free(|number| {
                asked += 1;
                Ok::<_, ()>(number < taken)
            });
            assert_eq!(found, Ok(taken));
            assert!(asked <= 2 * (64 - taken.leading_zeros()), "{asked} for {taken}");
        }
        // With gaps, any free one will do.
        let found = first_free(|number| Ok::<_, ()>(number % 7 != 4)).unwrap();
        assert_eq!(found % 7, 4);
        assert_eq!(first_free(|_| Err("broken")), Err("broken"));
    }

    #[test]
    fn other_keys_are_none() {
        let key = first_key(RunId::new(1, 2));
        for other in [&b""[..], b"\0", b"\0audit", b"\x04main\0", &key[..KEY_BYTES - 1]] {
            assert_eq!(Key::parse(other), None, "{other:?}");
        }
        assert_eq!(Key::parse(&[&key[..], &[0]].concat()), None);
        for text in ["", "12", "+2345678901234567890123456789012", &"g".repeat(32)] {
            assert_eq!(RunId::parse(text), None, "{text}");
        }
    }
}
