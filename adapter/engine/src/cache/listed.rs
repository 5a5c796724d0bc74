//! The names of the last page of a listing.
//!
//! Whoever lists a directory usually asks for each name next. The names of a directory that is too
//! large for the cache are found here, although they would not stay there.

use crate::types::{Dentry, InodeNo};
use std::rc::Rc;

/// The names of a page, in byte order, each with its entry in the store.
pub(crate) type Names = Rc<Vec<(Rc<str>, Dentry)>>;

/// A page of a directory in the store. Whatever the cache knows of a name is newer.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) dir: InodeNo,
    pub(super) names: Names,
    /// How often names had been evicted then. While the number stays, every change since is in the
    /// cache.
    pub(super) trims: u64,
    /// The name that is probably asked for next.
    pub(super) next: usize,
}

impl Listed {
    /// Finds a name.
    pub(super) fn get(&mut self, name: &str) -> Option<Dentry> {
        let is_next = self.names.get(self.next).is_some_and(|(next, _)| **next == *name);
        let place = match is_next {
            true => self.next,
            false => self.names.binary_search_by(|(listed, _)| (**listed).cmp(name)).ok()?,
        };
        self.next = place + 1;
        self.names.get(place).map(|(_, entry)| *entry)
    }
}
