//! Names that are looked up, attributes, and the size of the whole.

use crate::errno::Failure;
use crate::names::name;
use crate::state::State;
use crate::times::asked;
use fuser::{Errno, FileAttr, FileHandle, INodeNo, TimeOrNow};
use kvfs::limits::MAX_NAME_BYTES;
use kvfs::{Access, Descriptor, Error, InodeNo, SetTime};
use std::ffi::OsStr;

/// Bytes of a block of the whole, as `df` counts them.
const BLOCK_BYTES: u64 = 4096;

/// Room that a volume without a quota shows as free: nobody knows what its store takes.
const UNKNOWN_BYTES: u64 = 1 << 50;
const UNKNOWN_INODES: u64 = 1 << 32;

/// What a program asks to be set of a file.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) size: Option<u64>,
    pub(crate) atime: Option<TimeOrNow>,
    pub(crate) mtime: Option<TimeOrNow>,
}

/// The room of the whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) blocks: u64,
    pub(crate) free_blocks: u64,
    pub(crate) inodes: u64,
    pub(crate) free_inodes: u64,
    pub(crate) block_bytes: u32,
    pub(crate) name_bytes: u32,
}

impl State {
    /// Looks a name up; `None` if there is nothing.
    pub(crate) fn lookup(&mut self, parent: INodeNo, entry: &OsStr) -> Result<Option<FileAttr>, Failure> {
        let start = self.start(parent)?;
        match self.volume.look_up_at(start, name(entry)?) {
            Ok(stat) => Ok(Some(self.given(&stat))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Forgets an inode that the kernel has forgotten.
    pub(crate) fn forget(&mut self, ino: INodeNo, count: u64) {
        if let Some(pin) = self.known.forget(InodeNo(ino.0), count) {
            let closed = self.volume.close(pin);
            self.tell_later(closed);
        }
    }

    pub(crate) fn getattr(&mut self, ino: INodeNo) -> Result<FileAttr, Failure> {
        let stat = self.volume.stat_number(InodeNo(ino.0)).map_err(Failure::by_number)?;
        Ok(self.attributes(&stat))
    }

    /// Sets size and times. Permissions and owners are taken and not kept: tar, rsync and git set them, and
    /// would fail otherwise.
    pub(crate) fn setattr(
        &mut self,
        ino: INodeNo,
        handle: Option<FileHandle>,
        changes: Changes,
    ) -> Result<FileAttr, Failure> {
        let times = (asked(changes.atime), asked(changes.mtime));
        let keeps_times = times == (SetTime::Keep, SetTime::Keep);
        if changes.size.is_none() && keeps_times {
            return self.getattr(ino);
        }
        self.note_change();
        if let Some(size) = changes.size {
            let file = handle.and_then(|handle| self.handles.file(handle).ok());
            match file.filter(|file| file.descriptor.access().write) {
                Some(file) => self.volume.set_size(&file.descriptor, size)?,
                None => {
                    let access = Access { read: true, write: true, mutate_directory: true, sync: false };
                    self.with_open(ino, access, |state, file| Ok(state.volume.set_size(file, size)?))?;
                }
            }
        }
        if !keeps_times {
            let access = Access { read: true, mutate_directory: true, ..Access::default() };
            self.with_open(ino, access, |state, object| {
                Ok(state.volume.set_times(object, times.0, times.1)?)
            })?;
        }
        self.getattr(ino)
    }

    /// Opens an inode for one operation. Its close stores what changed, as that of any file.
    fn with_open(
        &mut self,
        ino: INodeNo,
        access: Access,
        work: impl FnOnce(&mut Self, &Descriptor) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let object = self.open_known(ino, access)?;
        let done = work(self, &object);
        let closed = self.volume.close(object);
        done.and(closed.map_err(Failure::from))
    }

    pub(crate) fn readlink(&mut self, ino: INodeNo) -> Result<String, Failure> {
        match self.volume.readlink_number(InodeNo(ino.0)) {
            Err(Error::Invalid) => Err(Failure::Refused(Errno::EINVAL)),
            target => target.map_err(Failure::by_number),
        }
    }

    /// Returns what the quota leaves.
    pub(crate) fn statfs(&mut self) -> Room {
        let (used, quota) = (self.volume.used(), self.volume.quota());
        let room = |limit: Option<u64>, used: u64, unknown: u64| match limit {
            Some(limit) => (limit.max(used), limit.saturating_sub(used)),
            None => (used.saturating_add(unknown), unknown),
        };
        let (bytes, free_bytes) = room(quota.bytes, used.bytes, UNKNOWN_BYTES);
        let (inodes, free_inodes) = room(quota.inodes, used.inodes, UNKNOWN_INODES);
        Room {
            blocks: bytes.div_ceil(BLOCK_BYTES),
            free_blocks: free_bytes / BLOCK_BYTES,
            inodes,
            free_inodes,
            block_bytes: u32::try_from(BLOCK_BYTES).unwrap_or(u32::MAX),
            name_bytes: u32::try_from(MAX_NAME_BYTES).unwrap_or(u32::MAX),
        }
    }
}
