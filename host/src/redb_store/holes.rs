//! Reading around the damaged parts of an ordered table.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

/// Bytes of a key in which probes differ. Later bytes are not searched.
const MAX_PROBED_BYTES: usize = 64;

/// Halvings of a hole in search of readable entries within it.
const ISLAND_DEPTH: u32 = 5;

/// Most attempts to find a nearer end of a hole.
const MAX_ISLANDS: u32 = 16;

/// Ranges of keys that cannot be read, apart from each other: from the first key that may be lost
/// to the first that can be read again; `None` at the end of the table.
#[derive(Debug, Default)]
pub(super) struct Holes(BTreeMap<Bytes, Option<Bytes>>);

impl Holes {
    /// Returns the end of the hole that a key is in.
    pub(super) fn end_of(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let below = (Bound::Unbounded, Bound::Included(key));
        let (_, end) = self.0.range::<[u8], _>(below).next_back()?;
        end.as_ref().is_none_or(|end| key < end.as_ref()).then(|| end.clone())
    }

    /// Returns the start of the first hole behind a key.
    pub(super) fn next_start(&self, key: &[u8]) -> Option<Bytes> {
        let above = (Bound::Excluded(key), Bound::Unbounded);
        self.0.range::<[u8], _>(above).next().map(|(start, _)| start.clone())
    }

    pub(super) fn add(&mut self, start: Bytes, end: Option<Bytes>) {
        self.0.insert(start, end);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, Option<&Bytes>)> {
        self.0.iter().map(|(start, end)| (start, end.as_ref()))
    }
}

/// Finds where a table can be read again behind a damaged place at `start`.
///
/// `probe` returns the first key at or behind the one that it is given: `Err` if it meets damage,
/// `Ok(None)` if no key follows. The answer is the first readable key that was found, or `None` if
/// there is none.
///
/// # Cost
/// A few hundred probes.
pub(super) fn readable_behind(
    start: &[u8],
    mut probe: impl FnMut(&[u8]) -> Result<Option<Bytes>, ()>,
) -> Option<Bytes> {
    let width = start.len().clamp(24, MAX_PROBED_BYTES);
    let number = |key: &[u8]| -> Vec<u8> {
        let mut number = key.get(..width).unwrap_or(key).to_vec();
        number.resize(width, 0);
        number
    };
    let start = number(start);
    // In steps that double: the nearest end of the damage is met before any farther one.
    let mut bad = start.clone();
    let mut found = None;
    for bit in 0..8 * width {
        let Some(next) = plus_bit(&start, bit) else { break };
        match probe(&next) {
            Ok(key) => {
                found = Some((next, key));
                break;
            }
            Err(()) => bad = next,
        }
    }
    let (mut good, mut key) = found?;
    bisect(&mut bad, &mut good, &mut key, &mut probe);
    // Readable entries between two damaged places.
    for _ in 0..MAX_ISLANDS {
        let Some(island) = island(&start, &bad, ISLAND_DEPTH, key.as_ref(), &mut probe) else { break };
        (good, key) = island;
        bad.clone_from(&start);
        bisect(&mut bad, &mut good, &mut key, &mut probe);
    }
    key
}

/// Moves `good` down to the lowest number that can be read, as far as halving finds it.
fn bisect(
    bad: &mut Vec<u8>,
    good: &mut Vec<u8>,
    key: &mut Option<Bytes>,
    probe: &mut impl FnMut(&[u8]) -> Result<Option<Bytes>, ()>,
) {
    loop {
        let middle = middle(bad, good);
        if middle == *bad {
            return;
        }
        match probe(&middle) {
            Ok(found) => (*good, *key) = (middle, found),
            Err(()) => *bad = middle,
        }
    }
}

/// Looks for a readable key between two numbers, which is before `end`.
fn island(
    from: &[u8],
    to: &[u8],
    depth: u32,
    end: Option<&Bytes>,
    probe: &mut impl FnMut(&[u8]) -> Result<Option<Bytes>, ()>,
) -> Option<(Vec<u8>, Option<Bytes>)> {
    let middle = middle(from, to);
    if depth == 0 || middle == from {
        return None;
    }
    match probe(&middle) {
        Ok(Some(key)) if end.is_none_or(|end| key < end) => return Some((middle, Some(key))),
        _ => {}
    }
    island(from, &middle, depth - 1, end, probe).or_else(|| island(&middle, to, depth - 1, end, probe))
}

/// Adds a power of two to a big-endian number; `None` if it overflows.
fn plus_bit(number: &[u8], bit: usize) -> Option<Vec<u8>> {
    let mut sum = number.to_vec();
    let mut carry = 1_u16 << (bit % 8);
    for byte in sum.iter_mut().rev().skip(bit / 8) {
        let added = u16::from(*byte) + carry;
        *byte = added as u8;
        carry = added >> 8;
        if carry == 0 {
            return Some(sum);
        }
    }
    None
}

/// Returns the number half way between two, rounded down. Both have as many bytes.
fn middle(low: &[u8], high: &[u8]) -> Vec<u8> {
    let mut sum = vec![0; low.len()];
    let mut carry = 0_u16;
    for ((sum, low), high) in sum.iter_mut().zip(low).zip(high).rev() {
        let added = u16::from(*low) + u16::from(*high) + carry;
        *sum = added as u8;
        carry = added >> 8;
    }
    for byte in &mut sum {
        let shifted = (*byte >> 1) | ((carry as u8) << 7);
        carry = u16::from(*byte & 1);
        *byte = shifted;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Bytes {
        [&b"\x04main\x20"[..], &number.to_be_bytes()].concat().into()
    }

    /// A table of the keys 0, 10, 20 … 100,000, of which those in `lost` cannot be read.
    fn find(start: u64, lost: &[(u64, u64)]) -> Option<Bytes> {
        let probe = |asked: &[u8]| {
            let keys = (0..=10_000).map(|at| at * 10);
            let next = keys.into_iter().find(|number| key(*number)[..] >= *asked);
            match next {
                Some(number) if lost.iter().any(|(from, to)| (*from..*to).contains(&number)) => Err(()),
                next => Ok(next.map(key)),
            }
        };
        readable_behind(&key(start), probe)
    }

    #[test]
    fn the_first_readable_key_behind_a_hole_is_found() {
        for (from, to) in [(10, 20), (10, 50), (5000, 70_000), (0, 100_000), (99_980, 100_000)] {
            assert_eq!(find(from, &[(from, to)]), Some(key(to)), "{from}..{to}");
        }
        assert_eq!(find(50, &[(50, 100_001)]), None);
        // Entries between two holes are not given up for a nearer end behind both.
        assert_eq!(find(50, &[(50, 1000), (3000, 9000)]), Some(key(1000)));
        assert_eq!(find(50, &[(50, 40_000), (60_000, 90_000)]), Some(key(40_000)));
    }

    #[test]
    fn a_hole_is_known_from_its_start_to_before_its_end() {
        let mut holes = Holes::default();
        holes.add(key(10), Some(key(20)));
        holes.add(key(50), None);
        for (number, end) in [(9, None), (10, Some(Some(key(20)))), (19, Some(Some(key(20)))), (20, None)] {
            assert_eq!(holes.end_of(&key(number)), end, "{number}");
        }
        assert_eq!(holes.end_of(&key(60)), Some(None));
        assert_eq!(holes.next_start(&key(0)), Some(key(10)));
        assert_eq!(holes.next_start(&key(10)), Some(key(50)));
        assert_eq!(holes.next_start(&key(50)), None);
    }

    #[test]
    fn sums_and_halves_carry() {
        assert_eq!(plus_bit(&[0, 255, 255], 0), Some(vec![1, 0, 0]));
        assert_eq!(plus_bit(&[0, 1, 0], 9), Some(vec![0, 3, 0]));
        assert_eq!(plus_bit(&[255, 255], 3), None);
        assert_eq!(middle(&[0, 0], &[1, 1]), [0, 128]);
        assert_eq!(middle(&[255, 254], &[255, 255]), [255, 254]);
        assert_eq!(middle(&[255, 0], &[255, 255]), [255, 127]);
    }
}
