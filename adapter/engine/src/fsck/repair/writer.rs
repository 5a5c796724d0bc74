//! Writes a repair's changes, in applies that are guarded on the superblock as every writer's are.

use crate::error::{Error, Result};
use crate::fsck::layered::Layered;
use crate::fsck::picture::Picture;
use crate::limits::MAX_JOURNAL_BYTES;
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::superblock::Superblock;
use crate::stored::record::{TOMBSTONE_BYTES, begin, dentry, reap, seal};
use crate::types::{Clock, Dentry, ExtentIndex, InodeNo, Kind};
use std::collections::BTreeSet;

/// A key with its new value, `None` to remove it.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

pub(super) struct Writer<'s> {
    pub(super) store: Layered<'s>,
    pub(super) clock: &'s mut dyn Clock,
    pub(super) keys: KeySpace,
    limits: Limits,
    /// The superblock of the next apply; `None` before the volume is taken over.
    pub(super) superblock: Option<Superblock>,
    /// The superblock's value in the store.
    stored: Option<Vec<u8>>,
    pub(super) extent_bytes: u64,
    next_inode: u64,
    /// Numbers that entries name, even if no inode has them: a new inode must not get one.
    named: BTreeSet<u64>,
    changes: Vec<Change>,
    changes_bytes: usize,
}

impl<'s> Writer<'s> {
    pub(super) fn new(store: Layered<'s>, clock: &'s mut dyn Clock, keys: KeySpace, limits: Limits) -> Self {
        Writer {
            store,
            clock,
            keys,
            limits,
            superblock: None,
            stored: None,
            extent_bytes: 0,
            next_inode: u64::MAX,
            named: BTreeSet::new(),
            changes: Vec::new(),
            changes_bytes: 0,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Replaces the superblock that was found, with `others`, and so becomes the only writer.
    pub(super) fn take_over(
        &mut self,
        found: Option<&[u8]>,
        superblock: Superblock,
        others: Vec<Change>,
    ) -> Result<()> {
        self.stored = found.map(<[u8]>::to_vec);
        self.superblock = Some(superblock);
        self.changes = others;
        self.apply(Durability::Buffered)
    }

    /// Makes new inodes get numbers above all numbers in use.
    pub(super) fn start_numbers_above(&mut self, picture: &Picture) {
        let next = self.superblock.as_ref().map_or(0, |superblock| superblock.next_inode);
        self.next_inode = next.max(picture.highest_record().saturating_add(1));
        self.named = picture.dentries.iter().map(|(_, _, entry)| entry.ino.0).collect();
    }

    pub(super) fn inline_bytes(&self) -> u32 {
        self.superblock.as_ref().map_or(0, |superblock| superblock.inline_bytes)
    }

    /// Returns a number for a new inode. The next apply reserves it.
    pub(super) fn new_inode_number(&mut self) -> Result<InodeNo> {
        while self.named.contains(&self.next_inode) {
            // Entries may name any number, even the last.
            self.next_inode = self.next_inode.saturating_add(1);
            if self.next_inode == u64::MAX {
                break;
            }
        }
        let number = self.next_inode;
        if number == u64::MAX {
            return Err(Error::damaged(
                "superblock",
                0,
                "no inode number is left for what was lost and found",
            ));
        }
        self.next_inode += 1;
        if let Some(superblock) = &mut self.superblock {
            superblock.next_inode = self.next_inode;
        }
        Ok(InodeNo(number))
    }

    /// Returns whether the store takes all of `group`, at once or through the journal.
    pub(super) fn fits(&self, group: &[Change]) -> bool {
        let (_, bytes) = self.room();
        let fits_alone = |(key, value): &Change| {
            let value = value.as_ref().map_or(0, Vec::len);
            value <= self.limits.max_value_bytes as usize && key.len() + value <= bytes
        };
        self.fits_one_apply(group) || group.iter().all(fits_alone) && bytes_of(group) <= MAX_JOURNAL_BYTES / 2
    }

    /// Returns whether `group` fits one apply.
    pub(super) fn fits_one_apply(&self, group: &[Change]) -> bool {
        let (entries, bytes) = self.room();
        let max_value = self.limits.max_value_bytes as usize;
        let short = |(_, value): &Change| value.as_ref().is_none_or(|value| value.len() <= max_value);
        group.len() <= entries && bytes_of(group) <= bytes && group.iter().all(short)
    }

    /// Entries and bytes that an apply can carry beside the superblock.
    pub(super) fn room(&self) -> (usize, usize) {
        let superblock = self.stored.as_ref().map_or(512, Vec::len) + self.keys.superblock().len() + 8;
        let bytes = (self.limits.max_batch_bytes as usize).saturating_sub(superblock);
        ((self.limits.max_batch_entries as usize).saturating_sub(1), bytes)
    }

    /// Adds changes that fit one apply.
    pub(super) fn put_together(&mut self, group: Vec<Change>) -> Result<()> {
        let (entries, bytes) = self.room();
        if self.changes.len() + group.len() > entries || self.changes_bytes + bytes_of(&group) > bytes {
            self.flush()?;
        }
        self.changes_bytes += bytes_of(&group);
        self.changes.extend(group);
        Ok(())
    }

    pub(super) fn put(&mut self, change: Change) -> Result<()> {
        self.put_together(vec![change])
    }

    /// Stores the changes that have gathered.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.changes.is_empty() { Ok(()) } else { self.apply(Durability::Buffered) }
    }

    /// Stores the changed superblock.
    pub(super) fn put_superblock(&mut self) -> Result<()> {
        self.apply(Durability::Buffered)
    }

    /// Makes everything durable.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.apply(Durability::Durable)
    }

    fn apply(&mut self, level: Durability) -> Result<()> {
        let Some(superblock) = &mut self.superblock else { return Ok(()) };
        if !self.changes.is_empty() {
            superblock.set_top_written();
        }
        superblock.seq = superblock.seq.saturating_add(1);
        let key = self.keys.superblock();
        let value = superblock.encode(key);
        let mut mutations = vec![Mutation::Put { key, value: &value }];
        mutations.extend(self.changes.iter().map(mutation));
        let guard = Guard { key, expected: self.stored.as_deref() };
        self.store.apply(&[guard], &mutations, level).map_err(|error| match error {
            StoreError::Conflict => Error::Fenced,
            error => Error::Store(error),
        })?;
        self.stored = Some(value);
        self.changes.clear();
        self.changes_bytes = 0;
        Ok(())
    }

    /// Reads the value of one record.
    pub(super) fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.store.get(&[key])?.into_iter().next().flatten())
    }

    /// Reads a page of records.
    pub(super) fn scan(&mut self, start: &[u8], end: &[u8]) -> Result<Vec<Entry>> {
        Ok(self.store.scan(start, end, self.limits.max_batch_entries, self.limits.max_batch_bytes)?)
    }

    /// Builds a key of this volume.
    pub(super) fn key(&self, build: impl FnOnce(&KeySpace, &mut Vec<u8>)) -> Vec<u8> {
        let mut key = Vec::new();
        build(&self.keys, &mut key);
        key
    }

    pub(super) fn inode_key(&self, ino: InodeNo) -> Vec<u8> {
        self.key(|keys, key| keys.inode(ino, key))
    }

    pub(super) fn dentry_key(&self, dir: InodeNo, name: &str) -> Vec<u8> {
        self.key(|keys, key| keys.dentry(dir, name, key))
    }

    pub(super) fn extent_key(&self, ino: InodeNo, index: u64) -> Vec<u8> {
        self.key(|keys, key| keys.extent(ino, ExtentIndex(index), key))
    }

    pub(super) fn orphan_key(&self, ino: InodeNo) -> Vec<u8> {
        self.key(|keys, key| keys.orphan(ino, key))
    }

    pub(super) fn reap_key(&self, ino: InodeNo) -> Vec<u8> {
        self.key(|keys, key| keys.reap(ino, key))
    }

    pub(super) fn inode_change(&self, ino: InodeNo, inode: &Inode) -> Change {
        sealed(self.inode_key(ino), |key, out| inode.encode(key, out))
    }

    pub(super) fn dentry_change(&self, dir: InodeNo, name: &str, entry: Dentry) -> Change {
        sealed(self.dentry_key(dir, name), |key, out| dentry::encode(entry, key, out))
    }

    pub(super) fn reap_change(&self, ino: InodeNo, from: u64, to: u64) -> Change {
        sealed(self.reap_key(ino), |key, out| reap::encode(reap::Reap { ino, from, to }, key, out))
    }

    pub(super) fn orphan_change(&self, ino: InodeNo) -> Change {
        sealed(self.orphan_key(ino), reap::encode_orphan)
    }

    /// Makes a directory's inode. A later stage sets its counts.
    pub(super) fn new_directory(&mut self, parent: InodeNo) -> Inode {
        Inode::new(Kind::Directory, parent, self.clock.now(), Content::None)
    }

    /// Makes a file of `bytes`, without a name. Returns its number and the records to store.
    pub(super) fn new_file(&mut self, bytes: &[u8]) -> Result<(InodeNo, Vec<Change>)> {
        let ino = self.new_inode_number()?;
        let mut inode = Inode::new(Kind::File, InodeNo(0), self.clock.now(), Content::Extents);
        inode.size = bytes.len() as u64;
        let mut changes = Vec::new();
        if bytes.len() <= self.inline_bytes() as usize {
            inode.content = Content::Inline(bytes.to_vec());
        } else {
            let size = usize::try_from(self.extent_bytes).unwrap_or(usize::MAX).max(1);
            for (index, bytes) in (0..).zip(bytes.chunks(size)) {
                changes.push(sealed(self.extent_key(ino, index), |key, out| {
                    begin(out);
                    out.extend_from_slice(bytes);
                    seal(key, tag::EXTENT, out);
                }));
                inode.extents += 1;
            }
        }
        changes.push(self.inode_change(ino, &inode));
        Ok((ino, changes))
    }
}

pub(super) fn mutation((key, value): &Change) -> Mutation<'_> {
    match value {
        Some(value) => Mutation::Put { key, value },
        None => Mutation::Delete { key },
    }
}

fn sealed(key: Vec<u8>, encode: impl FnOnce(&[u8], &mut Vec<u8>)) -> Change {
    let mut value = Vec::new();
    encode(&key, &mut value);
    (key, Some(value))
}

fn bytes_of(group: &[Change]) -> usize {
    // Above an image a deletion may become a tombstone.
    group.iter().map(|(key, value)| key.len() + value.as_ref().map_or(TOMBSTONE_BYTES, Vec::len)).sum()
}
