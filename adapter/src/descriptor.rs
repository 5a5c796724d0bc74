//! `wasi:filesystem/types`: descriptors and listings.

use crate::bindings::exports::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize,
    InputStream, MetadataHashValue, NewTimestamp, OpenFlags, OutputStream, PathFlags,
};
use crate::bindings::wasi::clocks::wall_clock::Datetime;
use crate::codes::to_code;
use crate::input::Input;
use crate::output::Output;
use crate::table;
use kvfs::{
    Access, At, Descriptor, DirStream, Ending, Error, Follow, Kind, MetadataHash, MountNo, Mounts, Result,
    SetTime, Start, Stat, Timestamp, Volume,
};
use std::cell::RefCell;

type WasiResult<T> = std::result::Result<T, ErrorCode>;

/// The content of a descriptor resource.
pub(crate) struct Object {
    /// The mount that it was opened through.
    mount: MountNo,
    /// `None` in a preopened directory that was not used yet.
    descriptor: RefCell<Option<Descriptor>>,
    /// The flags that `get-flags` returns.
    flags: DescriptorFlags,
    /// The start of paths in the middle of a walk, when nothing is open.
    #[cfg(feature = "host-mounts")]
    resumed: Option<Start>,
}

impl Object {
    /// The preopened root.
    pub(crate) fn root() -> Self {
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        Self::new(MountNo(0), None, flags)
    }

    fn opened(mount: MountNo, descriptor: Descriptor, flags: DescriptorFlags) -> Self {
        Self::new(mount, Some(descriptor), flags)
    }

    fn new(mount: MountNo, descriptor: Option<Descriptor>, flags: DescriptorFlags) -> Self {
        Self {
            mount,
            descriptor: RefCell::new(descriptor),
            flags,
            #[cfg(feature = "host-mounts")]
            resumed: None,
        }
    }

    /// Makes the start of a walk that came from elsewhere, for one operation.
    #[cfg(feature = "host-mounts")]
    pub(crate) fn resumed(mount: MountNo, start: Start) -> Self {
        let mut object = Self::new(mount, None, DescriptorFlags::empty());
        object.resumed = Some(start);
        object
    }

    #[cfg(feature = "host-mounts")]
    pub(crate) fn mount(&self) -> MountNo {
        self.mount
    }

    /// Does something with the volume and the open descriptor.
    #[inline(always)]
    pub(crate) fn with<T>(
        &self,
        operation: impl FnOnce(&mut Volume, &Descriptor) -> Result<T>,
    ) -> WasiResult<T> {
        table::with_volume(self.mount, |volume| {
            if let Ok(descriptor) = self.descriptor.try_borrow()
                && let Some(descriptor) = &*descriptor
            {
                return operation(volume, descriptor);
            }
            let mut place = self.descriptor.try_borrow_mut().map_err(|_| Error::BadDescriptor)?;
            let root = volume.root()?;
            operation(volume, place.insert(root))
        })
        .map_err(|error| to_code(&error))
    }

    /// Reopens the file for a stream that writes to it. Only files can be open for writing.
    fn writer(&self) -> WasiResult<Descriptor> {
        self.with(
            |volume, file| {
                if file.access().write { volume.reopen(file) } else { Err(Error::BadDescriptor) }
            },
        )
    }

    /// Returns the start of paths from here.
    #[inline(always)]
    pub(crate) fn start(&self, mounts: &mut Mounts) -> Result<Start> {
        #[cfg(feature = "host-mounts")]
        if let Some(start) = self.resumed {
            return Ok(start);
        }
        if let Ok(descriptor) = self.descriptor.try_borrow()
            && let Some(descriptor) = &*descriptor
        {
            return Ok(descriptor.into());
        }
        let mut place = self.descriptor.try_borrow_mut().map_err(|_| Error::BadDescriptor)?;
        let root = mounts.volume(self.mount)?.root()?;
        Ok((&*place.insert(root)).into())
    }

    /// Does something where a path from here leads, on any volume. Returns the mount, too.
    #[inline(always)]
    fn at<T>(
        &self,
        path: &str,
        operation: impl FnMut(&mut Volume, Start, &str) -> Result<T>,
    ) -> WasiResult<(MountNo, T)> {
        table::with(|mounts| {
            let start = self.start(mounts)?;
            mounts.walk(self.mount, start, path, operation)
        })
        .map_err(|error| to_code(&error))
    }

    /// Does something where two paths lead, each with its ending.
    fn at_both<T>(
        &self,
        path: &str,
        (other, other_path): (&Self, &str),
        endings: (Ending, Ending),
        operation: impl FnOnce(&mut Volume, (Start, &str), (Start, &str)) -> Result<T>,
    ) -> WasiResult<T> {
        table::with(|mounts| {
            let (start, other_start) = (self.start(mounts)?, other.start(mounts)?);
            let (one, other) = ((self.mount, start, path), (other.mount, other_start, other_path));
            mounts.walk_both(one, other, endings, operation)
        })
        .map_err(|error| to_code(&error))
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if let Some(descriptor) = self.descriptor.take() {
            table::let_go(self.mount, |volume| volume.close(descriptor));
        }
    }
}

pub(crate) fn follow(flags: PathFlags) -> Follow {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) { Follow::Yes } else { Follow::No }
}

fn to_type(kind: Kind) -> DescriptorType {
    match kind {
        Kind::File => DescriptorType::RegularFile,
        Kind::Directory => DescriptorType::Directory,
        Kind::Symlink => DescriptorType::SymbolicLink,
    }
}

/// WASI's `datetime` has no times before 1970: they are reported as unknown.
fn to_datetime(time: Timestamp) -> Option<Datetime> {
    Some(Datetime { seconds: u64::try_from(time.seconds).ok()?, nanoseconds: time.nanoseconds })
}

fn to_stat(stat: Stat) -> DescriptorStat {
    DescriptorStat {
        type_: to_type(stat.kind),
        link_count: stat.nlink,
        size: stat.size,
        data_access_timestamp: to_datetime(stat.atime),
        data_modification_timestamp: to_datetime(stat.mtime),
        status_change_timestamp: to_datetime(stat.ctime),
    }
}

/// The lowest of the bits of an inode number that are free, and get the number of its volume. So
/// inode numbers are unique in the whole tree: libc uses them as `st_ino`, and programs compare
/// them.
const VOLUME_SHIFT: u32 = 58;

fn to_hash(mount: MountNo, hash: MetadataHash) -> WasiResult<MetadataHashValue> {
    let number = table::with(|mounts| Ok(mounts.volume_number(mount).unwrap_or(0)));
    let number = number.map_err(|error| to_code(&error))?;
    Ok(MetadataHashValue { lower: hash.lower ^ ((number as u64) << VOLUME_SHIFT), upper: hash.upper })
}

fn to_time(time: NewTimestamp) -> WasiResult<SetTime> {
    Ok(match time {
        NewTimestamp::NoChange => SetTime::Keep,
        NewTimestamp::Now => SetTime::Now,
        NewTimestamp::Timestamp(at) => SetTime::At(Timestamp {
            seconds: i64::try_from(at.seconds).map_err(|_| ErrorCode::Overflow)?,
            nanoseconds: at.nanoseconds,
        }),
    })
}

/// Returns the code of a stream's failure, if it is the file system's.
#[cfg(not(feature = "host-mounts"))]
pub(crate) fn failure_code(failure: &crate::errors::StreamFailure) -> Option<ErrorCode> {
    failure.code()
}

/// The functions of the interface.
impl Object {
    pub(crate) fn list(&self) -> WasiResult<Listing> {
        let stream = self.with(|volume, directory| volume.read_directory(directory))?;
        Ok(Listing { mount: self.mount, stream: RefCell::new(Some(stream)) })
    }

    pub(crate) fn link(&self, old_flags: PathFlags, old: &str, new: &Self, new_path: &str) -> WasiResult<()> {
        let follow = follow(old_flags);
        self.at_both(
            old,
            (new, new_path),
            (Ending::Object(follow), Ending::New),
            |volume, (old, old_path), (new, new_path)| volume.link_at(old, old_path, follow, new, new_path),
        )
    }

    pub(crate) fn rename(&self, old: &str, new: &Self, new_path: &str) -> WasiResult<()> {
        self.at_both(
            old,
            (new, new_path),
            (Ending::Name, Ending::Name),
            |volume, (old, old_path), (new, new_path)| volume.rename_at(old, old_path, new, new_path),
        )
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = table::with(|mounts| {
            let (one_start, other_start) = (self.start(mounts)?, other.start(mounts)?);
            let same_volume = mounts.volume_number(self.mount) == mounts.volume_number(other.mount);
            Ok(same_volume && one_start.ino() == other_start.ino())
        });
        same.unwrap_or(false)
    }

    pub(crate) fn open(
        &self,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> WasiResult<Self> {
        let options = kvfs::OpenFlags {
            create: open_flags.contains(OpenFlags::CREATE),
            directory: open_flags.contains(OpenFlags::DIRECTORY),
            exclusive: open_flags.contains(OpenFlags::EXCLUSIVE),
            truncate: open_flags.contains(OpenFlags::TRUNCATE),
        };
        let sync = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        let access = Access {
            read: flags.contains(DescriptorFlags::READ),
            write: flags.contains(DescriptorFlags::WRITE),
            mutate_directory: flags.contains(DescriptorFlags::MUTATE_DIRECTORY),
            sync: flags.intersects(sync),
        };
        let follow = follow(path_flags);
        let (mount, descriptor) =
            self.at(path, |volume, base, path| volume.open_at(base, path, follow, options, access))?;
        // As POSIX's F_GETFL: the flags it was opened with, and reading if none was given.
        let flags =
            if flags.contains(DescriptorFlags::WRITE) { flags } else { flags | DescriptorFlags::READ };
        Ok(Self::opened(mount, descriptor, flags))
    }

    pub(crate) fn read_via_stream(&self, offset: Filesize) -> WasiResult<InputStream> {
        let stream = self.with(|volume, file| match file.kind() {
            Kind::Directory => Err(Error::IsDirectory),
            _ if file.access().read => volume.reopen(file),
            _ => Err(Error::BadDescriptor),
        })?;
        Ok(Input::file(self.mount, stream, offset))
    }

    pub(crate) fn write_via_stream(&self, offset: Filesize) -> WasiResult<OutputStream> {
        Ok(Output::file(self.mount, self.writer()?, At::Offset(offset)))
    }

    pub(crate) fn append_via_stream(&self) -> WasiResult<OutputStream> {
        Ok(Output::file(self.mount, self.writer()?, At::End))
    }

    pub(crate) fn advise(&self, offset: Filesize, length: Filesize, advice: Advice) -> WasiResult<()> {
        self.with(|volume, file| match advice {
            Advice::WillNeed => volume.will_need(file, offset, length),
            Advice::Normal | Advice::Sequential | Advice::Random | Advice::DontNeed | Advice::NoReuse => {
                volume.check_advice(file)
            }
        })
    }

    pub(crate) fn sync_data(&self) -> WasiResult<()> {
        self.with(|volume, descriptor| volume.sync(descriptor))
    }

    pub(crate) fn get_flags(&self) -> WasiResult<DescriptorFlags> {
        Ok(self.flags)
    }

    pub(crate) fn get_type(&self) -> WasiResult<DescriptorType> {
        self.with(|_, descriptor| Ok(to_type(descriptor.kind())))
    }

    pub(crate) fn set_size(&self, size: Filesize) -> WasiResult<()> {
        self.with(|volume, file| volume.set_size(file, size))
    }

    pub(crate) fn set_times(&self, atime: NewTimestamp, mtime: NewTimestamp) -> WasiResult<()> {
        let (atime, mtime) = (to_time(atime)?, to_time(mtime)?);
        self.with(|volume, descriptor| volume.set_times(descriptor, atime, mtime))
    }

    pub(crate) fn read(&self, length: Filesize, offset: Filesize) -> WasiResult<(Vec<u8>, bool)> {
        let wanted = usize::try_from(length).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        let count = self.with(|volume, file| volume.read(file, offset, wanted, &mut bytes))?;
        Ok((bytes, count == 0))
    }

    pub(crate) fn write(&self, bytes: &[u8], offset: Filesize) -> WasiResult<Filesize> {
        self.with(|volume, file| volume.write(file, At::Offset(offset), bytes)).map(|count| count as Filesize)
    }

    pub(crate) fn sync(&self) -> WasiResult<()> {
        self.with(|volume, descriptor| volume.sync(descriptor))
    }

    pub(crate) fn create_directory_at(&self, path: &str) -> WasiResult<()> {
        self.at(path, |volume, base, path| volume.create_directory_at(base, path)).map(drop)
    }

    pub(crate) fn stat(&self) -> WasiResult<DescriptorStat> {
        self.with(|volume, descriptor| volume.stat(descriptor)).map(to_stat)
    }

    pub(crate) fn stat_at(&self, path_flags: PathFlags, path: &str) -> WasiResult<DescriptorStat> {
        let follow = follow(path_flags);
        let found = self.at(path, |volume, base, path| volume.stat_at(base, path, follow))?;
        Ok(to_stat(found.1))
    }

    pub(crate) fn set_times_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        atime: NewTimestamp,
        mtime: NewTimestamp,
    ) -> WasiResult<()> {
        let (atime, mtime) = (to_time(atime)?, to_time(mtime)?);
        let follow = follow(path_flags);
        self.at(path, |volume, base, path| volume.set_times_at(base, path, follow, atime, mtime)).map(drop)
    }

    pub(crate) fn readlink_at(&self, path: &str) -> WasiResult<String> {
        Ok(self.at(path, |volume, base, path| volume.readlink_at(base, path))?.1)
    }

    pub(crate) fn remove_directory_at(&self, path: &str) -> WasiResult<()> {
        self.at(path, |volume, base, path| volume.remove_directory_at(base, path)).map(drop)
    }

    pub(crate) fn symlink_at(&self, target: &str, path: &str) -> WasiResult<()> {
        self.at(path, |volume, base, path| volume.symlink_at(target, base, path)).map(drop)
    }

    pub(crate) fn unlink_file_at(&self, path: &str) -> WasiResult<()> {
        self.at(path, |volume, base, path| volume.unlink_file_at(base, path)).map(drop)
    }

    pub(crate) fn metadata_hash(&self) -> WasiResult<MetadataHashValue> {
        to_hash(self.mount, self.with(|volume, descriptor| volume.metadata_hash(descriptor))?)
    }

    pub(crate) fn metadata_hash_at(
        &self,
        path_flags: PathFlags,
        path: &str,
    ) -> WasiResult<MetadataHashValue> {
        let follow = follow(path_flags);
        let (mount, hash) =
            self.at(path, |volume, base, path| volume.metadata_hash_at(base, path, follow))?;
        to_hash(mount, hash)
    }
}

/// The content of a directory-entry-stream resource.
pub(crate) struct Listing {
    mount: MountNo,
    /// Taken out when it is dropped.
    stream: RefCell<Option<DirStream>>,
}

impl Listing {
    pub(crate) fn next(&self) -> WasiResult<Option<DirectoryEntry>> {
        let Ok(mut stream) = self.stream.try_borrow_mut() else { return Err(ErrorCode::BadDescriptor) };
        let Some(stream) = &mut *stream else { return Err(ErrorCode::BadDescriptor) };
        match table::with_volume(self.mount, |volume| volume.next_entry(stream)) {
            Ok(entry) => Ok(entry
                .map(|entry| DirectoryEntry { type_: to_type(entry.kind), name: entry.name.to_string() })),
            Err(error) => Err(to_code(&error)),
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            table::let_go(self.mount, |volume| volume.close_directory(stream));
        }
    }
}
