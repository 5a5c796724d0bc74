//! What a volume may hold: settable, and counted exactly whether it is set or not. What is charged for a record is said
//! here and in [`crate::stored::record::inode::Inode::charged_bytes`].

use crate::backing::batch::Batch;
use crate::cache::Node;
use crate::error::{Error, Result};
use crate::limits::{INODE_CHARGE_BYTES, NAME_CHARGE_BYTES};
use crate::store::{Durability, StoreError};
use crate::stored::record::inode::Inode;
use crate::stored::record::superblock::Superblock;
use crate::transaction::txn::Txn;
use crate::types::InodeNo;
use crate::volume::Volume;

/// How much a volume may hold. Growth over it is refused with [`crate::Error::Quota`]; what a volume
/// holds already stays, and everything else goes on working.
///
/// Of a volume on an image only what the volume itself has counts: what was made or changed above the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Bytes of files (holes not counted) and of links' targets, [`INODE_CHARGE_BYTES`] for each inode, and
    /// [`NAME_CHARGE_BYTES`] and its length for each name; `None` for no limit.
    pub bytes: Option<u64>,
    /// Files, directories (the root is one) and links; `None` for no limit.
    pub inodes: Option<u64>,
    /// Directory entries: a file has one for each of its names; `None` for no limit.
    pub names: Option<u64>,
}

/// What a volume holds, as its [`Quota`] counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Used {
    /// Bytes of content, of inodes and of names.
    pub bytes: u64,
    /// Inodes, those included that have no name any more and are open.
    pub inodes: u64,
    /// Names.
    pub names: u64,
}

/// Bytes that are charged for a name.
pub(crate) fn name_bytes(name: &str) -> u64 {
    NAME_CHARGE_BYTES.saturating_add(name.len() as u64)
}

impl Used {
    /// A name.
    pub(crate) fn name(name: &str) -> Used {
        Used { bytes: name_bytes(name), names: 1, ..Used::default() }
    }

    /// An inode with so many bytes of content.
    pub(crate) fn inode(content_bytes: u64) -> Used {
        Used { bytes: INODE_CHARGE_BYTES.saturating_add(content_bytes), inodes: 1, ..Used::default() }
    }

    /// An inode as its record is.
    pub(crate) fn of_inode(inode: &Inode, extent_bytes: u64) -> Used {
        Used { bytes: inode.charged_bytes(extent_bytes), inodes: 1, names: 0 }
    }

    /// Both together.
    pub(crate) fn and(self, other: Used) -> Used {
        Used {
            bytes: self.bytes.saturating_add(other.bytes),
            inodes: self.inodes.saturating_add(other.inodes),
            names: self.names.saturating_add(other.names),
        }
    }

    /// What is left once something goes.
    pub(crate) fn without(self, other: Used) -> Used {
        Used {
            bytes: self.bytes.saturating_sub(other.bytes),
            inodes: self.inodes.saturating_sub(other.inodes),
            names: self.names.saturating_sub(other.names),
        }
    }
}

impl Superblock {
    /// Counts an inode as it is now, in place of what was counted for it before.
    #[inline]
    pub(crate) fn charge(&mut self, node: &mut Node) {
        let after = node.inode.charged_bytes(u64::from(self.extent_bytes));
        let before = node.charged.replace(after);
        self.used_bytes = self.used_bytes.saturating_sub(before.unwrap_or(0)).saturating_add(after);
        self.used_inodes = self.used_inodes.saturating_add(u64::from(before.is_none()));
    }

    /// Sets what is counted.
    pub(crate) fn set_used(&mut self, used: Used) {
        (self.used_bytes, self.used_inodes, self.used_names) = (used.bytes, used.inodes, used.names);
    }

    /// Takes an inode that goes out of the counts.
    pub(crate) fn discharge(&mut self, node: &Node) {
        if let Some(charged) = node.charged {
            self.used_bytes = self.used_bytes.saturating_sub(charged);
            self.used_inodes = self.used_inodes.saturating_sub(1);
        }
    }
}

impl Quota {
    pub(crate) fn put_into(self, superblock: &mut Superblock) {
        superblock.quota_bytes = self.bytes.unwrap_or(u64::MAX);
        superblock.quota_inodes = self.inodes.unwrap_or(u64::MAX);
        superblock.quota_names = self.names.unwrap_or(u64::MAX);
    }

    fn of(superblock: &Superblock) -> Quota {
        let limit = |number: u64| (number != u64::MAX).then_some(number);
        Quota {
            bytes: limit(superblock.quota_bytes),
            inodes: limit(superblock.quota_inodes),
            names: limit(superblock.quota_names),
        }
    }
}

impl Txn<'_> {
    /// Fails unless the volume's quota allows so much more.
    pub(crate) fn check_growth(&self, growth: Used) -> Result<()> {
        let superblock = &self.volume.superblock;
        let fits = |used: u64, more: u64, quota: u64| more == 0 || used.saturating_add(more) <= quota;
        if !fits(superblock.used_bytes, growth.bytes, superblock.quota_bytes)
            || !fits(superblock.used_inodes, growth.inodes, superblock.quota_inodes)
            || !fits(superblock.used_names, growth.names, superblock.quota_names)
        {
            return Err(Error::Quota);
        }
        // The last inode number ends ranges of keys and is never given out.
        if superblock.next_inode < u64::MAX - 1 { Ok(()) } else { Err(Error::NoSpace) }
    }

    /// What changing an inode adds, whatever the change: one that is the image's comes up, with the bytes in its
    /// record. It must be in memory.
    pub(crate) fn copy_up(&self, ino: InodeNo) -> Used {
        let extent_bytes = self.volume.extent_bytes();
        match self.volume.cache.node(ino) {
            Some(node) if node.charged.is_none() => Used::of_inode(&node.inode, extent_bytes),
            _ => Used::default(),
        }
    }

    /// What is charged for a name: nothing if it is the image's. The name is then in memory, for the change to see
    /// whose it is.
    ///
    /// # Cost
    /// A lookup, if memory has lost the name since it was looked up.
    pub(crate) fn charged_name(&mut self, dir: InodeNo, name: &str) -> Result<Used> {
        let charged = match self.volume.cache.is_charged_name(dir, name) {
            Some(charged) => charged,
            None => {
                let there = self.lookup(dir, name)?.is_some();
                self.volume.cache.is_charged_name(dir, name).unwrap_or(there)
            }
        };
        Ok(if charged { Used::name(name) } else { Used::default() })
    }
}

impl Volume {
    /// Bytes, inodes and names that the volume uses, as its quota counts them.
    pub fn used(&self) -> Used {
        let Superblock { used_bytes, used_inodes, used_names, .. } = self.superblock;
        Used { bytes: used_bytes, inodes: used_inodes, names: used_names }
    }

    /// Returns what the volume may hold. [`Volume::used`] is what it does hold.
    pub fn quota(&self) -> Quota {
        Quota::of(&self.superblock)
    }

    /// Sets what the volume may hold, for this and all later openers. It may be less than it holds.
    ///
    /// # Durability
    /// Durable when it returns, with everything applied before; what only waits in memory stays there.
    ///
    /// # Errors
    /// The store's; nothing has changed then. If the outcome is unknown, the new quota counts, and the next
    /// commit stores it.
    ///
    /// # Cost
    /// One `apply`.
    pub fn set_quota(&mut self, quota: Quota) -> Result<()> {
        self.check_alive()?;
        self.resolve_doubt()?;
        let before = self.quota();
        let mut superblock = self.committed.clone();
        superblock.seq = superblock.seq.saturating_add(1);
        quota.put_into(&mut superblock);
        quota.put_into(&mut self.superblock);
        let outcome = self.apply(&Batch::default(), Some(superblock), Durability::Durable);
        match &outcome {
            Ok(()) => self.unsynced = false,
            Err(crate::Error::Store(StoreError::UnknownOutcome)) => self.unsynced = true,
            Err(_) => before.put_into(&mut self.superblock),
        }
        outcome
    }
}
