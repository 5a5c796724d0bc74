//! Directories of the host, mounted beside volumes. Only the adapter for compositions with such
//! mounts has this module.
//!
//! A descriptor is open on a volume or on the host. An operation with a path first finds out where
//! it leads, crossing from one to the other as often as necessary.

mod codes;
mod mount;

mod base;
mod listing;

mod object;

mod path;

mod walk;
mod way;

mod reach;

use crate::bindings::exports::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize,
    InputStream, MetadataHashValue, NewTimestamp, OpenFlags, OutputStream, PathFlags,
};
use crate::bindings::kvfs::host_filesystem::types as theirs;
use crate::descriptor::{self, follow};
use crate::errors::StreamFailure;
use kvfs::{Ending, Follow};
use listing::HostListing;
use path::HostPath;
use reach::object;

pub(crate) use reach::Object;

type WasiResult<T> = Result<T, ErrorCode>;

/// Returns the code of a stream's failure, the file system's or the host's.
pub(crate) fn failure_code(failure: &StreamFailure) -> Option<ErrorCode> {
    failure.code().or_else(|| {
        let place = failure.place()?.try_borrow().ok()?;
        theirs::filesystem_error_code(place.as_ref()?).map(codes::to_code)
    })
}

/// Does an operation on the volume or the host, where the object is open.
macro_rules! either {
    ($object:ident, $volume:ident => $on_volume:expr, $host:ident => $on_host:expr) => {
        match $object {
            Object::Volume($volume) => $on_volume,
            Object::Host($host) => $on_host,
        }
    };
}

/// The functions of the interface.
impl Object {
    pub(crate) fn read_via_stream(&self, offset: Filesize) -> WasiResult<InputStream> {
        either!(self, volume => volume.read_via_stream(offset), host => host.read_via_stream(offset))
    }

    pub(crate) fn write_via_stream(&self, offset: Filesize) -> WasiResult<OutputStream> {
        either!(self, volume => volume.write_via_stream(offset), host => host.write_via_stream(offset))
    }

    pub(crate) fn append_via_stream(&self) -> WasiResult<OutputStream> {
        either!(self, volume => volume.append_via_stream(), host => host.append_via_stream())
    }

    pub(crate) fn advise(&self, offset: Filesize, length: Filesize, advice: Advice) -> WasiResult<()> {
        either!(self, volume => volume.advise(offset, length, advice), host => host.advise(offset, length, advice))
    }

    pub(crate) fn sync_data(&self) -> WasiResult<()> {
        either!(self, volume => volume.sync_data(), host => host.sync_data())
    }

    pub(crate) fn get_flags(&self) -> WasiResult<DescriptorFlags> {
        either!(self, volume => volume.get_flags(), host => host.get_flags())
    }

    pub(crate) fn get_type(&self) -> WasiResult<DescriptorType> {
        either!(self, volume => volume.get_type(), host => host.get_type())
    }

    pub(crate) fn set_size(&self, size: Filesize) -> WasiResult<()> {
        either!(self, volume => volume.set_size(size), host => host.set_size(size))
    }

    pub(crate) fn set_times(&self, atime: NewTimestamp, mtime: NewTimestamp) -> WasiResult<()> {
        either!(self, volume => volume.set_times(atime, mtime), host => host.set_times(atime, mtime))
    }

    pub(crate) fn read(&self, length: Filesize, offset: Filesize) -> WasiResult<(Vec<u8>, bool)> {
        either!(self, volume => volume.read(length, offset), host => host.read(length, offset))
    }

    pub(crate) fn write(&self, bytes: &[u8], offset: Filesize) -> WasiResult<Filesize> {
        either!(self, volume => volume.write(bytes, offset), host => host.write(bytes, offset))
    }

    pub(crate) fn list(&self) -> WasiResult<Listing> {
        Ok(either!(
            self,
            volume => Listing::Volume(volume.list()?),
            host => Listing::Host(host.list()?)
        ))
    }

    pub(crate) fn sync(&self) -> WasiResult<()> {
        either!(self, volume => volume.sync(), host => host.sync())
    }

    pub(crate) fn create_directory_at(&self, path: &str) -> WasiResult<()> {
        self.at(
            path,
            Ending::Name,
            |volume, path| volume.create_directory_at(path),
            HostPath::create_directory,
        )
    }

    pub(crate) fn stat(&self) -> WasiResult<DescriptorStat> {
        either!(self, volume => volume.stat(), host => host.stat())
    }

    pub(crate) fn stat_at(&self, flags: PathFlags, path: &str) -> WasiResult<DescriptorStat> {
        self.at(path, object(flags), |volume, path| volume.stat_at(flags, path), |host| host.stat(flags))
    }

    pub(crate) fn set_times_at(
        &self,
        flags: PathFlags,
        path: &str,
        atime: NewTimestamp,
        mtime: NewTimestamp,
    ) -> WasiResult<()> {
        self.at(
            path,
            object(flags),
            |volume, path| volume.set_times_at(flags, path, atime, mtime),
            |host| host.set_times(flags, atime, mtime),
        )
    }

    pub(crate) fn link(
        &self,
        old_flags: PathFlags,
        old_path: &str,
        new: &Self,
        new_path: &str,
    ) -> WasiResult<()> {
        self.at_both(
            old_path,
            (new, new_path),
            (object(old_flags), Ending::New),
            |(old, old_path), (new, new_path)| old.link(old_flags, old_path, new, new_path),
            HostPath::link,
        )
    }

    pub(crate) fn open(
        &self,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> WasiResult<Self> {
        let ending = if !open_flags.contains(OpenFlags::CREATE) {
            object(path_flags)
        } else if open_flags.contains(OpenFlags::EXCLUSIVE) {
            // A file to be made exclusively needs its name: even a symbolic link is in the way.
            Ending::File(Follow::No)
        } else {
            Ending::File(follow(path_flags))
        };
        self.at(
            path,
            ending,
            |volume, path| volume.open(path_flags, path, open_flags, flags).map(Object::Volume),
            |host| host.open(path_flags, open_flags, flags).map(Object::Host),
        )
    }

    pub(crate) fn readlink_at(&self, path: &str) -> WasiResult<String> {
        self.at(path, Ending::Object(Follow::No), |volume, path| volume.readlink_at(path), HostPath::readlink)
    }

    pub(crate) fn remove_directory_at(&self, path: &str) -> WasiResult<()> {
        self.at(
            path,
            Ending::Name,
            |volume, path| volume.remove_directory_at(path),
            HostPath::remove_directory,
        )
    }

    pub(crate) fn rename(&self, old_path: &str, new: &Self, new_path: &str) -> WasiResult<()> {
        self.at_both(
            old_path,
            (new, new_path),
            (Ending::Name, Ending::Name),
            |(old, old_path), (new, new_path)| old.rename(old_path, new, new_path),
            HostPath::rename,
        )
    }

    pub(crate) fn symlink_at(&self, target: &str, path: &str) -> WasiResult<()> {
        self.at(
            path,
            Ending::New,
            |volume, path| volume.symlink_at(target, path),
            |host| host.symlink(target),
        )
    }

    pub(crate) fn unlink_file_at(&self, path: &str) -> WasiResult<()> {
        self.at(path, Ending::Name, |volume, path| volume.unlink_file_at(path), HostPath::unlink)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Volume(one), Self::Volume(other)) => one.is_same(other),
            (Self::Host(one), Self::Host(other)) => one.is_same(other),
            _ => false,
        }
    }

    pub(crate) fn metadata_hash(&self) -> WasiResult<MetadataHashValue> {
        either!(self, volume => volume.metadata_hash(), host => host.hash())
    }

    pub(crate) fn metadata_hash_at(&self, flags: PathFlags, path: &str) -> WasiResult<MetadataHashValue> {
        self.at(
            path,
            object(flags),
            |volume, path| volume.metadata_hash_at(flags, path),
            |host| host.hash(flags),
        )
    }
}

/// The content of a directory-entry-stream resource.
pub(crate) enum Listing {
    Volume(descriptor::Listing),
    Host(HostListing),
}

impl Listing {
    pub(crate) fn next(&self) -> WasiResult<Option<DirectoryEntry>> {
        match self {
            Self::Volume(listing) => listing.next(),
            Self::Host(listing) => listing.next(),
        }
    }
}
