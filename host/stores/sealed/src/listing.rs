//! The names of large directories that are being listed, in order.
//!
//! The store below has the names of a directory in the order of their tags. Every page of a listing
//! in the order of names needs all of them, so they are kept from one page to the next.

use std::collections::BTreeSet;
use std::ops::Bound;

/// Most directories whose names are kept.
const MAX_LISTINGS: usize = 4;

/// Most bytes of the names of one directory; each counts for more than it has.
const MAX_LISTING_BYTES: usize = 16 << 20;
const NAME_OVERHEAD_BYTES: usize = 48;

/// Names of one directory. Gives up when they are too many.
pub(crate) struct Names {
    names: Option<BTreeSet<Vec<u8>>>,
    bytes: usize,
}

impl Names {
    pub(crate) fn new() -> Self {
        Self { names: Some(BTreeSet::new()), bytes: 0 }
    }

    pub(crate) fn insert(&mut self, name: &[u8]) {
        let Some(names) = &mut self.names else { return };
        if names.insert(name.to_vec()) {
            self.bytes += name.len() + NAME_OVERHEAD_BYTES;
        }
        if self.bytes > MAX_LISTING_BYTES {
            self.names = None;
        }
    }

    fn remove(&mut self, name: &[u8]) {
        if self.names.as_mut().is_some_and(|names| names.remove(name)) {
            self.bytes -= name.len() + NAME_OVERHEAD_BYTES;
        }
    }

    /// Returns the names from one on, or behind it, at most so many.
    fn page(&self, from: &[u8], most: usize) -> Option<Vec<Vec<u8>>> {
        Some(
            self.names
                .as_ref()?
                .range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
                .take(most)
                .cloned()
                .collect(),
        )
    }
}

/// The names of a few large directories, kept right through the applies of this store.
#[derive(Default)]
pub(crate) struct Listings {
    groups: Vec<(Vec<u8>, Names)>,
    /// Applies that were begun or ended.
    changes: u64,
    /// Applies that were begun and not ended.
    under_way: u32,
}

/// A moment without an apply under way.
#[derive(Clone, Copy)]
pub(crate) struct Moment(u64);

impl Listings {
    pub(crate) fn moment(&self) -> Option<Moment> {
        (self.under_way == 0).then_some(Moment(self.changes))
    }

    /// Forgets the names of a directory.
    pub(crate) fn forget(&mut self, group: &[u8]) {
        self.groups.retain(|(other, _)| other != group);
    }

    /// Keeps the names of a directory that were read from `since` on, if nothing changed since.
    pub(crate) fn keep(&mut self, since: Option<Moment>, group: &[u8], names: Names) {
        let unchanged = self.under_way == 0 && since.is_some_and(|Moment(changes)| changes == self.changes);
        if !unchanged || names.names.is_none() {
            return;
        }
        self.forget(group);
        if self.groups.len() >= MAX_LISTINGS {
            self.groups.remove(0);
        }
        self.groups.push((group.to_vec(), names));
    }

    /// Returns names of a directory from one on, if they are known.
    pub(crate) fn page(&self, group: &[u8], from: &[u8], most: usize) -> Option<Vec<Vec<u8>>> {
        let known = self.groups.iter().find(|(other, _)| other == group).filter(|_| self.under_way == 0);
        known.and_then(|(_, names)| names.page(from, most))
    }

    /// Notes that an apply begins that changes names.
    pub(crate) fn begin(&mut self) {
        self.under_way += 1;
        self.changes += 1;
    }

    /// Notes that it has ended. `changes`: group, name, and whether the name is there if it was
    /// done; nobody knows otherwise.
    ///
    /// Of two applies at once nobody knows which came first, so the names that the first to end
    /// changes are forgotten. Nothing is kept while another is under way.
    pub(crate) fn end<'c>(&mut self, done: bool, changes: impl Iterator<Item = (&'c [u8], &'c [u8], bool)>) {
        self.under_way = self.under_way.saturating_sub(1);
        self.changes += 1;
        if self.groups.is_empty() {
            return;
        }
        let known = done && self.under_way == 0;
        for (group, name, is_there) in changes {
            if !known {
                self.forget(group);
            } else if let Some((_, names)) = self.groups.iter_mut().find(|(other, _)| other == group) {
                if is_there { names.insert(name) } else { names.remove(name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeping(group: &[u8]) -> Listings {
        let mut listings = Listings::default();
        let mut names = Names::new();
        names.insert(b"a");
        listings.keep(listings.moment(), group, names);
        listings
    }

    fn names(listings: &Listings, group: &[u8]) -> Option<Vec<Vec<u8>>> {
        listings.page(group, b"", 10)
    }

    #[test]
    fn an_apply_changes_the_names_that_are_kept() {
        let mut listings = keeping(b"g");
        listings.begin();
        assert_eq!(names(&listings, b"g"), None, "while it is under way");
        listings.end(true, [(&b"g"[..], &b"b"[..], true), (b"g", b"a", false)].into_iter());
        assert_eq!(names(&listings, b"g"), Some(vec![b"b".to_vec()]));
    }

    #[test]
    fn names_changed_by_two_applies_at_once_or_by_one_that_failed_are_forgotten() {
        let mut listings = keeping(b"g");
        listings.begin();
        listings.begin();
        // The one that the store below took last may end first.
        listings.end(true, [(&b"g"[..], &b"b"[..], false)].into_iter());
        listings.end(true, [(&b"g"[..], &b"b"[..], true)].into_iter());
        assert_eq!(names(&listings, b"g"), None);
        let mut listings = keeping(b"g");
        listings.begin();
        listings.end(false, [(&b"g"[..], &b"b"[..], true)].into_iter());
        assert_eq!(names(&listings, b"g"), None);
    }

    #[test]
    fn an_apply_elsewhere_leaves_what_is_kept() {
        for done in [true, false] {
            let mut listings = keeping(b"g");
            listings.begin();
            listings.end(done, [(&b"h"[..], &b"b"[..], true)].into_iter());
            assert_eq!(names(&listings, b"g"), Some(vec![b"a".to_vec()]));
        }
    }

    #[test]
    fn names_read_beside_an_apply_are_not_kept() {
        let mut listings = Listings::default();
        let since = listings.moment();
        listings.begin();
        listings.keep(since, b"g", Names::new());
        listings.end(true, std::iter::empty());
        listings.keep(since, b"g", Names::new());
        assert_eq!(names(&listings, b"g"), None);
        listings.keep(listings.moment(), b"g", Names::new());
        assert_eq!(names(&listings, b"g"), Some(vec![]));
    }
}
