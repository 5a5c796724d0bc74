//! Open files and directories, by the numbers that the kernel has for them.

use crate::errno::Failure;
use crate::listing::Listing;
use fuser::{Errno, FileHandle};
use kvfs::Descriptor;
use std::collections::HashMap;
use std::ops::Range;

/// Most files and directories open at once, with removed inodes that the kernel still knows. A volume has
/// room for the descriptors of as many, and for those that an operation opens for itself.
pub(crate) const MAX_HANDLES: usize = 30_000;

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) descriptor: Descriptor,
    /// Where it has data, and its generation then.
    pub(crate) data: Option<(u64, Vec<Range<u64>>)>,
}

/// Everything that the kernel has open.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    files: HashMap<u64, OpenFile>,
    directories: HashMap<u64, Listing>,
    last: u64,
}

impl Handles {
    /// The number of open files and directories.
    pub(crate) fn count(&self) -> usize {
        self.files.len().saturating_add(self.directories.len())
    }

    /// Takes an open file, and returns its number.
    pub(crate) fn add_file(&mut self, descriptor: Descriptor) -> FileHandle {
        let number = self.next();
        self.files.insert(number, OpenFile { descriptor, data: None });
        FileHandle(number)
    }

    /// Takes an open directory, and returns its number.
    pub(crate) fn add_directory(&mut self, listing: Listing) -> FileHandle {
        let number = self.next();
        self.directories.insert(number, listing);
        FileHandle(number)
    }

    /// Returns an open file.
    pub(crate) fn file(&mut self, handle: FileHandle) -> Result<&mut OpenFile, Failure> {
        self.files.get_mut(&handle.0).ok_or(Failure::Refused(Errno::EBADF))
    }

    /// Takes an open directory out, to be given back by [`Handles::put_back`].
    pub(crate) fn take_directory(&mut self, handle: FileHandle) -> Result<Listing, Failure> {
        self.directories.remove(&handle.0).ok_or(Failure::Refused(Errno::EBADF))
    }

    /// Puts back what [`Handles::take_directory`] took.
    pub(crate) fn put_back(&mut self, handle: FileHandle, listing: Listing) {
        self.directories.insert(handle.0, listing);
    }

    /// Takes a file that the kernel has closed.
    pub(crate) fn remove_file(&mut self, handle: FileHandle) -> Option<OpenFile> {
        self.files.remove(&handle.0)
    }

    /// Takes everything.
    pub(crate) fn take_all(&mut self) -> (Vec<OpenFile>, Vec<Listing>) {
        let files = self.files.drain().map(|(_, file)| file).collect();
        (files, self.directories.drain().map(|(_, listing)| listing).collect())
    }

    /// The next number. They do not run out: 64 bits.
    fn next(&mut self) -> u64 {
        self.last = self.last.wrapping_add(1);
        self.last
    }
}
