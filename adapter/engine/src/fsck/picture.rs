//! The picture of a volume: everything needed to compare its records with each other.

use crate::quota::Used;
use crate::stored::record::inode::Inode;
use crate::stored::record::reap;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::Superblock;
use crate::types::{Dentry, InodeNo};
use std::collections::{BTreeMap, BTreeSet};

/// The records of a volume, without the bytes of files.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) superblock: Option<Superblock>,
    /// The superblock's value, even if damaged; `None` if there is none.
    pub(super) superblock_value: Option<Vec<u8>>,
    /// The settings, if they can be read.
    pub(super) settings: Option<SettingsRecord>,
    /// Whether there are settings, even damaged ones.
    pub(super) has_settings: bool,
    /// Keys of no known form.
    pub(super) strange_keys: Vec<Vec<u8>>,
    /// Whether there is a record of a journal.
    pub(super) has_journal: bool,
    /// Keys of a journal that the superblock does not announce.
    pub(super) stray_journal: Vec<Vec<u8>>,
    /// Without the bytes of small files.
    pub(super) inodes: BTreeMap<InodeNo, Inode>,
    /// Inodes with a damaged record. Entries that name them are not wrong for that.
    pub(super) damaged_inodes: BTreeSet<InodeNo>,
    pub(super) dentries: Vec<(InodeNo, String, Dentry)>,
    pub(super) damaged_dentries: Vec<DamagedDentry>,
    /// Indices in ascending order, including damaged extents, which exist.
    pub(super) extents: BTreeMap<InodeNo, Vec<u64>>,
    /// Extents that cannot be read, or are too long.
    pub(super) damaged_extents: Vec<(InodeNo, u64)>,
    /// The size of the longest sound extent, in bytes.
    pub(super) longest_extent_bytes: usize,
    pub(super) reaps: BTreeMap<InodeNo, reap::Reap>,
    pub(super) damaged_reaps: BTreeSet<InodeNo>,
    /// Including damaged ones: their existence is all they say.
    pub(super) orphans: BTreeSet<InodeNo>,
    pub(super) damaged_orphans: BTreeSet<InodeNo>,
    /// The store's part of a volume on an image.
    pub(super) above: Option<Above>,
    /// Whether the store holds more above an image than a superblock.
    pub(super) written: bool,
    /// Directories that have names in the store but whose own record is the image's.
    pub(super) hidden_names: BTreeSet<InodeNo>,
}

/// The store's part of a volume on an image: what a quota counts.
#[derive(Debug, Default)]
pub(super) struct Above {
    pub(super) inodes: BTreeSet<InodeNo>,
    pub(super) names: Used,
    /// Counts of extents before the ends of their files.
    pub(super) extents: BTreeMap<InodeNo, u64>,
}

impl Picture {
    /// The usage that the superblock should count, without damaged inodes.
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

    /// Bytes of all content, in the store and the image: the charge of format minor 2.
    pub(super) fn content_bytes(&self) -> u64 {
        let extent_bytes = self.superblock.as_ref().map_or(0, |superblock| superblock.extent_bytes.into());
        let content = |inode: &Inode| inode.content_bytes(inode.extents, extent_bytes);
        self.inodes.values().map(content).fold(0, u64::saturating_add)
    }

    /// Returns whether an inode's record is in the store, not the image's.
    pub(super) fn is_above(&self, ino: InodeNo) -> bool {
        self.above.as_ref().is_none_or(|above| above.inodes.contains(&ino))
    }

    /// How many extents before the end of a file are the image's, and should be noted in its
    /// record; 0 in an older format, which cannot note it.
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

    /// Returns whether the inode has a record, even a damaged one.
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

    /// The highest inode number in use, even if only by an entry.
    pub(super) fn highest_inode(&self) -> u64 {
        let named = self.dentries.iter().map(|(_, _, entry)| entry.ino.0).max().unwrap_or_default();
        self.highest_record().max(named)
    }
}

/// An entry with a damaged value. Its name is known from the key.
#[derive(Debug)]
pub(super) struct DamagedDentry {
    pub(super) dir: InodeNo,
    pub(super) name: String,
    /// A guess at the damaged value.
    pub(super) hint: Option<Dentry>,
}

/// Returns the inode number in the first eight bytes behind a key's tag, and what follows it.
/// `None` for 0 and the last number, which no inode has.
pub(super) fn inode_number(rest: &[u8]) -> Option<(InodeNo, &[u8])> {
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*number);
    (number != 0 && number != u64::MAX).then_some((InodeNo(number), rest))
}
