//! Changes of names: made, removed, renamed.

use crate::errno::Failure;
use crate::names::{name, target};
use crate::state::State;
use fuser::{Errno, FileAttr, FileHandle, INodeNo, RenameFlags};
use kvfs::{Access, Descriptor, Error, Follow, InodeNo, Kind, OpenFlags, Start, Volume};
use std::ffi::OsStr;

impl State {
    /// Makes a file, unless there is one and it may be, and opens it. Returns its attributes too.
    pub(crate) fn create(
        &mut self,
        parent: INodeNo,
        entry: &OsStr,
        (flags, access): (OpenFlags, Access),
    ) -> Result<(FileAttr, FileHandle), Failure> {
        self.check_may_open()?;
        let (start, entry) = (self.start(parent)?, name(entry)?);
        self.note_change();
        let file = self.volume.open_at(start, entry, Follow::No, flags, access)?;
        match self.volume.stat(&file) {
            Ok(stat) => Ok((self.given(&stat), self.handles.add_file(file))),
            Err(error) => {
                let closed = self.volume.close(file);
                self.tell_later(closed);
                Err(error.into())
            }
        }
    }

    /// Makes a file by `mknod`. There are no devices, pipes and sockets.
    pub(crate) fn mknod(&mut self, parent: INodeNo, entry: &OsStr, mode: u32) -> Result<FileAttr, Failure> {
        const KIND: u32 = 0o170_000;
        const FILE: u32 = 0o100_000;
        if !matches!(mode & KIND, 0 | FILE) {
            return Err(Failure::Refused(Errno::EPERM));
        }
        let flags = OpenFlags { create: true, exclusive: true, ..OpenFlags::default() };
        let access = Access { read: true, ..Access::default() };
        let (attributes, handle) = self.create(parent, entry, (flags, access))?;
        if let Some(file) = self.handles.remove_file(handle) {
            self.volume.close(file.descriptor)?;
        }
        Ok(attributes)
    }

    pub(crate) fn mkdir(&mut self, parent: INodeNo, entry: &OsStr) -> Result<FileAttr, Failure> {
        self.make(parent, entry, |volume, start, entry| volume.create_directory_at(start, entry))
    }

    /// Makes a symbolic link. The kernel follows it, so its target may be anywhere.
    pub(crate) fn symlink(
        &mut self,
        parent: INodeNo,
        entry: &OsStr,
        to: &OsStr,
    ) -> Result<FileAttr, Failure> {
        let to = target(to)?;
        self.make(parent, entry, |volume, start, entry| volume.import_symlink_at(to, start, entry))
    }

    pub(crate) fn link(&mut self, ino: INodeNo, parent: INodeNo, entry: &OsStr) -> Result<FileAttr, Failure> {
        self.make(parent, entry, |volume, start, entry| volume.link_number(InodeNo(ino.0), start, entry))
    }

    fn make(
        &mut self,
        parent: INodeNo,
        entry: &OsStr,
        work: impl FnOnce(&mut Volume, Start, &str) -> Result<(), Error>,
    ) -> Result<FileAttr, Failure> {
        let (start, entry) = (self.start(parent)?, name(entry)?);
        self.note_change();
        work(&mut self.volume, start, entry)?;
        let stat = self.volume.look_up_at(start, entry)?;
        Ok(self.given(&stat))
    }

    pub(crate) fn unlink(&mut self, parent: INodeNo, entry: &OsStr) -> Result<(), Failure> {
        self.remove(parent, entry, |volume, start, entry| volume.unlink_file_at(start, entry))
    }

    pub(crate) fn rmdir(&mut self, parent: INodeNo, entry: &OsStr) -> Result<(), Failure> {
        self.remove(parent, entry, |volume, start, entry| volume.remove_directory_at(start, entry))
    }

    fn remove(
        &mut self,
        parent: INodeNo,
        entry: &OsStr,
        work: impl FnOnce(&mut Volume, Start, &str) -> Result<(), Error>,
    ) -> Result<(), Failure> {
        let (start, entry) = (self.start(parent)?, name(entry)?);
        self.note_change();
        let held = self.hold(start, entry);
        let done = work(&mut self.volume, start, entry);
        self.settle(held);
        Ok(done?)
    }

    /// Renames an entry. Two entries cannot be exchanged.
    pub(crate) fn rename(
        &mut self,
        (parent, entry): (INodeNo, &OsStr),
        (new_parent, new_entry): (INodeNo, &OsStr),
        flags: RenameFlags,
    ) -> Result<(), Failure> {
        if !(flags - RenameFlags::RENAME_NOREPLACE).is_empty() {
            return Err(Failure::Refused(Errno::EINVAL));
        }
        let (start, entry) = (self.start(parent)?, name(entry)?);
        let (new_start, new_entry) = (self.start(new_parent)?, name(new_entry)?);
        if flags.contains(RenameFlags::RENAME_NOREPLACE) {
            match self.volume.look_up_at(new_start, new_entry) {
                Ok(_) => return Err(Failure::Refused(Errno::EEXIST)),
                Err(Error::NoEntry) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.note_change();
        let held = self.hold(new_start, new_entry);
        let done = self.volume.rename_at(start, entry, new_start, new_entry);
        self.settle(held);
        Ok(done?)
    }

    /// Opens an object that is about to lose its last name, if the kernel knows it.
    fn hold(&mut self, start: Start, entry: &str) -> Option<Descriptor> {
        // Whatever fails here, the operation itself reports.
        let stat = self.volume.look_up_at(start, entry).ok()?;
        let is_last = stat.kind == Kind::Directory || stat.nlink <= 1;
        if !is_last || !self.known.has(stat.ino) || self.check_may_open().is_err() {
            return None;
        }
        let access = Access { read: true, mutate_directory: true, ..Access::default() };
        self.volume.open_number(stat.ino, access).ok()
    }

    /// Keeps an object open that has lost its last name, and closes any other.
    fn settle(&mut self, held: Option<Descriptor>) {
        let Some(held) = held else { return };
        let is_removed = self.volume.stat(&held).is_ok_and(|stat| stat.nlink == 0);
        let unneeded = if is_removed { self.known.pin(held) } else { Some(held) };
        if let Some(unneeded) = unneeded {
            let closed = self.volume.close_stream(unneeded);
            self.tell_later(closed);
        }
    }
}
