//! What a volume may hold in memory and open now: as its options say, or less if it shares with
//! others.

use super::Volume;
use crate::limits::{MAX_DIRTY_ENTRIES, MAX_HELD_ENTRIES};
use crate::options::{CacheLimits, Options};
use crate::store::Durability;

/// How much of each kind is held, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amounts([usize; KINDS]);

const KINDS: usize = 8;

// What can be given back comes first: what the cache holds, in the order of `CacheLimits`, and
// what is dirty.
const DIRTY_BYTES: usize = 4;
const DIRTY_ENTRIES: usize = 5;
const OPEN: usize = 6;
const HELD_ENTRIES: usize = 7;

impl Amounts {
    pub(crate) const NONE: Self = Self([0; KINDS]);

    /// The most that a volume with these options holds.
    pub(crate) fn of_options(options: &Options) -> Self {
        let CacheLimits { extent_bytes, inodes, inode_bytes, dentries } = options.cache;
        let (dirty, open) = (options.max_dirty_bytes, options.max_open_descriptors as usize);
        let entries = MAX_DIRTY_ENTRIES;
        Self([extent_bytes, inodes, inode_bytes, dentries, dirty, entries, open, MAX_HELD_ENTRIES])
    }

    // One function for all, not inlined: it is not called often enough to be worth its size.
    #[inline(never)]
    fn of_each(mut self, other: Self, of_two: fn(usize, usize) -> usize) -> Self {
        for (one, other) in self.0.iter_mut().zip(other.0) {
            *one = of_two(*one, other);
        }
        self
    }

    pub(crate) fn and(self, other: Self) -> Self {
        self.of_each(other, usize::saturating_add)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        self.of_each(other, usize::saturating_sub)
    }

    pub(crate) fn max(self, other: Self) -> Self {
        self.of_each(other, usize::max)
    }

    pub(crate) fn min(self, other: Self) -> Self {
        self.of_each(other, usize::min)
    }

    /// An equal share for each of so many volumes. Of what cannot be given back there are no
    /// shares: it goes to whoever comes first.
    pub(crate) fn share(self, volumes: usize) -> Self {
        let mut share = Self(self.0.map(|amount| amount / volumes.max(1)));
        (share.0[OPEN], share.0[HELD_ENTRIES]) = (0, 0);
        share
    }

    /// Whether it is less of any kind.
    pub(crate) fn is_less_than(self, other: Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, other)| one < other)
    }

    /// Whether of any kind that can be given back there is less than `held`.
    pub(crate) fn is_exceeded_by(self, held: Self) -> bool {
        self.0.iter().zip(&held.0).take(OPEN).any(|(may, holds)| may < holds)
    }

    pub(crate) fn dirty_bytes(&self) -> usize {
        self.0[DIRTY_BYTES]
    }

    pub(crate) fn open(&self) -> usize {
        self.0[OPEN]
    }

    pub(crate) fn held_entries(&self) -> usize {
        self.0[HELD_ENTRIES]
    }

    fn cache(&self) -> CacheLimits {
        let [extent_bytes, inodes, inode_bytes, dentries, ..] = self.0;
        CacheLimits { extent_bytes, inodes, inode_bytes, dentries }
    }
}

impl Volume {
    /// How much is held now.
    pub(crate) fn held(&self) -> Amounts {
        let CacheLimits { extent_bytes, inodes, inode_bytes, dentries } = self.cache.held();
        let (dirty, entries) = (self.cache.dirty.bytes, self.cache.dirty.metadata_entries());
        let (open, held_entries) = (self.open_descriptors as usize, self.snapshot_entries);
        Amounts([extent_bytes, inodes, inode_bytes, dentries, dirty, entries, open, held_entries])
    }

    /// Sets how much may be held from the next operation on, but no more than the options say.
    pub(crate) fn allow(&mut self, amounts: Amounts) {
        self.allowed = amounts.min(Amounts::of_options(&self.options));
        self.cache.set_limits(self.allowed.cache());
    }

    /// Gives back what is held beyond `amounts`, as far as possible: evicts, and stores what is
    /// dirty. The next change or sync tells if storing failed.
    pub(crate) fn give_back(&mut self, amounts: Amounts) {
        let dirty = &self.cache.dirty;
        let too_dirty =
            dirty.bytes > amounts.dirty_bytes() || dirty.metadata_entries() > amounts.0[DIRTY_ENTRIES];
        if too_dirty && self.pending.placing.is_none() {
            let outcome = self.commit(Durability::Buffered);
            self.tell_later(outcome);
        }
        self.cache.set_limits(amounts.cache());
        self.cache.trim();
    }
}
