//! The volume and what the kernel holds of it, on one thread.

use crate::errno::Failure;
use crate::handles::{Handles, MAX_HANDLES};
use crate::known::Known;
use crate::options::MountOptions;
use crate::teller::Teller;
use fuser::{Errno, FileAttr, FileType, FopenFlags, INodeNo};
use kvfs::{Access, Descriptor, Error, InodeNo, Kind, Start, Stat, Volume};
use std::time::{Duration, Instant};

/// How long the kernel may believe names and attributes of a volume that nobody else writes: always.
const TTL_ALONE: Duration = Duration::from_secs(24 * 60 * 60);

/// The same of a volume that another opener may be writing.
const TTL_BESIDE: Duration = Duration::from_secs(1);

/// Bytes of a block, as `stat` counts them.
const BLOCK_BYTES: u64 = 512;

/// The volume of a mount.
pub(crate) struct State {
    pub(crate) volume: Volume,
    pub(crate) known: Known,
    pub(crate) handles: Handles,
    pub(crate) teller: Teller,
    /// The buffer of reads.
    pub(crate) buffer: Vec<u8>,
    pub(crate) read_only: bool,
    /// Stored names and bytes may differ from those that programs give: secrets are masked.
    scrubs: bool,
    owner: (u32, u32),
    modes: (u16, u16),
    sync_after: Option<Duration>,
    sync_due: Option<Instant>,
}

impl State {
    pub(crate) fn new(volume: Volume, options: MountOptions) -> Self {
        let own = || (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self {
            read_only: options.read_only || volume.is_read_only(),
            scrubs: volume.settings().scrubbing.is_some(),
            volume,
            known: Known::default(),
            handles: Handles::default(),
            teller: Teller::new(options.tell),
            buffer: Vec::new(),
            owner: options.owner.unwrap_or_else(own),
            modes: (options.file_mode & 0o777, options.directory_mode & 0o777),
            sync_after: options.sync_after,
            sync_due: None,
        }
    }

    /// How long the kernel may believe attributes.
    pub(crate) fn attributes_ttl(&self) -> Duration {
        if self.read_only { TTL_BESIDE } else { TTL_ALONE }
    }

    /// How long the kernel may believe names. Where secrets are masked, several names mean one.
    pub(crate) fn names_ttl(&self) -> Duration {
        if self.scrubs { Duration::ZERO } else { self.attributes_ttl() }
    }

    /// How a file is opened: the kernel keeps its pages unless what is stored differs from them.
    pub(crate) fn open_flags(&self) -> FopenFlags {
        let keeps = !self.read_only && !self.scrubs;
        if keeps { FopenFlags::FOPEN_KEEP_CACHE } else { FopenFlags::empty() }
    }

    /// Returns metadata as the kernel takes it.
    pub(crate) fn attributes(&self, stat: &Stat) -> FileAttr {
        let (kind, mode) = match stat.kind {
            Kind::File => (FileType::RegularFile, self.modes.0),
            Kind::Directory => (FileType::Directory, self.modes.1),
            Kind::Symlink => (FileType::Symlink, 0o777),
        };
        let ctime = crate::times::shown(stat.ctime);
        FileAttr {
            ino: INodeNo(stat.ino.0),
            size: stat.size,
            blocks: if stat.kind == Kind::File { stat.size.div_ceil(BLOCK_BYTES) } else { 0 },
            atime: crate::times::shown(stat.atime),
            mtime: crate::times::shown(stat.mtime),
            ctime,
            crtime: ctime,
            kind,
            perm: mode,
            nlink: u32::try_from(stat.nlink).unwrap_or(u32::MAX),
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    /// Returns the attributes of an object that the kernel knows from now on.
    pub(crate) fn given(&mut self, stat: &Stat) -> FileAttr {
        self.known.give(stat.ino);
        self.attributes(stat)
    }

    /// Returns the start of paths at a directory that the kernel knows.
    pub(crate) fn start(&mut self, directory: INodeNo) -> Result<Start, Failure> {
        self.volume.start_at(InodeNo(directory.0)).map_err(Failure::by_number)
    }

    /// Opens an inode that the kernel knows.
    pub(crate) fn open_known(&mut self, ino: INodeNo, access: Access) -> Result<Descriptor, Failure> {
        self.volume.open_number(InodeNo(ino.0), access).map_err(Failure::by_number)
    }

    /// Fails if no more files and directories can be opened.
    pub(crate) fn check_may_open(&self) -> Result<(), Failure> {
        if self.handles.count().saturating_add(self.known.pins()) < MAX_HANDLES {
            Ok(())
        } else {
            Err(Failure::Refused(Errno::ENFILE))
        }
    }

    /// Returns the error that a program sees, and tells of faults.
    pub(crate) fn failed(&mut self, failure: &Failure) -> Errno {
        if let Failure::Volume(error) = failure {
            self.teller.note(error);
        }
        failure.errno()
    }

    /// Remembers a failure that no call can report: the next change reports it.
    pub(crate) fn tell_later(&mut self, outcome: Result<(), Error>) {
        if let Err(error) = &outcome {
            self.teller.note(error);
        }
        self.volume.tell_later(outcome);
    }

    /// Notes that something changes, which is to be durable after a while.
    pub(crate) fn note_change(&mut self) {
        if self.sync_due.is_none() {
            self.sync_due = self.sync_after.and_then(|after| Instant::now().checked_add(after));
        }
    }

    /// When changes are to be made durable, if there are any.
    pub(crate) fn sync_due(&self) -> Option<Instant> {
        self.sync_due
    }

    /// Makes everything durable.
    pub(crate) fn sync(&mut self) -> Result<(), Failure> {
        // A failure leaves the changes dirty: the next change makes them due again.
        self.sync_due = None;
        Ok(self.volume.sync_all()?)
    }

    /// Makes everything durable because it is time.
    pub(crate) fn sync_in_passing(&mut self) {
        if let Err(failure) = self.sync() {
            self.failed(&failure);
            self.note_change();
        }
    }

    /// Closes everything and makes it durable.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        let (files, listings) = self.handles.take_all();
        let descriptors = files.into_iter().map(|file| file.descriptor).chain(self.known.take_pins());
        for descriptor in descriptors {
            // What could not be stored is stored below.
            let _ = self.volume.close(descriptor);
        }
        for listing in listings {
            let _ = listing.close(&mut self.volume);
        }
        if self.read_only { Ok(()) } else { self.volume.sync_all() }
    }
}
