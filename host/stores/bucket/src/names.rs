//! The names of values in the bucket.

use crate::wire::{Read, Write};

/// The head: names the newest opener. Writers look at it.
pub(crate) const HEAD: &str = "kvfs.head";

/// A copy of the head, in case setting the head is cut short.
pub(crate) const HEAD_COPY: &str = "kvfs.head.copy";

/// Names the last opener who set a root. It is there whenever there is a store, even if all else is
/// missing.
pub(crate) const LAST: &str = "kvfs.last";

/// An opener, past or present: the number of the opening, and a random number that tells apart
/// openers with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Opener {
    pub(crate) epoch: u64,
    pub(crate) tag: u64,
}

impl Opener {
    /// Names one of its two root slots.
    pub(crate) fn root(self, slot: u64) -> String {
        format!("kvfs.root.{:x}.{:x}.{}", self.epoch, self.tag, slot % 2)
    }

    /// Names one of its pages.
    pub(crate) fn page(self, number: u64) -> String {
        format!("kvfs.page.{:x}.{:x}.{number:x}", self.epoch, self.tag)
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.u64(self.epoch);
        out.u64(self.tag);
    }

    pub(crate) fn read(from: &mut Read<'_>) -> Option<Self> {
        Some(Self { epoch: from.u64()?, tag: from.u64()? })
    }
}

/// Returns the name of the claims of an epoch.
pub(crate) fn claim(epoch: u64) -> String {
    format!("kvfs.claim.{epoch:x}")
}

/// A page: its opener, and its number among that opener's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PageId {
    pub(crate) opener: Opener,
    pub(crate) number: u64,
}

impl PageId {
    pub(crate) fn name(self) -> String {
        self.opener.page(self.number)
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        self.opener.write(out);
        out.u64(self.number);
    }

    pub(crate) fn read(from: &mut Read<'_>) -> Option<Self> {
        Some(Self { opener: Opener::read(from)?, number: from.u64()? })
    }
}

/// Bytes that [`PageId::write`] appends.
pub(crate) const PAGE_ID_BYTES: usize = 24;

/// Pages of one opener with consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) first: PageId,
    pub(crate) count: u32,
}

impl Extent {
    /// Returns one page as an extent.
    pub(crate) fn of(first: PageId) -> Self {
        Self { first, count: 1 }
    }

    /// Adds pages that follow directly; returns false if these do not.
    pub(crate) fn join(&mut self, next: Self) -> bool {
        let end = self.first.number.checked_add(self.count.into());
        let joined = self.count.checked_add(next.count);
        match joined {
            Some(count) if self.first.opener == next.first.opener && end == Some(next.first.number) => {
                self.count = count;
                true
            }
            _ => false,
        }
    }

    /// Returns its pages, without impossible numbers.
    pub(crate) fn pages(self) -> impl DoubleEndedIterator<Item = PageId> {
        let PageId { opener, number } = self.first;
        let end = number.saturating_add(self.count.into());
        (number..end).map(move |number| PageId { opener, number })
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        self.first.write(out);
        out.u32(self.count);
    }

    pub(crate) fn read(from: &mut Read<'_>) -> Option<Self> {
        Some(Self { first: PageId::read(from)?, count: from.u32()? })
    }
}

/// Bytes that [`Extent::write`] appends.
pub(crate) const EXTENT_BYTES: usize = PAGE_ID_BYTES + 4;
