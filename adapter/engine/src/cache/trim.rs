//! CLOCK eviction when memory is over its limits: recently referenced entries get a second chance,
//! extents only if they were used more than once.

use super::table::Cache;
use crate::types::InodeNo;
use std::rc::Rc;

/// Stale entries that a clock may hold before it is rebuilt.
const CLOCK_SLACK: usize = 1024;

impl Cache {
    /// Evicts down to the limits. Only called between operations.
    pub(crate) fn trim(&mut self) {
        // Clocks keep entries of things that are gone. One that holds mostly those is rebuilt.
        if self.extent_clock.len() > CLOCK_SLACK + 2 * self.extents {
            let live =
                self.nodes.iter().flat_map(|(ino, node)| node.extents.keys().map(|index| (*ino, *index)));
            self.extent_clock = live.collect();
        }
        if self.node_clock.len() > CLOCK_SLACK + 2 * self.nodes.len() {
            self.node_clock = self.nodes.keys().copied().collect();
        }
        if self.dir_clock.len() > CLOCK_SLACK + 2 * self.nodes.len() {
            self.dir_clock =
                self.nodes.iter().filter(|(_, node)| node.dir.is_some()).map(|(ino, _)| *ino).collect();
        }
        if self.resident_bytes > self.limits.extent_bytes.max(self.busy_bytes) {
            self.trim_extents();
            let left = self.resident_bytes;
            self.busy_bytes = if left > self.limits.extent_bytes { left + left / 8 } else { 0 };
        }
        if self.dentries > self.limits.dentries {
            self.trim_dentries();
        }
        if self.content_bytes > self.limits.inode_bytes.max(self.busy_content_bytes) {
            self.trim_contents();
            let left = self.content_bytes;
            self.busy_content_bytes = if left > self.limits.inode_bytes { left + left / 8 } else { 0 };
        }
        if self.nodes.len() > self.limits.inodes.max(self.busy_nodes) {
            self.trim_nodes();
            // Open and dirty inodes stay: another trim is pointless until there are more.
            let left = self.nodes.len();
            self.busy_nodes = if left > self.limits.inodes { left + left / 8 } else { 0 };
        }
    }

    /// Evicts extents that were not referenced since the hand last passed.
    fn trim_extents(&mut self) {
        for _ in 0..self.extent_clock.len().saturating_mul(2) {
            if self.resident_bytes <= self.limits.extent_bytes {
                break;
            }
            let Some((ino, index)) = self.extent_clock.pop_front() else { break };
            let Some(extent) = self.nodes.get_mut(&ino).and_then(|node| node.extents.get_mut(&index)) else {
                continue;
            };
            if extent.dirty || extent.referenced {
                extent.referenced = false;
                self.extent_clock.push_back((ino, index));
                continue;
            }
            if let Some(extent) = self.nodes.get_mut(&ino).and_then(|node| node.extents.remove(&index)) {
                self.forget_extent(&extent);
            }
        }
    }

    fn trim_dentries(&mut self) {
        self.dentry_trims += 1;
        for _ in 0..self.dir_clock.len() {
            // Stop well below the limit, so that the next lookup does not trim again.
            if self.dentries <= self.limits.dentries / 4 * 3 {
                break;
            }
            let Some(ino) = self.dir_clock.pop_front() else { break };
            let Some(node) = self.nodes.get_mut(&ino) else { continue };
            let Some(dir) = node.dir.as_mut() else { continue };
            let before = dir.slots.len();
            if dir.complete {
                dir.end = Some(
                    dir.slots.iter().map(|(name, _)| name).max().map_or_else(|| Rc::from(""), Rc::clone),
                );
            }
            dir.slots.keep_dirty();
            dir.complete = false;
            self.dentries = self.dentries.saturating_sub(before - dir.slots.len());
            self.dir_clock.push_back(ino);
        }
    }

    /// Evicts inline bytes. The inodes stay, for they may be open.
    fn trim_contents(&mut self) {
        for _ in 0..self.node_clock.len().saturating_mul(2) {
            // Stop well below the limit, so that the next small file does not trim again.
            if self.content_bytes <= self.limits.inode_bytes / 4 * 3 {
                break;
            }
            let Some(ino) = self.node_clock.pop_front() else { break };
            let Some(node) = self.nodes.get_mut(&ino) else { continue };
            self.node_clock.push_back(ino);
            let bytes = node.inode.content.bytes();
            if node.dirty || node.referenced || bytes == 0 {
                node.referenced = false;
                continue;
            }
            node.inode.forget_bytes();
            node.emptied = true;
            self.content_bytes = self.content_bytes.saturating_sub(bytes);
        }
    }

    fn trim_nodes(&mut self) {
        for _ in 0..self.node_clock.len().saturating_mul(2) {
            if self.nodes.len() <= self.limits.inodes {
                break;
            }
            let Some(ino) = self.node_clock.pop_front() else { break };
            let Some(node) = self.nodes.get_mut(&ino) else { continue };
            let busy = node.referenced
                || node.dirty
                || node.open > 0
                || node.dirty_extents > 0
                || node.orphan_dirty
                || !node.doomed.is_empty()
                || ino == InodeNo::ROOT
                || node.dir.as_ref().is_some_and(|dir| dir.slots.iter().any(|(_, slot)| slot.dirty));
            if busy {
                node.referenced = false;
                self.node_clock.push_back(ino);
                continue;
            }
            self.forget_node(ino);
        }
    }
}
