//! Attributes of inodes that were read ahead and have no room in the table.

use crate::stored::record::inode::Inode;
use crate::types::InodeNo;

/// What stands for an inode that was taken out: never a number of one.
const NONE: InodeNo = InodeNo(0);

/// Inodes as they are in the store, without their inline bytes, in the order in which they were
/// read. A list, not a table: whoever asks usually asks in that order.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    inos: Vec<InodeNo>,
    inodes: Vec<Inode>,
    /// The place of the one that was asked for last.
    last: usize,
}

impl Attributes {
    pub(super) fn is_empty(&self) -> bool {
        self.inos.is_empty()
    }

    fn place(&self, ino: InodeNo) -> Option<usize> {
        let near = self.last..self.last.saturating_add(2);
        let here = near.clone().find(|place| self.inos.get(*place) == Some(&ino));
        here.or_else(|| self.inos.iter().position(|known| *known == ino))
    }

    pub(super) fn get(&mut self, ino: InodeNo) -> Option<&Inode> {
        self.last = self.place(ino)?;
        self.inodes.get(self.last)
    }

    pub(crate) fn push(&mut self, ino: InodeNo, inode: Inode) {
        self.inos.push(ino);
        self.inodes.push(inode);
    }

    /// Takes an inode out: the table has it from now on.
    pub(super) fn remove(&mut self, ino: InodeNo) {
        if let Some(known) = self.place(ino).and_then(|place| self.inos.get_mut(place)) {
            *known = NONE;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.inos.clear();
        self.inodes.clear();
        self.last = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::record::inode::Content;
    use crate::types::{Kind, Timestamp};

    #[test]
    fn attributes_are_found_in_any_order_until_they_are_taken_out() {
        let mut attributes = Attributes::default();
        for number in 10..20 {
            let parent = InodeNo(number);
            let inode = Inode::new(Kind::Directory, parent, Timestamp::default(), Content::None);
            attributes.push(InodeNo(number), inode);
        }
        for number in [10, 11, 11, 12, 19, 10, 15] {
            assert_eq!(attributes.get(InodeNo(number)).map(|inode| inode.parent.0), Some(number));
        }
        attributes.remove(InodeNo(15));
        for number in [0, 9, 15, 20] {
            assert_eq!(attributes.get(InodeNo(number)).filter(|_| number > 0), None);
        }
        attributes.clear();
        assert_eq!(attributes.get(InodeNo(11)), None);
    }
}
