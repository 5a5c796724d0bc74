//! Quota checks: what a change adds to the usage.

use super::txn::Txn;
use crate::error::{Error, Result};
use crate::quota::Used;
use crate::types::InodeNo;

impl Txn<'_> {
    /// Fails if the volume's quota does not allow so much more.
    pub(crate) fn check_growth(&self, growth: Used) -> Result<()> {
        let superblock = &self.volume.pending.superblock;
        let quota = self.volume.counting_quota();
        let fits = |used: u64, more: u64, limit: Option<u64>| {
            more == 0 || limit.is_none_or(|limit| used.saturating_add(more) <= limit)
        };
        if !fits(superblock.used_bytes, growth.bytes, quota.bytes)
            || !fits(superblock.used_inodes, growth.inodes, quota.inodes)
            || !fits(superblock.used_names, growth.names, quota.names)
        {
            return Err(Error::Quota);
        }
        // The last inode number is never given out: it ends ranges of keys.
        if superblock.next_inode < u64::MAX - 1 { Ok(()) } else { Err(Error::NoSpace) }
    }

    /// The charge for copying up an inode that is still the image's, with its inline bytes; nothing
    /// for others. It must be in memory.
    pub(crate) fn copy_up(&self, ino: InodeNo) -> Used {
        let extent_bytes = self.volume.backing.extent_bytes();
        match self.volume.cache.node(ino) {
            Some(node) if node.charged.is_none() => node.inode.used(extent_bytes),
            _ => Used::default(),
        }
    }

    /// The charge of a name: nothing if it is the image's. Leaves the name in memory, where the
    /// change looks it up.
    ///
    /// # Cost
    /// A lookup, if the name was evicted meanwhile.
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
