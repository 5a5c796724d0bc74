//! The list in a segment's first record: the segments and tables that the store consists of.
//!
//! ```text
//!  0 replay from  u64     then, for each segment, oldest first:    then, for each table, newest first:
//!  8 segments     u32        0 epoch          u64                     0 epoch           u64
//! 12 tables       u16        8 accepted bytes u64                     8 size in bytes   u64
//! 14 collected    u16       16 durable bytes  u64                    16 hash of its end u64
//!                           24 live bytes     u64
//!                           32 removal bytes  u64                  then, for each segment that was
//!                           40 salt   16 bytes                     collected of late, oldest first:
//!                                                                     0 epoch           u64
//!                                                                     8 accepted bytes  u64
//! ```
//!
//! The second form of the list had no salts. The first form of the list was epochs and accepted bytes alone, without the head of 16 bytes; its
//! writers made segments durable before they listed them.

use crate::salt::Salt;

/// Most segments that a list may have.
pub(crate) const MAX_LISTED_SEGMENTS: usize = 1 << 16;

/// Most bytes of a segment in a list. A whole store of the first form may be one; file systems have
/// longer files, whose holes take no room.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 1 << 46;

/// Most tables that a list may have.
pub(crate) const MAX_LISTED_TABLES: usize = 64;

/// Most segments in a list that were collected. Their writers may still ask how much of them
/// counted.
pub(crate) const MAX_COLLECTED: usize = 32;

/// The segments and tables of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    /// The tables have all changes of the segments before this epoch.
    pub(crate) replay_from: u64,
    /// Oldest first.
    pub(crate) segments: Vec<ListedSegment>,
    /// Newest first.
    pub(crate) tables: Vec<ListedTable>,
    /// Segments that were collected of late: epochs and accepted bytes.
    pub(crate) collected: Vec<(u64, u64)>,
}

/// A segment in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListedSegment {
    pub(crate) epoch: u64,
    /// How much of it counts.
    pub(crate) accepted_bytes: u64,
    /// How much of it was durable when the list was written.
    pub(crate) durable_bytes: u64,
    /// What the tables name of it; 0 in a segment to replay.
    pub(crate) live_bytes: u64,
    /// The removals in it; 0 in a segment to replay.
    pub(crate) removal_bytes: u64,
    /// Its salt, so that it need not be read, and if its start gets damaged.
    pub(crate) salt: Salt,
}

/// A segment that counts: its epoch, its accepted and durable bytes, and its salt.
pub(crate) type Part = (u64, u64, u64, Salt);

/// A table in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListedTable {
    pub(crate) epoch: u64,
    pub(crate) size_bytes: u64,
    /// A hash of the part of the table that has the hashes of its other parts.
    pub(crate) hash: u64,
}

impl List {
    /// Returns the list's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.replay_from.to_le_bytes().to_vec();
        bytes.extend_from_slice(&(self.segments.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.tables.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&(self.collected.len() as u16).to_le_bytes());
        let segments = self.segments.iter().flat_map(|s| {
            let [seed, tail] = s.salt.to_numbers();
            [s.epoch, s.accepted_bytes, s.durable_bytes, s.live_bytes, s.removal_bytes, seed, tail]
        });
        let tables = self.tables.iter().flat_map(|table| [table.epoch, table.size_bytes, table.hash]);
        let collected = self.collected.iter().flat_map(|&(epoch, accepted_bytes)| [epoch, accepted_bytes]);
        for number in segments.chain(tables).chain(collected) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads a list in a segment of this epoch; `None` if it is none.
    pub(crate) fn from_bytes(bytes: &[u8], epoch: u64) -> Option<Self> {
        Self::read(bytes, epoch, 7)
    }

    /// Reads a list of the second form.
    pub(crate) fn from_second_form(bytes: &[u8], epoch: u64) -> Option<Self> {
        Self::read(bytes, epoch, 5)
    }

    /// Reads a list with so many numbers for each segment.
    fn read(bytes: &[u8], epoch: u64, per_segment: usize) -> Option<Self> {
        let replay_from = u64::from_le_bytes(*bytes.first_chunk()?);
        let segments = u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?) as usize;
        let tables = usize::from(u16::from_le_bytes(*bytes.get(12..)?.first_chunk()?));
        let collected = usize::from(u16::from_le_bytes(*bytes.get(14..)?.first_chunk()?));
        if segments > MAX_LISTED_SEGMENTS || tables > MAX_LISTED_TABLES || collected > MAX_COLLECTED {
            return None;
        }
        let numbers = numbers(bytes.get(16..)?)?;
        if numbers.len() != segments * per_segment + tables * 3 + collected * 2 {
            return None;
        }
        let (of_segments, rest) = numbers.split_at_checked(segments * per_segment)?;
        let (of_tables, of_collected) = rest.split_at_checked(tables * 3)?;
        let segments = of_segments.chunks_exact(per_segment).map(|s| ListedSegment {
            epoch: s[0],
            accepted_bytes: s[1],
            durable_bytes: s[2],
            live_bytes: s[3],
            removal_bytes: s[4],
            salt: s
                .get(5..)
                .and_then(|salt| salt.first_chunk())
                .map_or(Salt::NONE, |it| Salt::from_numbers(*it)),
        });
        let tables =
            of_tables.chunks_exact(3).map(|t| ListedTable { epoch: t[0], size_bytes: t[1], hash: t[2] });
        let collected = of_collected.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let list = Self { replay_from, segments: segments.collect(), tables: tables.collect(), collected };
        list.is_possible(epoch).then_some(list)
    }

    /// Reads a list of the first form.
    pub(crate) fn from_first_form(bytes: &[u8], epoch: u64) -> Option<Self> {
        let numbers = numbers(bytes)?;
        let segments = numbers.chunks(2).map(|pair| {
            let &[epoch, accepted_bytes] = pair else { return None };
            let durable_bytes = accepted_bytes;
            Some(ListedSegment { epoch, accepted_bytes, durable_bytes, ..ListedSegment::default() })
        });
        let segments =
            segments.collect::<Option<Vec<_>>>().filter(|found| found.len() <= MAX_LISTED_SEGMENTS)?;
        let list = Self { segments, ..Self::default() };
        list.is_possible(epoch).then_some(list)
    }

    fn is_possible(&self, epoch: u64) -> bool {
        let whole = |s: &ListedSegment| {
            let used = s.live_bytes.checked_add(s.removal_bytes);
            s.epoch < epoch
                && s.accepted_bytes <= MAX_SEGMENT_BYTES
                && s.durable_bytes <= s.accepted_bytes
                && used.is_some_and(|used| used <= s.accepted_bytes)
        };
        self.segments.iter().all(whole)
            && self.segments.is_sorted_by(|a, b| a.epoch < b.epoch)
            && self.tables.iter().all(|table| table.epoch <= epoch)
            && self.tables.is_sorted_by(|a, b| a.epoch > b.epoch)
            && self.replay_from <= epoch
    }
}

fn numbers(bytes: &[u8]) -> Option<Vec<u64>> {
    bytes.chunks(8).map(|number| Some(u64::from_le_bytes(*number.first_chunk()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> List {
        let segment = |epoch| ListedSegment {
            epoch,
            accepted_bytes: 1000 * epoch,
            durable_bytes: 500,
            live_bytes: 300,
            removal_bytes: 20,
            salt: Salt::from_numbers([epoch, 9]),
        };
        let table = |epoch| ListedTable { epoch, size_bytes: 4096, hash: u64::MAX - epoch };
        List {
            replay_from: 4,
            segments: vec![segment(1), segment(3), segment(4)],
            tables: vec![table(4), table(2)],
            collected: vec![(2, 700)],
        }
    }

    #[test]
    fn what_is_written_is_read_and_a_cut_or_longer_list_is_refused() {
        let bytes = list().to_bytes();
        assert_eq!(List::from_bytes(&bytes, 5), Some(list()));
        for length in 0..bytes.len() {
            assert_eq!(List::from_bytes(&bytes[..length], 5), None, "{length} bytes");
        }
        assert_eq!(List::from_bytes(&[&bytes[..], &[0; 8]].concat(), 5), None);
        assert_eq!(List::from_bytes(&List::default().to_bytes(), 1), Some(List::default()));
    }

    #[test]
    fn a_list_of_the_second_form_has_no_salts() {
        let mut without = list();
        without.segments.iter_mut().for_each(|segment| segment.salt = Salt::NONE);
        let mut bytes = list().to_bytes();
        for number in (0..3).rev() {
            let at = 16 + 56 * number + 40;
            bytes.drain(at..at + 16);
        }
        assert_eq!(List::from_second_form(&bytes, 5), Some(without));
        assert_eq!(List::from_bytes(&bytes, 5), None);
        assert_eq!(List::from_second_form(&list().to_bytes(), 5), None);
    }

    #[test]
    fn an_impossible_list_is_refused() {
        let spoiled: [fn(&mut List); 7] = [
            |list| list.segments[0].epoch = 3,
            |list| list.segments[2].epoch = 5,
            |list| list.segments[1].durable_bytes = 3001,
            |list| list.segments[1].live_bytes = u64::MAX,
            |list| list.tables[0].epoch = 2,
            |list| list.tables[0].epoch = 6,
            |list| list.replay_from = 6,
        ];
        for (number, spoil) in spoiled.iter().enumerate() {
            let mut list = list();
            spoil(&mut list);
            assert_eq!(List::from_bytes(&list.to_bytes(), 5), None, "{number}");
        }
    }

    #[test]
    fn lengths_have_a_sum() {
        let mut list = list();
        list.segments[2].accepted_bytes = MAX_SEGMENT_BYTES;
        assert_eq!(List::from_bytes(&list.to_bytes(), 5), Some(list.clone()));
        list.segments[2].accepted_bytes += 1;
        assert_eq!(List::from_bytes(&list.to_bytes(), 5), None);
        assert!(MAX_SEGMENT_BYTES.checked_mul(MAX_LISTED_SEGMENTS as u64 + 1).is_some());
        let first_form: Vec<u8> = [1, u64::MAX].iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(List::from_first_form(&first_form, 3), None);
    }

    #[test]
    fn a_list_of_the_first_form_says_that_everything_is_durable() {
        let bytes: Vec<u8> = [1u64, 700, 2, 900].iter().flat_map(|number| number.to_le_bytes()).collect();
        let list = List::from_first_form(&bytes, 3).unwrap();
        let segments: Vec<_> =
            list.segments.iter().map(|s| (s.epoch, s.accepted_bytes, s.durable_bytes)).collect();
        assert_eq!(segments, [(1, 700, 700), (2, 900, 900)]);
        assert_eq!(List::from_first_form(&bytes, 2), None, "a segment lists older ones only");
        assert_eq!(List::from_first_form(&bytes[..24], 3), None);
        assert_eq!(List::from_first_form(&bytes[..15], 3), None);
    }
}
