//! Directories that are listed.

use crate::errno::Failure;
use crate::handles::MAX_HANDLES;
use crate::listing::{DOTS, Listing};
use crate::state::State;
use fuser::{FileAttr, FileHandle, FileType, Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus};
use kvfs::{Access, Descriptor, DirEntry, Error, InodeNo, Kind};
use std::time::Duration;

/// What an answer takes entries into.
pub(crate) trait Page {
    /// Adds an entry, with the place behind it. Returns whether the page is full: then it was not added.
    fn add(&mut self, place: u64, name: &str, kind: FileType, attributes: &FileAttr) -> bool;

    /// Whether it takes attributes, so that the kernel knows the inodes from then on.
    const WITH_ATTRIBUTES: bool;
}

impl Page for ReplyDirectory {
    const WITH_ATTRIBUTES: bool = false;

    fn add(&mut self, place: u64, name: &str, kind: FileType, attributes: &FileAttr) -> bool {
        ReplyDirectory::add(self, attributes.ino, place, kind, name)
    }
}

/// An answer with attributes, and how long they may be believed.
pub(crate) struct PlusPage(pub(crate) ReplyDirectoryPlus, pub(crate) Duration);

impl Page for PlusPage {
    const WITH_ATTRIBUTES: bool = true;

    fn add(&mut self, place: u64, name: &str, _: FileType, attributes: &FileAttr) -> bool {
        self.0.add(attributes.ino, place, name, &self.1, attributes, Generation(0))
    }
}

impl State {
    pub(crate) fn opendir(&mut self, ino: INodeNo) -> Result<FileHandle, Failure> {
        self.check_may_open()?;
        let access = Access { read: true, mutate_directory: true, ..Access::default() };
        let directory = self.open_known(ino, access)?;
        Ok(self.handles.add_directory(Listing::new(directory)))
    }

    /// Fills an answer with the entries from a place on. An error behind the first entry is left to the
    /// next request.
    pub(crate) fn readdir(
        &mut self,
        handle: FileHandle,
        place: u64,
        page: &mut impl Page,
    ) -> Result<(), Failure> {
        let mut listing = self.handles.take_directory(handle)?;
        let filled = self.fill(&mut listing, place, page);
        self.handles.put_back(handle, listing);
        match filled {
            Err((error, 0)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Returns an error with the number of entries before it.
    fn fill<P: Page>(
        &mut self,
        listing: &mut Listing,
        place: u64,
        page: &mut P,
    ) -> Result<(), (Error, usize)> {
        let mut added = 0;
        for (dot, name) in [(0, "."), (1, "..")] {
            if place <= dot {
                let attributes = self.dot(&listing.descriptor, dot).map_err(|error| (error, added))?;
                if page.add(dot + 1, name, FileType::Directory, &attributes) {
                    return Ok(());
                }
                added += 1;
            }
        }
        listing.seek(&mut self.volume, place).map_err(|error| (error, added))?;
        let first = place.max(DOTS);
        for ahead in 0.. {
            let entry = listing.entry(&mut self.volume, ahead).map_err(|error| (error, added))?;
            let Some(entry) = entry else { break };
            let behind = first.saturating_add(ahead as u64).saturating_add(1);
            match self.add::<P>(&listing.descriptor, behind, &entry, page) {
                Ok(true) => break,
                Ok(false) => added += 1,
                // It was removed meanwhile.
                Err(Error::NoEntry) => {}
                Err(error) => return Err((error, added)),
            }
        }
        Ok(())
    }

    /// Adds an entry, unless the page is full, and returns whether it is.
    fn add<P: Page>(
        &mut self,
        directory: &Descriptor,
        behind: u64,
        entry: &DirEntry,
        page: &mut P,
    ) -> Result<bool, Error> {
        if P::WITH_ATTRIBUTES {
            let stat = self.volume.look_up_at(directory, &entry.name)?;
            let attributes = self.attributes(&stat);
            let is_full = page.add(behind, &entry.name, attributes.kind, &attributes);
            if !is_full {
                self.known.give(stat.ino);
            }
            return Ok(is_full);
        }
        let kind = match entry.kind {
            Kind::File => FileType::RegularFile,
            Kind::Directory => FileType::Directory,
            Kind::Symlink => FileType::Symlink,
        };
        Ok(page.add(behind, &entry.name, kind, &self.bare(entry.ino, kind)))
    }

    /// The attributes of a directory itself, or for dot 1 of the one above it.
    fn dot(&mut self, directory: &Descriptor, dot: u64) -> Result<FileAttr, Error> {
        let stat = self.volume.stat(directory)?;
        let mut attributes = self.attributes(&stat);
        if dot == 1 && stat.ino != InodeNo::ROOT && stat.nlink > 0 {
            let start = self.volume.start_at(stat.ino)?.resumed(stat.ino, false, 0);
            attributes.ino = INodeNo(self.volume.stat_at(start, "..", kvfs::Follow::No)?.ino.0);
        }
        Ok(attributes)
    }

    /// Attributes of which a listing shows the number only.
    fn bare(&self, ino: InodeNo, kind: FileType) -> FileAttr {
        let epoch = std::time::UNIX_EPOCH;
        FileAttr {
            ino: INodeNo(ino.0),
            size: 0,
            blocks: 0,
            atime: epoch,
            mtime: epoch,
            ctime: epoch,
            crtime: epoch,
            kind,
            perm: 0,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 0,
            flags: 0,
        }
    }

    pub(crate) fn releasedir(&mut self, handle: FileHandle) {
        if let Ok(listing) = self.handles.take_directory(handle) {
            let closed = listing.close(&mut self.volume);
            self.tell_later(closed);
        }
    }
}

/// A listing holds two descriptors.
const _: () = assert!(2 * MAX_HANDLES + 1024 < kvfs::limits::MAX_OPEN_DESCRIPTORS as usize);
