//! What a volume holds: everything that is needed to compare records with each other.

use crate::quota::Used;
use crate::stored::record::inode::Inode;
use crate::stored::record::reap;
use crate::stored::record::superblock::Superblock;
use crate::types::{Dentry, InodeNo};
use std::collections::{BTreeMap, BTreeSet};

/// The records of a volume, without the bytes of files.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) superblock: Option<Superblock>,
    /// The superblock to the byte, be it damaged; `None` if there is none.
    pub(super) superblock_value: Option<Vec<u8>>,
    /// Keys of no known form.
    pub(super) strange_keys: Vec<Vec<u8>>,
    /// Whether there is a record of a journal.
    pub(super) has_journal: bool,
    /// Keys of a journal that the superblock does not know.
    pub(super) stray_journal: Vec<Vec<u8>>,
    /// Without the bytes of small files.
    pub(super) inodes: BTreeMap<InodeNo, Inode>,
    /// Inodes whose record is damaged: nothing that refers to them is wrong for that alone.
    pub(super) damaged_inodes: BTreeSet<InodeNo>,
    pub(super) dentries: Vec<(InodeNo, String, Dentry)>,
    pub(super) damaged_dentries: Vec<DamagedDentry>,
    /// Indices in ascending order, damaged extents included: they exist.
    pub(super) extents: BTreeMap<InodeNo, Vec<u64>>,
    /// Extents that cannot be read, too long ones included.
    pub(super) damaged_extents: Vec<(InodeNo, u64)>,
    /// The most bytes that a sound extent holds.
    pub(super) longest_extent_bytes: usize,
    pub(super) reaps: BTreeMap<InodeNo, reap::Reap>,
    pub(super) damaged_reaps: BTreeSet<InodeNo>,
    /// Damaged ones included: they say what they say by being there.
    pub(super) orphans: BTreeSet<InodeNo>,
    pub(super) damaged_orphans: BTreeSet<InodeNo>,
    /// What lies above the image, if one lies below.
    pub(super) above: Option<Above>,
    /// Whether the store holds anything above an image but a superblock.
    pub(super) written: bool,
    /// Directories with names in the store whose own record is the image's.
    pub(super) hidden_names: BTreeSet<InodeNo>,
}

/// What the store has of a volume that lies on an image: what a quota counts.
#[derive(Debug, Default)]
pub(super) struct Above {
    pub(super) inodes: BTreeSet<InodeNo>,
    pub(super) names: Used,
    /// How many extents before the ends of their files.
    pub(super) extents: BTreeMap<InodeNo, u64>,
}

impl Picture {
    /// What the superblock is to count, damaged inodes left out.
    pub(super) fn used(&self) -> Used {
        let Some(superblock) = &self.superblock else { return Used::default() };
        let extent_bytes = u64::from(superblock.extent_bytes);
        if !superblock.counts_names() {
            return Used { bytes: self.content_bytes(), inodes: self.inodes.len() as u64, names: 0 };
        }
        let names = match &self.above {
            Some(above) => above.names,
            None => {
                let sound = self.dentries.iter().map(|(_, name, _)| name);
                let names = sound.chain(self.damaged_dentries.iter().map(|damaged| &damaged.name));
                names.fold(Used::default(), |used, name| used.and(Used::name(name)))
            }
        };
        let own = self.inodes.iter().filter(|(ino, _)| self.is_above(**ino));
        own.fold(names, |used, (_, inode)| used.and(inode.used(extent_bytes)))
    }

    /// Bytes of all content, wherever it lies: what format minor 2 charged.
    pub(super) fn content_bytes(&self) -> u64 {
        let extent_bytes = self.superblock.as_ref().map_or(0, |superblock| superblock.extent_bytes.into());
        let content = |inode: &Inode| inode.content_bytes(inode.extents, extent_bytes);
        self.inodes.values().map(content).fold(0, u64::saturating_add)
    }

    /// Whether an inode's record is in the store and not that of an image.
    pub(super) fn is_above(&self, ino: InodeNo) -> bool {
        self.above.as_ref().is_none_or(|above| above.inodes.contains(&ino))
    }

    /// How many extents before the end of a file are the image's, as its record may say: an older
    /// format has no place for it.
    pub(super) fn extents_below(&self, ino: InodeNo, inode: &Inode) -> u64 {
        let (Some(above), Some(superblock)) = (&self.above, &self.superblock) else { return 0 };
        if !superblock.counts_names() {
            return 0;
        }
        let end = inode.extents_end(u64::from(superblock.extent_bytes));
        let indices = self.extents.get(&ino).map_or(&[][..], Vec::as_slice);
        let all = indices.iter().filter(|index| **index < end).count() as u64;
        all.saturating_sub(above.extents.get(&ino).copied().unwrap_or(0))
    }

    /// Whether a record of this inode is there, be it damaged.
    pub(super) fn exists(&self, ino: InodeNo) -> bool {
        self.inodes.contains_key(&ino) || self.damaged_inodes.contains(&ino)
    }

    /// The highest inode number that any record belongs to.
    pub(super) fn highest_record(&self) -> u64 {
        let highest = [
            self.inodes.keys().next_back().copied(),
            self.damaged_inodes.last().copied(),
            self.dentries.iter().map(|(dir, _, _)| *dir).max(),
            self.extents.keys().next_back().copied(),
            self.reaps.keys().next_back().copied(),
            self.damaged_reaps.last().copied(),
            self.orphans.last().copied(),
        ];
        highest.into_iter().flatten().max().unwrap_or(InodeNo::ROOT).0
    }

    /// The highest inode number in use, be it by an entry alone.
    pub(super) fn highest_inode(&self) -> u64 {
        let named = self.dentries.iter().map(|(_, _, entry)| entry.ino.0).max().unwrap_or_default();
        self.highest_record().max(named)
    }
}

/// An entry whose value is damaged: the name is known from the key.
#[derive(Debug)]
pub(super) struct DamagedDentry {
    pub(super) dir: InodeNo,
    pub(super) name: String,
    /// What the damaged value seems to say.
    pub(super) hint: Option<Dentry>,
}

/// The inode number that a key's first eight bytes behind the tag hold, with what follows it.
/// `None` for the two that no inode has: 0, and the last.
pub(super) fn inode_number(rest: &[u8]) -> Option<(InodeNo, &[u8])> {
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*number);
    (number != 0 && number != u64::MAX).then_some((InodeNo(number), rest))
}
