//! Reading ahead: the inodes that a reader of many asks for next.
//!
//! Whoever lists a directory usually asks for each inode too, in the listing's order. After two or
//! three of them, the rest of the page comes with one `get`. Inodes that are asked for in the order
//! in which they were made count as listed too.

use crate::types::InodeNo;
use std::ops::Range;

/// Most inodes of a page that are kept, and read at once.
pub(super) const MAX_AHEAD_INODES: usize = 1024;

/// Growth of the number that is read ahead, as long as the reader follows.
const GROWTH: usize = 8;

/// Missing inodes in a row that are not of the listing, after which it is forgotten: finding that
/// out costs a look through it.
const MAX_STRAYS: u8 = 8;

/// Consecutive numbers in a row that count as a listing.
const MIN_CONSECUTIVE: u8 = 2;

/// The inodes of the last page of a listing, in its order.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    listed: Vec<InodeNo>,
    /// Those before it were read, or passed over.
    next: usize,
    /// How many are read when the next one is missing; 0 counts as 1.
    window: usize,
    strays: u8,
    /// The last inode that was missing and not of the listing, and how many with consecutive
    /// numbers came before it.
    stray: u64,
    consecutive: u8,
}

impl Ahead {
    /// Starts a page. The reader of the last one is taken to follow on this one if it came to its
    /// end.
    pub(crate) fn follow(&mut self, listed: impl Iterator<Item = InodeNo>) {
        if self.next < self.listed.len() || self.listed.is_empty() {
            self.window = 0;
        }
        self.listed.clear();
        self.listed.extend(listed.take(MAX_AHEAD_INODES));
        (self.next, self.strays) = (0, 0);
    }

    /// Returns up to `most` inodes to read when `ino` is missing: itself first, then the next ones
    /// of the listing. Empty if `ino` is not of the listing.
    pub(super) fn starting_with(&mut self, ino: InodeNo, most: usize) -> &[InodeNo] {
        let place = self.place_of(ino).or_else(|| self.stray(ino));
        let range = place.map_or(0..0, |place| self.range_from(place, most));
        self.listed.get(range).unwrap_or_default()
    }

    /// Returns whether nobody follows a listing.
    pub(super) fn is_idle(&self) -> bool {
        self.listed.is_empty()
    }

    fn place_of(&self, ino: InodeNo) -> Option<usize> {
        let (before, behind) = self.listed.split_at_checked(self.next)?;
        let is_it = |listed: &InodeNo| *listed == ino;
        let place = behind.iter().position(is_it).map(|place| self.next + place);
        place.or_else(|| before.iter().position(is_it))
    }

    fn range_from(&mut self, place: usize, most: usize) -> Range<usize> {
        self.strays = 0;
        if place < self.next {
            self.window = 0;
        }
        let window = self.window.max(1);
        let end = place.saturating_add(window.min(most).max(1)).min(self.listed.len());
        (self.window, self.next) = ((window * GROWTH).min(MAX_AHEAD_INODES), end);
        place..end
    }

    /// Notes that a missing inode is not of the listing. Returns its place if it starts one.
    fn stray(&mut self, ino: InodeNo) -> Option<usize> {
        let last = self.listed.last().filter(|_| self.next == self.listed.len());
        let goes_on = last.is_some_and(|last| last.0.checked_add(1) == Some(ino.0)) && self.window > GROWTH;
        // At first there was none, which is not number 0.
        let is_next = self.stray > 0 && self.stray.checked_add(1) == Some(ino.0);
        self.stray = ino.0;
        self.consecutive = if is_next { self.consecutive.saturating_add(1) } else { 0 };
        if goes_on || self.consecutive >= MIN_CONSECUTIVE {
            self.follow((ino.0..=ino.0.saturating_add(MAX_AHEAD_INODES as u64 - 1)).map(InodeNo));
            return Some(0);
        }
        self.strays = self.strays.saturating_add(1);
        if self.strays >= MAX_STRAYS {
            self.listed.clear();
            (self.next, self.window) = (0, 0);
        }
        None
    }

    /// Forgets the listing, and gives its memory back.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(numbers: Range<u64>) -> impl Iterator<Item = InodeNo> {
        numbers.map(InodeNo)
    }

    /// Reads every missing inode of `asked`; returns how many were read at once each time.
    fn reads(ahead: &mut Ahead, asked: impl Iterator<Item = u64>) -> Vec<usize> {
        let mut known: std::collections::BTreeSet<InodeNo> = std::collections::BTreeSet::new();
        let mut reads = Vec::new();
        for ino in asked.map(InodeNo) {
            if !known.contains(&ino) {
                let read = ahead.starting_with(ino, 2048);
                assert!(read.is_empty() || read[0] == ino);
                reads.push(read.len());
                known.extend(read);
            }
        }
        reads
    }

    #[test]
    fn a_reader_who_follows_a_listing_reads_a_page_at_once() {
        let mut ahead = Ahead::default();
        ahead.follow(page(0..1024));
        assert_eq!(reads(&mut ahead, 0..1024), [1, 8, 64, 512, 439]);
        ahead.follow(page(1024..2048));
        assert_eq!(reads(&mut ahead, 1024..2048), [1024]);
    }

    #[test]
    fn a_reader_who_stops_or_strays_reads_little() {
        let mut ahead = Ahead::default();
        ahead.follow(page(0..1024));
        assert_eq!(reads(&mut ahead, 0..2), [1, 8]);
        ahead.follow(page(1024..2048));
        assert_eq!(reads(&mut ahead, 1024..1025), [1], "the last page was not read to its end");
        // No inode of a page is read ahead twice, in whatever order a reader asks.
        ahead.follow(page(0..1024));
        let total: usize = reads(&mut ahead, (0..1024).map(|number| number * 389 % 1024)).iter().sum();
        assert!(total < 3 * 1024, "{total}");
        ahead.follow(page(0..1024));
        assert_eq!(reads(&mut ahead, (5000..5016).step_by(2)), [0; 8]);
        assert!(ahead.listed.is_empty());
    }

    #[test]
    fn a_reader_in_the_order_of_creation_reads_ahead_too() {
        let mut ahead = Ahead::default();
        let reads = reads(&mut ahead, 7000..10_000);
        assert_eq!(reads[..3], [0, 0, 1]);
        assert!(reads.len() < 12, "{reads:?}");
    }

    #[test]
    fn the_last_numbers_of_all_are_no_trouble() {
        let mut ahead = Ahead::default();
        assert_eq!(reads(&mut ahead, u64::MAX - 5..=u64::MAX).len(), 4);
    }
}
