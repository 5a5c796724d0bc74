//! A volume: one file-system tree in a store, and the state that all operations share.

pub(crate) mod amounts;
pub(crate) mod mountpoints;
pub(crate) mod pending;
mod places;
pub(crate) mod room;

use self::amounts::Amounts;
use self::mountpoints::Mountpoints;
use self::pending::Pending;
use self::room::Room;
use crate::backing::Backing;
use crate::backing::batch::Batch;
use crate::cache::Cache;
use crate::limits::MAX_FILE_BYTES;
use crate::options::Options;
use crate::place::Places;
use crate::policy::Policy;
use crate::quota::{Quota, Settings, Used};
use crate::scrub::Scrubbing;
use crate::types::{Clock, ImageId, InodeNo, MountNo};
use std::collections::VecDeque;
use std::rc::Rc;

/// An open volume.
///
/// One thread uses it. Dropping it without [`Volume::sync_all`] has the effect of a kill: see
/// [`Mode`](crate::Mode).
pub struct Volume {
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) options: Options,
    /// It takes no changes: it is an image, or the caller wants none now.
    pub(crate) read_only: bool,
    /// It never takes any: it is an image, or was opened for reading only.
    pub(crate) is_fixed: bool,
    /// The rights at each path; `None` for all rights everywhere.
    pub(crate) policy: Option<Rc<Policy>>,
    /// Directories on which something is mounted.
    pub(crate) mountpoints: Mountpoints,

    /// The secrets that must not reach the store.
    pub(crate) scrubbing: Option<Box<Scrubbing>>,

    /// The stored state.
    pub(crate) backing: Backing,
    /// The state in memory, with its dirty part.
    pub(crate) cache: Cache,
    /// The rest of the dirty state.
    pub(crate) pending: Pending,
    pub(crate) orphans: Orphans,

    /// The capacity of one commit.
    pub(crate) room: Room,
    /// The buffer of commits.
    pub(crate) batch: Batch,

    /// How much may be held in memory and open.
    pub(crate) allowed: Amounts,
    pub(crate) open_descriptors: u32,
    pub(crate) places: Places,
    /// Names in memory for open listings.
    pub(crate) snapshot_entries: usize,
    /// Listings that are open.
    pub(crate) open_listings: u32,
    /// How many volumes of its own it has, and how many layers these stand on, as far as this opener
    /// knows; `None` if it has not looked.
    pub(crate) owned: Option<(u32, u32)>,
}

/// Inodes that have no name and are not open. A former opener left them, or their last close had no
/// room to remove them.
#[derive(Default)]
pub(crate) struct Orphans {
    pub(crate) queue: VecDeque<InodeNo>,
    /// The key from which the store has more of them, to be read when `queue` is empty.
    pub(crate) next_page: Option<Vec<u8>>,
}

impl Volume {
    /// Makes a volume with nothing in memory.
    pub(crate) fn new(clock: Box<dyn Clock>, options: Options, backing: Backing, room: Room) -> Self {
        Self {
            clock,
            read_only: false,
            is_fixed: false,
            policy: None,
            mountpoints: Mountpoints::default(),
            scrubbing: None,
            cache: Cache::new(Amounts::own(&options).cache()),
            allowed: Amounts::own(&options),
            options,
            pending: Pending::nothing(backing.committed.clone(), &backing.settings),
            backing,
            orphans: Orphans::default(),
            room,
            batch: Batch::default(),
            open_descriptors: 0,
            places: Places::default(),
            snapshot_entries: 0,
            open_listings: 0,
            owned: None,
        }
    }

    /// Refuses or takes changes from now on. Earlier changes are still stored. An image, a volume that
    /// is frozen, and one that was opened for reading only never take any.
    pub fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only || self.is_fixed || self.backing.committed.is_read_only();
    }

    /// Sets the mount through which the next operations come, and whether it takes changes. An
    /// image never takes any.
    pub fn enter(&mut self, mount: MountNo, read_only: bool) {
        self.mountpoints.here = mount;
        self.set_read_only(read_only);
    }

    /// Sets what the next operations may do at which paths; `None` for everything. A descriptor
    /// keeps the access that it was opened with.
    ///
    /// Give the policy before anything is opened: a descriptor of a directory carries its place in
    /// the policy of that time.
    pub fn set_policy(&mut self, policy: Option<Rc<Policy>>) {
        self.policy = policy;
    }

    /// Mounts something on a directory: walks through the mount `seen` that reach it go on in
    /// `mount`. From then on the directory itself can be neither removed nor renamed; the
    /// directories above it can, unless there are rules on paths.
    ///
    /// `way` has the directories from below the root down to it, each with its name and inode.
    pub fn attach(&mut self, seen: MountNo, way: Vec<(String, InodeNo)>, mount: MountNo) {
        self.mountpoints.add(seen, way, mount);
    }

    /// The name of the volume in its store.
    pub fn name(&self) -> &str {
        &self.options.volume
    }

    /// The unique identity of the volume.
    pub fn uuid(&self) -> [u8; 16] {
        self.backing.committed.uuid
    }

    /// The image below, if there is one.
    pub fn image(&self) -> Option<&ImageId> {
        self.backing.lower.as_ref().map(|lower| lower.id())
    }

    /// Returns the bytes, inodes and names that the volume uses, as its quota counts them.
    pub fn used(&self) -> Used {
        self.pending.superblock.used()
    }

    /// Returns the quota of the volume: how much it may hold. [`Volume::used`] is how much it does.
    /// [`Options::own_quota`] is not part of it.
    pub fn quota(&self) -> Quota {
        let limit = self.pending.max_file_bytes;
        let file_bytes = (limit < MAX_FILE_BYTES).then_some(limit);
        Quota { file_bytes, ..self.pending.superblock.quota() }
    }

    /// The quota that counts for this opener: of each limit, the smaller of the volume's and its own.
    pub(crate) fn counting_quota(&self) -> Quota {
        self.quota().within(self.options.own_quota)
    }

    /// The largest file that this opener may make, in bytes.
    pub(crate) fn max_file_bytes(&self) -> u64 {
        let own = self.options.own_quota.file_bytes.unwrap_or(MAX_FILE_BYTES);
        self.pending.max_file_bytes.min(own)
    }

    /// Returns what was set for the volume.
    pub fn settings(&self) -> Settings {
        Settings { quota: self.quota(), scrubbing: self.scrubbing.as_deref().cloned() }
    }

    /// Scrubs from now on by what is stored.
    pub(crate) fn adopt_scrubbing(&mut self) {
        self.scrubbing = self.backing.settings.scrubbing().map(Box::new);
    }

    /// Returns how many inodes, directory entries and bytes of files are in memory.
    pub fn memory(&self) -> (usize, usize, usize) {
        self.cache.usage()
    }
}
