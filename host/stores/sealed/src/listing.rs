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

    /// Keeps the names of a directory that were read from `since` on, if nothing changed since.
    pub(crate) fn keep(&mut self, since: Option<Moment>, group: &[u8], names: Names) {
        let unchanged = self.under_way == 0 && since.is_some_and(|Moment(changes)| changes == self.changes);
        if !unchanged || names.names.is_none() {
            return;
        }
        self.groups.retain(|(other, _)| other != group);
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

    /// Notes that it is done. `changes`: group, name, and whether the name is there now; none if
    /// nobody knows.
    pub(crate) fn end<'c>(&mut self, changes: Option<impl Iterator<Item = (&'c [u8], &'c [u8], bool)>>) {
        self.under_way -= 1;
        self.changes += 1;
        let Some(changes) = changes else {
            self.groups.clear();
            return;
        };
        if self.groups.is_empty() {
            return;
        }
        for (group, name, is_there) in changes {
            if let Some((_, names)) = self.groups.iter_mut().find(|(other, _)| other == group) {
                if is_there { names.insert(name) } else { names.remove(name) }
            }
        }
    }
}
