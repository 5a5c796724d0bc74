//! A volume: one file-system tree in a store, and the state that all operations share.

pub(crate) mod mountpoints;
pub(crate) mod pending;
pub(crate) mod room;

use self::mountpoints::Mountpoints;
use self::pending::Pending;
use self::room::Room;
use crate::backing::Backing;
use crate::backing::batch::Batch;
use crate::cache::Cache;
use crate::options::Options;
use crate::quota::{Quota, Used};
use crate::types::{Clock, ImageId, InodeNo, MountNo};
use std::collections::VecDeque;

/// An open volume.
///
/// One thread uses it; its operations are the methods in `ops`. Dropping it without
/// [`Volume::sync_all`] is what a kill does: see [`Mode`](crate::Mode).
pub struct Volume {
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) options: Options,
    /// Takes no changes, by what it is or because the caller wants none now.
    pub(crate) read_only: bool,
    /// Directories on which something else is mounted.
    pub(crate) mountpoints: Mountpoints,

    /// What is stored.
    pub(crate) backing: Backing,
    /// What is in memory, and what of it is dirty.
    pub(crate) cache: Cache,
    /// What else waits for the next commit.
    pub(crate) pending: Pending,
    pub(crate) orphans: Orphans,

    /// What one commit can hold.
    pub(crate) room: Room,
    /// Memory for commits.
    pub(crate) batch: Batch,

    pub(crate) open_descriptors: u32,
    /// Names that listings hold.
    pub(crate) snapshot_entries: usize,
}

/// Inodes without a name that are not open: a former opener left them, or there was no room to remove
/// them with their last close.
#[derive(Default)]
pub(crate) struct Orphans {
    pub(crate) queue: VecDeque<InodeNo>,
    /// The key from which the store has more of a former opener's, once those in `queue` are removed.
    pub(crate) next_page: Option<Vec<u8>>,
}

impl Volume {
    /// Puts a volume together of which nothing is in memory.
    pub(crate) fn new(clock: Box<dyn Clock>, options: Options, backing: Backing, room: Room) -> Self {
        Self {
            clock,
            read_only: false,
            mountpoints: Mountpoints::default(),
            cache: Cache::new(options.cache),
            options,
            pending: Pending::nothing(backing.committed.clone()),
            backing,
            orphans: Orphans::default(),
            room,
            batch: Batch::default(),
            open_descriptors: 0,
            snapshot_entries: 0,
        }
    }

    /// Refuses or takes changes from now on, but for those already made, which are still stored. An image
    /// never takes any.
    pub fn set_read_only(&mut self, read_only: bool) {
        let is_image = self.backing.lower.is_some() && self.backing.committed.lower.is_none();
        self.read_only = read_only || is_image;
    }

    /// Says through which mount the next operations come, and whether that takes changes. An image never
    /// takes any.
    pub fn enter(&mut self, mount: MountNo, read_only: bool) {
        self.mountpoints.here = mount;
        self.set_read_only(read_only);
    }

    /// Mounts something on a directory: through the mount `seen`, walks that come to `covered` go on
    /// there. The directory can be neither removed nor renamed from then on; one that it lies in can.
    pub fn attach(&mut self, seen: MountNo, covered: InodeNo, mount: MountNo) {
        self.mountpoints.covered.push((seen, covered, mount));
    }

    /// The name this volume has in its store.
    pub fn name(&self) -> &str {
        &self.options.volume
    }

    /// An identity that no other volume has.
    pub fn uuid(&self) -> [u8; 16] {
        self.backing.committed.uuid
    }

    /// The image below, if there is one.
    pub fn image(&self) -> Option<&ImageId> {
        self.backing.lower.as_ref().map(|lower| lower.id())
    }

    /// Bytes, inodes and names that the volume uses, as its quota counts them.
    pub fn used(&self) -> Used {
        self.pending.superblock.used()
    }

    /// Returns what the volume may hold. [`Volume::used`] is what it does hold.
    pub fn quota(&self) -> Quota {
        self.pending.superblock.quota()
    }

    /// Inodes, directory entries and bytes of files that are in memory now.
    pub fn memory(&self) -> (usize, usize, usize) {
        self.cache.usage()
    }
}
