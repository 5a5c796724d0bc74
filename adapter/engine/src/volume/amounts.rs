//! Amounts of what a volume holds in memory and open, or may hold.

use crate::limits::{MAX_DIRTY_ENTRIES, MAX_HELD_ENTRIES};
use crate::options::{CacheLimits, Options};

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

    /// What a volume holds: its cache, dirty bytes and records, descriptors, entries of listings.
    pub(crate) fn new(cache: CacheLimits, dirty: (usize, usize), open: u32, held_entries: usize) -> Self {
        let CacheLimits { extent_bytes, inodes, inode_bytes, dentries } = cache;
        let (bytes, entries) = dirty;
        Self([extent_bytes, inodes, inode_bytes, dentries, bytes, entries, open as usize, held_entries])
    }

    /// So many descriptors, and nothing else.
    pub(crate) fn open_alone(open: u32) -> Self {
        let mut amounts = Self::NONE;
        amounts.0[OPEN] = open as usize;
        amounts
    }

    /// The most that a volume with these options holds, alone or with others.
    pub(crate) fn of_options(options: &Options) -> Self {
        let dirty = (options.max_dirty_bytes, MAX_DIRTY_ENTRIES);
        Self::new(options.cache, dirty, options.max_open_descriptors, MAX_HELD_ENTRIES)
    }

    /// The most that the volume itself holds: less than [`Self::of_options`] if it has a ceiling.
    pub(crate) fn own(options: &Options) -> Self {
        let mut own = Self::of_options(options);
        if let Some(cache) = options.own_cache {
            let dirty = (cache.extent_bytes, MAX_DIRTY_ENTRIES);
            own = own.min(Self::new(cache, dirty, options.max_open_descriptors, MAX_HELD_ENTRIES));
        }
        own
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

    /// The share of each volume that has no lower ceiling: equal parts of what those with one
    /// leave. Of what cannot be given back there are no shares: it goes to whoever comes first.
    pub(crate) fn share(self, ceilings: impl Iterator<Item = Self> + Clone) -> Self {
        let mut shares = Self::NONE;
        let kinds = self.0.iter().zip(&mut shares.0).enumerate().take(OPEN);
        for (kind, (total, share)) in kinds {
            // A larger share brings more volumes to their ceilings, which leave more to the rest.
            loop {
                let (mut rest, mut parts) = (*total, 0);
                for ceiling in ceilings.clone().filter_map(|ceiling| ceiling.0.get(kind).copied()) {
                    if ceiling < *share {
                        rest = rest.saturating_sub(ceiling);
                    } else {
                        parts += 1;
                    }
                }
                let next = rest / parts.max(1);
                if next <= *share {
                    break;
                }
                *share = next;
            }
        }
        shares
    }

    /// Returns whether it is less of any kind.
    pub(crate) fn is_less_than(self, other: Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, other)| one < other)
    }

    /// Returns whether of any kind that can be given back there is less than `held`.
    pub(crate) fn is_exceeded_by(self, held: Self) -> bool {
        self.0.iter().zip(&held.0).take(OPEN).any(|(may, holds)| may < holds)
    }

    pub(crate) fn dirty_bytes(&self) -> usize {
        self.0[DIRTY_BYTES]
    }

    pub(crate) fn dirty_entries(&self) -> usize {
        self.0[DIRTY_ENTRIES]
    }

    pub(crate) fn open(&self) -> usize {
        self.0[OPEN]
    }

    pub(crate) fn held_entries(&self) -> usize {
        self.0[HELD_ENTRIES]
    }

    pub(crate) fn cache(&self) -> CacheLimits {
        let [extent_bytes, inodes, inode_bytes, dentries, ..] = self.0;
        CacheLimits { extent_bytes, inodes, inode_bytes, dentries }
    }
}
