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

use crate::adapter::Adapter;
use crate::bindings::exports::wasi::filesystem::types::{
    Advice, Descriptor as DescriptorResource, DescriptorBorrow, DescriptorFlags, DescriptorStat,
    DescriptorType, DirectoryEntry, DirectoryEntryStream as StreamResource, ErrorBorrow, ErrorCode, Filesize,
    Guest, GuestDescriptor, GuestDirectoryEntryStream, InputStream, MetadataHashValue, NewTimestamp,
    OpenFlags, OutputStream, PathFlags,
};
use crate::bindings::kvfs::host_filesystem::types as theirs;
use crate::codes::to_code;
use crate::descriptor::{self, follow};
use crate::errors::StreamFailure;
use crate::table;
use base::Base;
use kvfs::{Crossing, Ending, Error, Follow, MountNo, Start};
use listing::HostListing;
use object::HostObject;
use path::HostPath;
use walk::{Walked, walk};

type WasiResult<T> = Result<T, ErrorCode>;

/// The content of a descriptor resource.
pub(crate) enum Object {
    Volume(descriptor::Object),
    Host(HostObject),
}

/// Where a path has led.
enum Reached {
    /// It stays on volumes: do the operation on the object itself.
    Own,
    /// To a volume, entered at this object with the rest of the path.
    Volume(descriptor::Object, String),
    /// To the host.
    Host(HostPath),
}

/// The ending of a path that leads to an object.
fn object(flags: PathFlags) -> Ending {
    Ending::Object(follow(flags))
}

impl Object {
    /// The preopened root.
    pub(crate) fn root() -> Self {
        match mount::find(MountNo(0)) {
            Some(mount) => Self::Host(HostObject::root(mount)),
            None => Self::Volume(descriptor::Object::root()),
        }
    }

    /// Finds out where a path leads. With `look`, each name is looked at here, and the host walks
    /// none.
    fn reach(&self, path: &str, ending: Ending, look: bool) -> WasiResult<Reached> {
        let (base, start, mut walked) = match self {
            Self::Volume(own) => {
                let seen = table::with(|mounts| {
                    let start = own.start(mounts)?;
                    match mounts.locate(own.mount(), start, path, ending) {
                        Err(Error::Crossing(crossing)) => Ok(Some((start, *crossing))),
                        // The operation itself reports any other error.
                        _ => Ok(None),
                    }
                });
                let Some((start, crossing)) = seen.map_err(|error| to_code(&error))? else {
                    return Ok(Reached::Own);
                };
                (own.mount(), start, self.arrive(crossing, ending, start.mutates(), look)?)
            }
            Self::Host(host) => {
                let walked = (host.mount.number, walk(&Base { look, ..host.base()? }, path, ending, 0)?);
                (host.mount.number, Start::elsewhere(host.mutate), walked)
            }
        };
        loop {
            let (from, crossing) = match walked {
                (_, Walked::Here(place)) => return Ok(Reached::Host(place)),
                (from, Walked::Out(crossing)) => (from, crossing),
            };
            let mut last = None;
            let seen = table::with(|mounts| {
                let walked = mounts.resume((base, start), from, crossing, |volume, start, path| {
                    last = Some((start, path.to_owned()));
                    volume.locate(start, path, ending)
                });
                match walked {
                    Err(Error::Crossing(crossing)) => Ok(Err(*crossing)),
                    Ok((mount, ())) => Ok(Ok(mount)),
                    Err(error) => Err(error),
                }
            });
            match (seen.map_err(|error| to_code(&error))?, last) {
                (Ok(mount), Some((start, path))) => {
                    return Ok(Reached::Volume(descriptor::Object::resumed(mount, start), path));
                }
                (Ok(_), None) => return Err(ErrorCode::Io),
                (Err(crossing), _) => walked = self.arrive(crossing, ending, start.mutates(), look)?,
            }
        }
    }

    /// Walks on where a walk comes to a mount of the host.
    fn arrive(
        &self,
        crossing: Crossing,
        ending: Ending,
        mutate: bool,
        look: bool,
    ) -> WasiResult<(MountNo, Walked)> {
        let Crossing::Elsewhere { mount: number, from, rest, links } = crossing else {
            return Err(ErrorCode::Io);
        };
        let mount = mount::find(number).ok_or(ErrorCode::Io)?;
        let covered = mount.nested.iter().find(|(_, inner)| Some(*inner) == from);
        let covered = covered.map(|(path, _)| path.clone()).unwrap_or_default();
        let base = match self {
            // Back on the mount where it began, the walk must still not leave the open directory.
            Self::Host(host) if host.mount.number == number && covered.starts_with(host.position()) => {
                let at = covered.get(host.position().len()..).unwrap_or_default().to_vec();
                Base { at, look, ..host.base()? }
            }
            _ => {
                let handle = mount.root()?;
                Base { mount, handle, position: Vec::new(), at: covered, floor: false, mutate, look }
            }
        };
        Ok((number, walk(&base, &rest, ending, links)?))
    }

    /// Does an operation where a path leads, on a volume or on the host.
    fn at<T>(
        &self,
        path: String,
        ending: Ending,
        volume: impl FnOnce(&descriptor::Object, String) -> WasiResult<T>,
        host: impl Fn(&HostPath) -> WasiResult<T>,
    ) -> WasiResult<T> {
        let mut reached = self.reach(&path, ending, false)?;
        if let Reached::Host(place) = &reached {
            match host(place) {
                Err(ErrorCode::NotPermitted) if place.may_lead_out => {
                    reached = self.reach(&path, ending, true)?;
                }
                done => return done,
            }
        }
        match (reached, self) {
            (Reached::Host(place), _) => host(&place),
            (Reached::Volume(object, path), _) => volume(&object, path),
            (Reached::Own, Self::Volume(object)) => volume(object, path),
            (Reached::Own, Self::Host(_)) => Err(ErrorCode::Io),
        }
    }

    /// Does an operation where two paths lead, each with its ending. Both must be on one mount.
    fn at_both<T>(
        &self,
        path: String,
        (other, other_path): (&Self, String),
        (ending, other_ending): (Ending, Ending),
        volume: impl FnOnce((&descriptor::Object, &str), (&descriptor::Object, &str)) -> WasiResult<T>,
        host: impl FnOnce(&HostPath, &HostPath) -> WasiResult<T>,
    ) -> WasiResult<T> {
        let one = self.reach(&path, ending, true)?;
        let two = match other.reach(&other_path, other_ending, true) {
            Ok(two) => two,
            Err(error) => {
                // Errors of the first path are reported first.
                self.check(&one, &path, ending)?;
                return Err(error);
            }
        };
        if let (Reached::Host(one), Reached::Host(two)) = (&one, &two)
            && one.mount.number == two.mount.number
        {
            return host(one, two);
        }
        match (on_volume(&one, self, &path), on_volume(&two, other, &other_path)) {
            (Some(one), Some(two)) => volume(one, two),
            // Errors of a single path are reported first.
            _ => {
                self.check(&one, &path, ending)?;
                other.check(&two, &other_path, other_ending)?;
                Err(ErrorCode::CrossDevice)
            }
        }
    }

    /// Fails as the operation would on one path, which walking to it may not have done.
    fn check(&self, reached: &Reached, path: &str, ending: Ending) -> WasiResult<()> {
        match (reached, self) {
            (Reached::Host(place), _) => place.check(ending),
            (Reached::Own, Self::Volume(own)) => {
                let located = table::with(|mounts| {
                    let start = own.start(mounts)?;
                    mounts.locate(own.mount(), start, path, ending).map(drop)
                });
                located.map_err(|error| to_code(&error))
            }
            (Reached::Own | Reached::Volume(..), _) => Ok(()),
        }
    }
}

/// Returns the start of an operation on volumes; `None` if the path has led to the host.
fn on_volume<'r>(
    reached: &'r Reached,
    object: &'r Object,
    path: &'r str,
) -> Option<(&'r descriptor::Object, &'r str)> {
    match (reached, object) {
        (Reached::Volume(object, path), _) => Some((object, path)),
        (Reached::Own, Object::Volume(object)) => Some((object, path)),
        _ => None,
    }
}

impl Guest for Adapter {
    type Descriptor = Object;
    type DirectoryEntryStream = Listing;

    fn filesystem_error_code(err: ErrorBorrow<'_>) -> Option<ErrorCode> {
        let failure = err.get::<StreamFailure>();
        failure.code().or_else(|| {
            let place = failure.place()?.try_borrow().ok()?;
            theirs::filesystem_error_code(place.as_ref()?).map(codes::to_code)
        })
    }
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

impl GuestDescriptor for Object {
    fn read_via_stream(&self, offset: Filesize) -> WasiResult<InputStream> {
        either!(self, volume => volume.read_via_stream(offset), host => host.read_via_stream(offset))
    }

    fn write_via_stream(&self, offset: Filesize) -> WasiResult<OutputStream> {
        either!(self, volume => volume.write_via_stream(offset), host => host.write_via_stream(offset))
    }

    fn append_via_stream(&self) -> WasiResult<OutputStream> {
        either!(self, volume => volume.append_via_stream(), host => host.append_via_stream())
    }

    fn advise(&self, offset: Filesize, length: Filesize, advice: Advice) -> WasiResult<()> {
        either!(self, volume => volume.advise(offset, length, advice), host => host.advise(offset, length, advice))
    }

    fn sync_data(&self) -> WasiResult<()> {
        either!(self, volume => volume.sync_data(), host => host.sync_data())
    }

    fn get_flags(&self) -> WasiResult<DescriptorFlags> {
        either!(self, volume => volume.get_flags(), host => host.get_flags())
    }

    fn get_type(&self) -> WasiResult<DescriptorType> {
        either!(self, volume => volume.get_type(), host => host.get_type())
    }

    fn set_size(&self, size: Filesize) -> WasiResult<()> {
        either!(self, volume => volume.set_size(size), host => host.set_size(size))
    }

    fn set_times(&self, atime: NewTimestamp, mtime: NewTimestamp) -> WasiResult<()> {
        either!(self, volume => volume.set_times(atime, mtime), host => host.set_times(atime, mtime))
    }

    fn read(&self, length: Filesize, offset: Filesize) -> WasiResult<(Vec<u8>, bool)> {
        either!(self, volume => volume.read(length, offset), host => host.read(length, offset))
    }

    fn write(&self, buffer: Vec<u8>, offset: Filesize) -> WasiResult<Filesize> {
        either!(self, volume => volume.write(buffer, offset), host => host.write(&buffer, offset))
    }

    fn read_directory(&self) -> WasiResult<StreamResource> {
        let listing = either!(
            self,
            volume => Listing::Volume(volume.list()?),
            host => Listing::Host(host.list()?)
        );
        Ok(StreamResource::new(listing))
    }

    fn sync(&self) -> WasiResult<()> {
        either!(self, volume => volume.sync(), host => host.sync())
    }

    fn create_directory_at(&self, path: String) -> WasiResult<()> {
        self.at(
            path,
            Ending::Name,
            |volume, path| volume.create_directory_at(path),
            HostPath::create_directory,
        )
    }

    fn stat(&self) -> WasiResult<DescriptorStat> {
        either!(self, volume => volume.stat(), host => host.stat())
    }

    fn stat_at(&self, flags: PathFlags, path: String) -> WasiResult<DescriptorStat> {
        self.at(path, object(flags), |volume, path| volume.stat_at(flags, path), |host| host.stat(flags))
    }

    fn set_times_at(
        &self,
        flags: PathFlags,
        path: String,
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

    fn link_at(
        &self,
        old_flags: PathFlags,
        old_path: String,
        new_descriptor: DescriptorBorrow<'_>,
        new_path: String,
    ) -> WasiResult<()> {
        self.at_both(
            old_path,
            (new_descriptor.get(), new_path),
            (object(old_flags), Ending::New),
            |(old, old_path), (new, new_path)| old.link(old_flags, old_path, new, new_path),
            HostPath::link,
        )
    }

    fn open_at(
        &self,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> WasiResult<DescriptorResource> {
        let ending = if !open_flags.contains(OpenFlags::CREATE) {
            object(path_flags)
        } else if open_flags.contains(OpenFlags::EXCLUSIVE) {
            // A file to be made exclusively needs its name: even a symbolic link is in the way.
            Ending::File(Follow::No)
        } else {
            Ending::File(follow(path_flags))
        };
        let opened = self.at(
            path,
            ending,
            |volume, path| volume.open(path_flags, &path, open_flags, flags).map(Object::Volume),
            |host| host.open(path_flags, open_flags, flags).map(Object::Host),
        )?;
        Ok(DescriptorResource::new(opened))
    }

    fn readlink_at(&self, path: String) -> WasiResult<String> {
        self.at(path, Ending::Object(Follow::No), |volume, path| volume.readlink_at(path), HostPath::readlink)
    }

    fn remove_directory_at(&self, path: String) -> WasiResult<()> {
        self.at(
            path,
            Ending::Name,
            |volume, path| volume.remove_directory_at(path),
            HostPath::remove_directory,
        )
    }

    fn rename_at(
        &self,
        old_path: String,
        new_descriptor: DescriptorBorrow<'_>,
        new_path: String,
    ) -> WasiResult<()> {
        self.at_both(
            old_path,
            (new_descriptor.get(), new_path),
            (Ending::Name, Ending::Name),
            |(old, old_path), (new, new_path)| old.rename(old_path, new, new_path),
            HostPath::rename,
        )
    }

    fn symlink_at(&self, target: String, path: String) -> WasiResult<()> {
        let on_host = target.clone();
        self.at(
            path,
            Ending::New,
            |volume, path| volume.symlink_at(target, path),
            |host| host.symlink(&on_host),
        )
    }

    fn unlink_file_at(&self, path: String) -> WasiResult<()> {
        self.at(path, Ending::Name, |volume, path| volume.unlink_file_at(path), HostPath::unlink)
    }

    fn is_same_object(&self, other: DescriptorBorrow<'_>) -> bool {
        match (self, other.get::<Self>()) {
            (Self::Volume(one), Self::Volume(other)) => one.is_same(other),
            (Self::Host(one), Self::Host(other)) => one.is_same(other),
            _ => false,
        }
    }

    fn metadata_hash(&self) -> WasiResult<MetadataHashValue> {
        either!(self, volume => volume.metadata_hash(), host => host.hash())
    }

    fn metadata_hash_at(&self, flags: PathFlags, path: String) -> WasiResult<MetadataHashValue> {
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

impl GuestDirectoryEntryStream for Listing {
    fn read_directory_entry(&self) -> WasiResult<Option<DirectoryEntry>> {
        match self {
            Self::Volume(listing) => listing.read_directory_entry(),
            Self::Host(listing) => listing.next(),
        }
    }
}
