//! Orphans: inodes without a name, removed at once or with later commits.

use crate::error::{Error, Result};
use crate::load;
use crate::stored::key::tag;
use crate::stored::record::reap;
use crate::types::InodeNo;
use crate::volume::Volume;

/// Orphans that one commit removes along the way: each may cost a `get`.
const RECLAIMS_PER_COMMIT: u32 = 8;

impl Volume {
    /// Removes an inode that has no links and is not open.
    pub(crate) fn destroy(&mut self, ino: InodeNo) {
        let Some(node) = self.cache.node(ino) else { return };
        node.discharge_from(&mut self.pending.superblock);
        let direct = self.room.max_direct_deletes();
        self.cache.remove_node(ino, direct);
    }

    /// Reads the garbage that former openers left, and the orphans that come with the same pages.
    pub(crate) fn load_pending(&mut self) -> Result<()> {
        let (mut start, _) = self.backing.keys.pending_range();
        // All garbage must be known before a file grows over it, and a short page need not be the
        // last. Orphans come behind it and may wait.
        while let Some(next) = self.load_pending_page(&start)? {
            start = next;
            if !self.orphans.queue.is_empty() {
                self.orphans.next_page = Some(start);
                break;
            }
        }
        for reap in self.cache.reaps.values_mut() {
            (reap.stored, reap.dirty) = (true, false);
        }
        self.cache.dirty.reaps = 0;
        Ok(())
    }

    /// Reads a page. Returns where the next one starts, `None` if this one was empty.
    fn load_pending_page(&mut self, start: &[u8]) -> Result<Option<Vec<u8>>> {
        let (_, end) = self.backing.keys.pending_range();
        let entries =
            self.backing.scan(start, &end, self.backing.page_entries(), self.backing.page_bytes())?;
        for entry in &entries {
            let (tag, ino) = self
                .backing
                .keys
                .split(&entry.key)
                .and_then(|(tag, rest)| Some((tag, InodeNo(u64::from_be_bytes(rest.try_into().ok()?)))))
                .ok_or(Error::damaged("reap or orphan key", 0, "malformed"))?;
            if tag == tag::REAP {
                let found = reap::decode(&entry.key, ino, &entry.value)?;
                self.cache.add_reap(ino, found.from, found.to);
            } else {
                reap::decode_orphan(&entry.key, ino, &entry.value)?;
                self.orphans.queue.push_back(ino);
            }
        }
        Ok(entries.last().map(|last| [last.key.as_slice(), &[0]].concat()))
    }

    /// Reads more of a former opener's orphans once the known ones are removed. If that fails, they
    /// are left to the next opener.
    fn load_more_orphans(&mut self) {
        if self.orphans.queue.is_empty()
            && let Some(start) = self.orphans.next_page.take()
        {
            self.orphans.next_page = self.load_pending_page(&start).unwrap_or_default();
        }
    }

    /// Removes some orphans with the commit under way. If that fails, the next opener tries again:
    /// the orphan record stays.
    pub(crate) fn reclaim_orphans(&mut self) {
        for _ in 0..RECLAIMS_PER_COMMIT {
            self.load_more_orphans();
            if self.orphans.queue.is_empty() || !self.room.fits_removal(&self.cache.dirty) {
                break;
            }
            let Some(ino) = self.orphans.queue.pop_front() else { break };
            // The page may name inodes that this opener has removed, or has open.
            let removed = self.cache.dirty.removed.iter().any(|removed| removed.ino == ino);
            if removed || load::node(&mut self.backing, &mut self.cache, ino).is_err() {
                continue;
            }
            let Some(node) = self.cache.node_mut(ino) else { continue };
            if node.inode.nlink == 0 && node.open == 0 {
                node.orphan_stored = true;
                self.destroy(ino);
            }
        }
    }
}
