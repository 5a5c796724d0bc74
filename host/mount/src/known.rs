//! The inodes that the kernel knows.
//!
//! The kernel names an object by its inode number, which it learns by looking a name up, and tells when it
//! forgets it again. A volume finds an inode by its number, so nothing else need be kept while the inode
//! has a name. Once its last name is removed it must live on until the kernel has forgotten it: programs
//! may stand in it or hold it by `O_PATH`. So it is held open from then on, which is called a pin.

use kvfs::{Descriptor, InodeNo};
use std::collections::HashMap;

/// How often each inode was given to the kernel, and the pins. As many entries as the kernel caches.
#[derive(Debug, Default)]
pub(crate) struct Known {
    lookups: HashMap<InodeNo, u64>,
    pins: HashMap<InodeNo, Descriptor>,
}

impl Known {
    /// Counts that an inode was given to the kernel.
    pub(crate) fn give(&mut self, ino: InodeNo) {
        if ino != InodeNo::ROOT {
            let count = self.lookups.entry(ino).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Returns whether the kernel knows an inode.
    pub(crate) fn has(&self, ino: InodeNo) -> bool {
        self.lookups.contains_key(&ino)
    }

    /// The number of pins.
    pub(crate) fn pins(&self) -> usize {
        self.pins.len()
    }

    /// Holds an inode without names until it is forgotten. Returns the pin that it had before.
    pub(crate) fn pin(&mut self, descriptor: Descriptor) -> Option<Descriptor> {
        self.pins.insert(descriptor.ino(), descriptor)
    }

    /// Counts that the kernel forgets what it was given so often. Returns the pin if it knows the inode no
    /// more.
    pub(crate) fn forget(&mut self, ino: InodeNo, count: u64) -> Option<Descriptor> {
        let left = self.lookups.get_mut(&ino)?;
        *left = left.saturating_sub(count);
        if *left > 0 {
            return None;
        }
        self.lookups.remove(&ino);
        self.pins.remove(&ino)
    }

    /// Takes all pins.
    pub(crate) fn take_pins(&mut self) -> Vec<Descriptor> {
        self.pins.drain().map(|(_, pin)| pin).collect()
    }
}
