//! `wasi:filesystem/types`: descriptors and listings.

use crate::Adapter;
use crate::bindings::exports::wasi::filesystem::types::{
    Advice, Descriptor as DescriptorResource, DescriptorBorrow, DescriptorFlags, DescriptorStat,
    DescriptorType, DirectoryEntry, DirectoryEntryStream as StreamResource, ErrorBorrow, ErrorCode, Filesize,
    Guest, GuestDescriptor, GuestDirectoryEntryStream, InputStream, MetadataHashValue, NewTimestamp,
    OpenFlags, OutputStream, PathFlags,
};
use crate::bindings::wasi::clocks::wall_clock::Datetime;
use crate::codes::to_code;
use crate::errors::StreamFailure;
use crate::input::Input;
use crate::output::Output;
use crate::volume;
use kvfs::{
    Access, At, Descriptor, DirStream, Error, Follow, Kind, MetadataHash, Result, SetTime, Stat, Timestamp,
    Volume,
};
use std::cell::{Cell, RefCell};

type WasiResult<T> = std::result::Result<T, ErrorCode>;

/// What a descriptor resource holds.
pub(crate) struct Object {
    /// Empty in a preopened directory that was not used yet.
    descriptor: RefCell<Option<Descriptor>>,
    /// What `get-flags` answers.
    flags: DescriptorFlags,
}

impl Object {
    /// The preopened root.
    pub(crate) fn root() -> Object {
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        Object { descriptor: RefCell::new(None), flags }
    }

    fn opened(descriptor: Descriptor, flags: DescriptorFlags) -> Object {
        Object { descriptor: RefCell::new(Some(descriptor)), flags }
    }

    /// Does something with the volume and what this is open on.
    fn with<T>(&self, operation: impl FnOnce(&mut Volume, &Descriptor) -> Result<T>) -> WasiResult<T> {
        volume::with(|volume| {
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

    /// Opens again what a stream is to write to: a file opened for writing, which no directory can be.
    fn writer(&self) -> WasiResult<Descriptor> {
        self.with(
            |volume, file| {
                if file.access().write { volume.reopen(file) } else { Err(Error::BadDescriptor) }
            },
        )
    }

    /// Does something with what two descriptors are open on, which may be the same one.
    fn with_both<T>(
        &self,
        other: &Object,
        operation: impl FnOnce(&mut Volume, &Descriptor, &Descriptor) -> Result<T>,
    ) -> WasiResult<T> {
        other.with(|_, _| Ok(()))?;
        self.with(|volume, one| {
            let other = other.descriptor.try_borrow().map_err(|_| Error::BadDescriptor)?;
            operation(volume, one, other.as_ref().ok_or(Error::BadDescriptor)?)
        })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if let Some(descriptor) = self.descriptor.take() {
            // A drop has no answer. What could not be stored stays in the volume, and the next sync tells.
            let _ = volume::with_open(|volume| volume.close(descriptor));
        }
    }
}

fn follow(flags: PathFlags) -> Follow {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) { Follow::Yes } else { Follow::No }
}

fn to_type(kind: Kind) -> DescriptorType {
    match kind {
        Kind::File => DescriptorType::RegularFile,
        Kind::Directory => DescriptorType::Directory,
        Kind::Symlink => DescriptorType::SymbolicLink,
    }
}

/// Times before 1970 have no place in WASI's `datetime`; they are told as not known.
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

fn to_hash(hash: MetadataHash) -> MetadataHashValue {
    MetadataHashValue { lower: hash.lower, upper: hash.upper }
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

impl Guest for Adapter {
    type Descriptor = Object;
    type DirectoryEntryStream = Listing;

    fn filesystem_error_code(err: ErrorBorrow<'_>) -> Option<ErrorCode> {
        err.get::<StreamFailure>().code()
    }
}

impl GuestDescriptor for Object {
    fn read_via_stream(&self, offset: Filesize) -> WasiResult<InputStream> {
        let stream = self.with(|volume, file| match file.kind() {
            Kind::Directory => Err(Error::IsDirectory),
            _ if file.access().read => volume.reopen(file),
            _ => Err(Error::BadDescriptor),
        })?;
        Ok(Input::file(stream, offset))
    }

    fn write_via_stream(&self, offset: Filesize) -> WasiResult<OutputStream> {
        Ok(Output::file(self.writer()?, At::Offset(offset)))
    }

    fn append_via_stream(&self) -> WasiResult<OutputStream> {
        Ok(Output::file(self.writer()?, At::End))
    }

    fn advise(&self, offset: Filesize, length: Filesize, advice: Advice) -> WasiResult<()> {
        self.with(|volume, file| match advice {
            Advice::WillNeed => volume.will_need(file, offset, length),
            Advice::Normal | Advice::Sequential | Advice::Random | Advice::DontNeed | Advice::NoReuse => {
                volume.check_advice(file)
            }
        })
    }

    fn sync_data(&self) -> WasiResult<()> {
        self.with(|volume, descriptor| volume.sync(descriptor))
    }

    fn get_flags(&self) -> WasiResult<DescriptorFlags> {
        Ok(self.flags)
    }

    fn get_type(&self) -> WasiResult<DescriptorType> {
        self.with(|_, descriptor| Ok(to_type(descriptor.kind())))
    }

    fn set_size(&self, size: Filesize) -> WasiResult<()> {
        self.with(|volume, file| volume.set_size(file, size))
    }

    fn set_times(&self, atime: NewTimestamp, mtime: NewTimestamp) -> WasiResult<()> {
        let (atime, mtime) = (to_time(atime)?, to_time(mtime)?);
        self.with(|volume, descriptor| volume.set_times(descriptor, atime, mtime))
    }

    fn read(&self, length: Filesize, offset: Filesize) -> WasiResult<(Vec<u8>, bool)> {
        let wanted = usize::try_from(length).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        let count = self.with(|volume, file| volume.read(file, offset, wanted, &mut bytes))?;
        Ok((bytes, count == 0))
    }

    fn write(&self, buffer: Vec<u8>, offset: Filesize) -> WasiResult<Filesize> {
        self.with(|volume, file| volume.write(file, At::Offset(offset), &buffer))
            .map(|count| count as Filesize)
    }

    fn read_directory(&self) -> WasiResult<StreamResource> {
        let stream = self.with(|volume, directory| volume.read_directory(directory))?;
        Ok(StreamResource::new(Listing { stream: Cell::new(Some(stream)) }))
    }

    fn sync(&self) -> WasiResult<()> {
        self.with(|volume, descriptor| volume.sync(descriptor))
    }

    fn create_directory_at(&self, path: String) -> WasiResult<()> {
        self.with(|volume, base| volume.create_directory_at(base, &path))
    }

    fn stat(&self) -> WasiResult<DescriptorStat> {
        self.with(|volume, descriptor| volume.stat(descriptor)).map(to_stat)
    }

    fn stat_at(&self, path_flags: PathFlags, path: String) -> WasiResult<DescriptorStat> {
        self.with(|volume, base| volume.stat_at(base, &path, follow(path_flags))).map(to_stat)
    }

    fn set_times_at(
        &self,
        path_flags: PathFlags,
        path: String,
        atime: NewTimestamp,
        mtime: NewTimestamp,
    ) -> WasiResult<()> {
        let (atime, mtime) = (to_time(atime)?, to_time(mtime)?);
        self.with(|volume, base| volume.set_times_at(base, &path, follow(path_flags), atime, mtime))
    }

    fn link_at(
        &self,
        old_path_flags: PathFlags,
        old_path: String,
        new_descriptor: DescriptorBorrow<'_>,
        new_path: String,
    ) -> WasiResult<()> {
        self.with_both(new_descriptor.get(), |volume, old, new| {
            volume.link_at(old, &old_path, follow(old_path_flags), new, &new_path)
        })
    }

    fn open_at(
        &self,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> WasiResult<DescriptorResource> {
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
        let descriptor =
            self.with(|volume, base| volume.open_at(base, &path, follow(path_flags), options, access))?;
        // As POSIX's F_GETFL: what it was opened with, and reading if nothing was asked for.
        let flags =
            if flags.contains(DescriptorFlags::WRITE) { flags } else { flags | DescriptorFlags::READ };
        Ok(DescriptorResource::new(Object::opened(descriptor, flags)))
    }

    fn readlink_at(&self, path: String) -> WasiResult<String> {
        self.with(|volume, base| volume.readlink_at(base, &path))
    }

    fn remove_directory_at(&self, path: String) -> WasiResult<()> {
        self.with(|volume, base| volume.remove_directory_at(base, &path))
    }

    fn rename_at(
        &self,
        old_path: String,
        new_descriptor: DescriptorBorrow<'_>,
        new_path: String,
    ) -> WasiResult<()> {
        self.with_both(new_descriptor.get(), |volume, old, new| {
            volume.rename_at(old, &old_path, new, &new_path)
        })
    }

    fn symlink_at(&self, old_path: String, new_path: String) -> WasiResult<()> {
        self.with(|volume, base| volume.symlink_at(&old_path, base, &new_path))
    }

    fn unlink_file_at(&self, path: String) -> WasiResult<()> {
        self.with(|volume, base| volume.unlink_file_at(base, &path))
    }

    fn is_same_object(&self, other: DescriptorBorrow<'_>) -> bool {
        self.with_both(other.get(), |volume, one, other| Ok(volume.is_same_object(one, other)))
            .unwrap_or(false)
    }

    fn metadata_hash(&self) -> WasiResult<MetadataHashValue> {
        self.with(|volume, descriptor| volume.metadata_hash(descriptor)).map(to_hash)
    }

    fn metadata_hash_at(&self, path_flags: PathFlags, path: String) -> WasiResult<MetadataHashValue> {
        self.with(|volume, base| volume.metadata_hash_at(base, &path, follow(path_flags))).map(to_hash)
    }
}

/// What a directory-entry-stream resource holds.
pub(crate) struct Listing {
    /// Taken out when it is dropped.
    stream: Cell<Option<DirStream>>,
}

impl GuestDirectoryEntryStream for Listing {
    fn read_directory_entry(&self) -> WasiResult<Option<DirectoryEntry>> {
        let Some(mut stream) = self.stream.take() else { return Err(ErrorCode::BadDescriptor) };
        let entry = volume::with(|volume| volume.next_entry(&mut stream));
        self.stream.set(Some(stream));
        match entry {
            Ok(entry) => Ok(entry
                .map(|entry| DirectoryEntry { type_: to_type(entry.kind), name: entry.name.to_string() })),
            Err(error) => Err(to_code(&error)),
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            let _ = volume::with_open(|volume| volume.close_directory(stream));
        }
    }
}
