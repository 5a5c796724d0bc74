//! Upgrades volumes of earlier formats. Format minor 2 counted no names, charged content alone, and
//! charged the volume for the image below. The first opener recounts such a volume.
//!
//! It counts as the volume's only writer, and stores the counts in one apply, which upgrades the
//! volume. After a cut before that, the next opener counts again. Files that share extents with the
//! image are then noted one after the other. One that is not noted is charged for all its extents.

use crate::backing::Backing;
use crate::error::{Error, Result};
use crate::quota::Used;
use crate::store::{Durability, StoreError};
use crate::stored::key::tag;
use crate::stored::record::dentry::is_storable_name;
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::is_tombstone;
use crate::types::InodeNo;
use crate::volume::Volume;
use std::collections::BTreeMap;

/// The result of a recount.
#[derive(Default)]
struct Recount {
    used: Used,
    /// In a volume on an image, for each file in extents: where they end, how many there are, and
    /// how many of those are in the store.
    files: BTreeMap<InodeNo, (u64, u64, u64)>,
}

impl Volume {
    /// Counts the volume's usage by the rules of this format, if that was not done yet.
    ///
    /// A full store is no error: the next apply carries the counts.
    ///
    /// # Cost
    /// Nothing, except for the first opener: one `apply`, and `scan`s over all names, or over
    /// everything above the image.
    pub(crate) fn recount(&mut self) -> Result<()> {
        if self.backing.committed.counts_names() {
            return Ok(());
        }
        let recount = self.count_records()?;
        // Every apply from here on carries the counts.
        self.backing.committed.set_recounted(recount.used);
        self.pending.superblock.set_recounted(recount.used);
        let outcome = self.repeat_if_moved(|volume| {
            let mut superblock = volume.backing.committed.clone();
            superblock.seq = superblock.seq.saturating_add(1);
            superblock.set_recounted(recount.used);
            volume.backing.apply_superblock(superblock, Durability::Buffered)
        });
        match outcome {
            Ok(()) => self.pending.superblock = self.backing.committed.clone(),
            Err(Error::Store(StoreError::QuotaExceeded | StoreError::UnknownOutcome)) => return Ok(()),
            Err(error) => return Err(error),
        }
        match self.note_shared(&recount) {
            // An inode without a note stays dirty, or is charged in full: both are sound.
            Err(Error::Store(StoreError::QuotaExceeded | StoreError::UnknownOutcome)) => Ok(()),
            outcome => outcome,
        }
    }

    fn count_records(&mut self) -> Result<Recount> {
        let above = self.backing.committed.lower.is_some();
        let mut recount = Recount::default();
        if !above {
            // These old counts are right.
            let inodes = self.backing.committed.used_inodes;
            let records = Used::inode(0).bytes.saturating_mul(inodes);
            recount.used.inodes = inodes;
            recount.used.bytes = self.backing.committed.used_bytes.saturating_add(records);
        } else if !self.backing.asks_store() {
            return Ok(recount);
        }
        let tags = if above { (tag::INODE, tag::EXTENT) } else { (tag::DENTRY, tag::DENTRY) };
        let (mut start, end) = self.backing.keys.tags_range(tags.0, tags.1);
        loop {
            let page = self.backing.scan_above(
                &start,
                &end,
                self.backing.page_entries(),
                self.backing.page_bytes(),
            )?;
            let Some(last) = page.last() else { return Ok(recount) };
            start = [&*last.key, &[0]].concat();
            for entry in page.iter().filter(|entry| !is_tombstone(&entry.key, &entry.value)) {
                self.count_record(&mut recount, &entry.key, &entry.value);
            }
        }
    }

    /// Counts one record, even a damaged one. Records of no known form are for a check to find.
    fn count_record(&self, recount: &mut Recount, key: &[u8], value: &[u8]) {
        let extent_bytes = self.backing.extent_bytes();
        let Some((tag, rest)) = self.backing.keys.split(key) else { return };
        let Some((ino, rest)) = rest.split_first_chunk::<8>() else { return };
        let ino = InodeNo(u64::from_be_bytes(*ino));
        match tag {
            tag::DENTRY => {
                let name = self.backing.keys.dentry_name(ino, key).filter(|name| is_storable_name(name));
                recount.used = recount.used.and(name.map(Used::name).unwrap_or_default());
            }
            tag::INODE if rest.is_empty() => {
                let inode = Inode::decode(key, ino, self.backing.committed.inline_bytes, value).ok();
                let used = inode.as_ref().map(|inode| inode.used(extent_bytes));
                recount.used = recount.used.and(used.unwrap_or(Used::inode(0)));
                if let Some(inode) = inode.filter(|inode| matches!(inode.content, Content::Extents)) {
                    recount.files.insert(ino, (inode.extents_end(extent_bytes), inode.extents, 0));
                }
            }
            tag::EXTENT => {
                let index = self.backing.keys.extent_index(ino, key);
                if let Some((end, _, own)) = recount.files.get_mut(&ino)
                    && index.is_some_and(|index| index < *end)
                {
                    *own += 1;
                }
            }
            _ => {}
        }
    }

    /// Notes in the inodes of files how many of their extents are the image's.
    fn note_shared(&mut self, recount: &Recount) -> Result<()> {
        let mut noted = false;
        for (ino, (_, all, own)) in &recount.files {
            let below = all.saturating_sub(*own);
            let mut key = Vec::new();
            self.backing.keys.inode(*ino, &mut key);
            let Backing { lower, keys, .. } = &mut self.backing;
            let in_image = match lower {
                Some(lower) => lower.get(keys, &key)?.is_some(),
                None => false,
            };
            if below == 0 || !in_image {
                continue;
            }
            let mut txn = self.begin_change(0)?;
            match txn.inode(*ino) {
                Ok(inode) if inode.extents == *all => {}
                // Whoever reads it gets the error.
                _ => continue,
            }
            let Some(node) = self.cache.node_mut(*ino) else { continue };
            node.inode.extents_below = below;
            node.charge_to(&mut self.pending.superblock);
            self.cache.mark_inode(*ino);
            noted = true;
        }
        if noted { self.commit(Durability::Buffered) } else { Ok(()) }
    }
}
