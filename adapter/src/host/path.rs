//! Ends of paths in a directory of the host, and the operations on them.

use super::base::Base;
use super::codes::{from_flags, to_code, to_flags, to_hash, to_open_flags, to_path_flags, to_stat, to_time};
use super::mount::{HostMount, allow, right_to_set_times};
use super::object::HostObject;
use crate::bindings::exports::wasi::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use crate::bindings::kvfs::host_filesystem::types as theirs;
use crate::host_slot::HostSlot;
use kvfs::{Ending, Follow, Rights};
use std::rc::Rc;

type WasiResult<T> = Result<T, ErrorCode>;

/// The end of a path on the host, for one operation: a name, or an object.
pub(super) struct HostPath {
    pub(super) mount: Rc<HostMount>,
    handle: Rc<theirs::Descriptor>,
    /// The path from the handle on, for the host.
    path: String,
    /// The names from the mount's root, if they matter.
    position: Vec<String>,
    kind: Kind,
    tail: Tail,
    mutate: bool,
    /// Whether the host walks the path itself, and a link in it may lead out of the mount. The host
    /// then answers `not-permitted`, but we walk on.
    pub(super) may_lead_out: bool,
}

/// The end of a path, behind its last name. The path for the host is without it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    None,
    /// Slashes behind a name that is not known to be a directory.
    Slashes,
    /// The path ends in `.`, or has no name at all: the directory itself.
    Dot,
    /// The path ends in `..`.
    Up,
}

/// The kind of a name, which decides what may be done to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Anything.
    Plain,
    /// Nothing: it is a mountpoint.
    Mountpoint,
    /// Using the file, not changing the name: it is in a file map.
    Mapped,
    /// Nothing: it is not in the file map, or the policy hides it.
    Hidden,
}

impl HostPath {
    /// Makes the end of a path whose names were looked at, from the open directory on.
    pub(super) fn new(base: &Base, at: Vec<String>, tail: Tail) -> Self {
        let path = if at.is_empty() { ".".to_owned() } else { at.join("/") };
        let position = base.position.iter().cloned().chain(at).collect();
        Self { tail, ..Self::of(base, path, position, Kind::Plain) }
    }

    /// Makes the end of a path that only the host walks.
    pub(super) fn unseen(base: &Base, path: &str) -> Self {
        let place = Self::of(base, path.to_owned(), base.position.clone(), Kind::Plain);
        Self { may_lead_out: !base.floor, ..place }
    }

    /// Makes a name on which something is mounted.
    pub(super) fn mountpoint(base: &Base, position: Vec<String>, tail: Tail) -> Self {
        Self { tail, ..Self::of(base, String::new(), position, Kind::Mountpoint) }
    }

    /// Makes a name that is not visible.
    pub(super) fn hidden(base: &Base, tail: Tail) -> Self {
        Self { tail, ..Self::of(base, String::new(), Vec::new(), Kind::Hidden) }
    }

    /// Makes a name of the file map. Fails unless it leads to a file: nothing else is visible.
    pub(super) fn mapped(base: &Base, position: Vec<String>, (path, tail): (&str, Tail)) -> WasiResult<Self> {
        let stat = base.handle.stat_at(theirs::PathFlags::SYMLINK_FOLLOW, path).map_err(to_code)?;
        if stat.type_ != theirs::DescriptorType::RegularFile {
            return Err(ErrorCode::NoEntry);
        }
        Ok(Self { tail, ..Self::of(base, path.to_owned(), position, Kind::Mapped) })
    }

    fn of(base: &Base, path: String, position: Vec<String>, kind: Kind) -> Self {
        let (mount, handle) = (base.mount.clone(), base.handle.clone());
        let (tail, mutate) = (Tail::None, base.mutate);
        Self { mount, handle, path, position, kind, tail, mutate, may_lead_out: false }
    }

    /// Fails if there is no object to use.
    fn object(&self) -> WasiResult<&theirs::Descriptor> {
        match self.kind {
            Kind::Hidden => Err(ErrorCode::NoEntry),
            Kind::Mountpoint => Err(ErrorCode::Busy),
            Kind::Plain | Kind::Mapped => Ok(&self.handle),
        }
    }

    /// Fails if no changes are taken.
    fn changes(&self) -> WasiResult<()> {
        if self.mount.read_only || !self.mutate { Err(ErrorCode::ReadOnly) } else { Ok(()) }
    }

    /// The rights at the name.
    fn rights(&self) -> Rights {
        self.mount.rights(&self.position)
    }

    /// Fails if the policy does not let the name be added, removed, replaced or renamed.
    fn may_change(&self) -> WasiResult<()> {
        let directory = self.position.split_last().map_or(Rights::ALL, |(_, above)| self.mount.rights(above));
        allow(directory.intersection(self.rights()).contains(Rights::DIR_MUTATE))
    }

    /// Fails if the policy gives more rights to a file at a new name than it gives at this one.
    fn may_become(&self, new: &Self) -> WasiResult<()> {
        let more = new.rights().give_a_file_more_than(self.rights());
        if more { Err(ErrorCode::CrossDevice) } else { Ok(()) }
    }

    /// Fails if no changes of the object are taken. Reports a missing object first.
    fn changes_of(&self, flags: PathFlags) -> WasiResult<()> {
        self.changes().or_else(|error| self.stat(flags).and(Err(error)))
    }

    /// Returns whether something is mounted in it. Mounts are found by their paths, so a renaming
    /// would lose them.
    fn holds_mount(&self) -> bool {
        self.mount.nested.iter().any(|(path, _)| path.starts_with(&self.position))
    }

    /// Fails if the name may not be made. Reports anything in its way first, then that no changes
    /// are taken.
    fn new_name(&self, is_directory: bool) -> WasiResult<&theirs::Descriptor> {
        if matches!(self.tail, Tail::Dot | Tail::Up) || matches!(self.kind, Kind::Mountpoint | Kind::Mapped) {
            return Err(ErrorCode::Exist);
        }
        let slashes = self.tail == Tail::Slashes && !is_directory;
        if (slashes || self.changes().is_err()) && self.kind == Kind::Plain {
            match self.stat(PathFlags::empty()) {
                Ok(_) => return Err(ErrorCode::Exist),
                Err(ErrorCode::NoEntry) => {}
                Err(error) => return Err(error),
            }
        }
        if slashes {
            return Err(ErrorCode::NoEntry);
        }
        self.changes()?;
        if self.kind == Kind::Hidden {
            return Err(ErrorCode::NotPermitted);
        }
        // Anything in its way is reported first.
        self.may_change().map_err(|error| match self.stat(PathFlags::empty()) {
            Ok(_) => ErrorCode::Exist,
            Err(ErrorCode::NoEntry) => error,
            Err(other) => other,
        })?;
        Ok(&self.handle)
    }

    /// Fails if the name may not be removed. Reports `.` and `..` first, then that no changes are
    /// taken, then the rest.
    fn old_name(&self, (dot, up): (ErrorCode, ErrorCode)) -> WasiResult<&theirs::Descriptor> {
        match self.tail {
            Tail::Dot => return Err(dot),
            Tail::Up => return Err(up),
            Tail::None | Tail::Slashes => self.changes()?,
        }
        match self.kind {
            Kind::Mountpoint => Err(ErrorCode::Busy),
            Kind::Hidden => Err(ErrorCode::NoEntry),
            Kind::Mapped if self.tail == Tail::Slashes => Err(ErrorCode::NotDirectory),
            Kind::Mapped => Err(ErrorCode::NotPermitted),
            Kind::Plain => {
                // A missing name is reported first.
                self.may_change().or_else(|error| self.stat(PathFlags::empty()).and(Err(error)))?;
                Ok(&self.handle)
            }
        }
    }

    /// Returns whether it is a directory, and no link to one. Fails if it does not exist.
    fn is_directory(&self) -> WasiResult<bool> {
        match self.kind {
            Kind::Mountpoint => Ok(true),
            Kind::Mapped => Ok(false),
            Kind::Plain | Kind::Hidden => {
                Ok(self.stat(PathFlags::empty())?.type_ == DescriptorType::Directory)
            }
        }
    }

    /// Fails as the operation would, if its other path leads to another mount.
    pub(super) fn check(&self, ending: Ending) -> WasiResult<()> {
        match ending {
            Ending::Object(Follow::Yes) => self.stat(PathFlags::SYMLINK_FOLLOW).map(drop),
            Ending::Object(Follow::No) => self.stat(PathFlags::empty()).map(drop),
            Ending::New => match self.stat(PathFlags::empty()) {
                Ok(_) => Err(ErrorCode::Exist),
                Err(_) => self.new_name(false).map(drop),
            },
            Ending::Name | Ending::File(_) => Ok(()),
        }
    }

    /// Returns whether to follow a link with the last name. A mapped name is always followed: it
    /// stands for a file.
    fn follow(&self, flags: PathFlags) -> theirs::PathFlags {
        let flags = to_path_flags(flags);
        if self.kind == Kind::Mapped { flags | theirs::PathFlags::SYMLINK_FOLLOW } else { flags }
    }

    pub(super) fn stat(&self, flags: PathFlags) -> WasiResult<DescriptorStat> {
        self.object()?.stat_at(self.follow(flags), &self.path).map(to_stat).map_err(to_code)
    }

    pub(super) fn hash(&self, flags: PathFlags) -> WasiResult<MetadataHashValue> {
        self.object()?.metadata_hash_at(self.follow(flags), &self.path).map(to_hash).map_err(to_code)
    }

    pub(super) fn set_times(
        &self,
        flags: PathFlags,
        atime: NewTimestamp,
        mtime: NewTimestamp,
    ) -> WasiResult<()> {
        self.changes_of(flags)?;
        // To the guest, the directory of a file map is the mount's own, not the host's.
        if self.kind == Kind::Plain && !self.mount.files.is_empty() {
            return Err(ErrorCode::NotPermitted);
        }
        if self.rights() != Rights::ALL {
            allow(self.rights().contains(right_to_set_times(self.stat(flags)?.type_)))?;
        }
        let set = self.object()?.set_times_at(self.follow(flags), &self.path, to_time(atime), to_time(mtime));
        set.map_err(to_code)
    }

    pub(super) fn open(
        &self,
        path_flags: PathFlags,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> WasiResult<HostObject> {
        let (mut open_flags, mut flags) = (open_flags, flags);
        let makes = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        if open_flags.contains(OpenFlags::DIRECTORY) && open_flags.intersects(makes) {
            return Err(ErrorCode::Invalid);
        }
        if open_flags.contains(OpenFlags::CREATE) && self.kind == Kind::Hidden {
            return Err(ErrorCode::NotPermitted);
        }
        let handle = self.object()?;
        if self.mount.read_only || !self.mutate {
            self.check_changes_nothing(path_flags, open_flags, flags)?;
            // With `create`, the host would open for writing.
            open_flags.remove(OpenFlags::CREATE);
            flags.remove(DescriptorFlags::MUTATE_DIRECTORY);
        }
        if self.mount.policy.is_some() {
            self.check_rights(path_flags, &mut open_flags, flags)?;
        }
        let slot = HostSlot::take()?;
        let opened =
            handle.open_at(self.follow(path_flags), &self.path, to_open_flags(open_flags), to_flags(flags));
        let opened = opened.map_err(to_code)?;
        // It may have changed since it was looked at.
        if self.kind == Kind::Mapped && opened.get_type() != Ok(theirs::DescriptorType::RegularFile) {
            return Err(ErrorCode::NoEntry);
        }
        let flags = opened.get_flags().map(from_flags).unwrap_or(flags);
        // wasmtime reports no directory as changeable, so keep our own flag.
        let opened = (Rc::new(opened), slot);
        Ok(HostObject::new(self.mount.clone(), opened, self.position.clone(), flags, self.mutate))
    }

    /// Fails if the policy does not let it be opened, or made.
    fn check_rights(
        &self,
        path_flags: PathFlags,
        open_flags: &mut OpenFlags,
        flags: DescriptorFlags,
    ) -> WasiResult<()> {
        let writes = flags.contains(DescriptorFlags::WRITE);
        let reads = flags.contains(DescriptorFlags::READ) || !writes;
        let read = if reads { Rights::FILE_READ } else { Rights::NONE };
        let write = if writes { Rights::FILE_WRITE } else { Rights::NONE };
        let exclusive = open_flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
        match self.stat(if exclusive { PathFlags::empty() } else { path_flags }) {
            Ok(_) if exclusive => Err(ErrorCode::Exist),
            // Sockets and the like are opened as files are.
            Ok(stat) if !matches!(stat.type_, DescriptorType::Directory | DescriptorType::SymbolicLink) => {
                // If it goes in the meantime, it must not be made anew.
                open_flags.remove(OpenFlags::CREATE);
                let truncate = open_flags.contains(OpenFlags::TRUNCATE);
                let truncate = if truncate { Rights::FILE_WRITE } else { Rights::NONE };
                allow(self.rights().contains(read | write | truncate))
            }
            Err(ErrorCode::NoEntry) if open_flags.contains(OpenFlags::CREATE) => {
                self.may_change()?;
                allow(self.rights().contains(read | write))
            }
            // The host reports it.
            _ => Ok(()),
        }
    }

    /// Fails if opening would change something. Making a file is a change; opening an existing one
    /// is none.
    fn check_changes_nothing(
        &self,
        path_flags: PathFlags,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> WasiResult<()> {
        let creates = open_flags.contains(OpenFlags::CREATE);
        let writes = flags.contains(DescriptorFlags::WRITE) || open_flags.contains(OpenFlags::TRUNCATE);
        if !creates && !writes {
            return Ok(());
        }
        let exclusive = creates && open_flags.contains(OpenFlags::EXCLUSIVE);
        match self.stat(if exclusive { PathFlags::empty() } else { path_flags }) {
            Ok(_) if exclusive => Err(ErrorCode::Exist),
            Ok(stat) if stat.type_ == DescriptorType::Directory => Err(ErrorCode::IsDirectory),
            Ok(stat) if stat.type_ == DescriptorType::SymbolicLink => Err(ErrorCode::Loop),
            Ok(_) if writes => Err(ErrorCode::ReadOnly),
            Ok(_) => Ok(()),
            Err(ErrorCode::NoEntry) if creates => Err(ErrorCode::ReadOnly),
            Err(error) => Err(error),
        }
    }

    pub(super) fn create_directory(&self) -> WasiResult<()> {
        self.new_name(true)?.create_directory_at(&self.path).map_err(to_code)
    }

    pub(super) fn symlink(&self, target: &str) -> WasiResult<()> {
        self.new_name(false)?.symlink_at(target, &self.path).map_err(to_code)
    }

    pub(super) fn readlink(&self) -> WasiResult<String> {
        let handle = self.object()?;
        // A mapped name stands for a file.
        if self.kind == Kind::Mapped {
            Err(ErrorCode::Invalid)
        } else {
            handle.readlink_at(&self.path).map_err(to_code)
        }
    }

    pub(super) fn remove_directory(&self) -> WasiResult<()> {
        match self.old_name((ErrorCode::Invalid, ErrorCode::NotEmpty)) {
            Err(ErrorCode::NotPermitted) if self.kind == Kind::Mapped => Err(ErrorCode::NotDirectory),
            handle => handle?.remove_directory_at(&self.path).map_err(to_code),
        }
    }

    pub(super) fn unlink(&self) -> WasiResult<()> {
        match self.old_name((ErrorCode::IsDirectory, ErrorCode::IsDirectory)) {
            Err(ErrorCode::Busy) => Err(ErrorCode::IsDirectory),
            // A slash asks for a directory, which `unlink` does not remove.
            Ok(_) if self.tail == Tail::Slashes => {
                Err(if self.is_directory()? { ErrorCode::IsDirectory } else { ErrorCode::NotDirectory })
            }
            handle => handle?.unlink_file_at(&self.path).map_err(to_code),
        }
    }

    pub(super) fn rename(&self, new: &Self) -> WasiResult<()> {
        if matches!(new.tail, Tail::Dot | Tail::Up) {
            return Err(ErrorCode::Busy);
        }
        let handle = match self.old_name((ErrorCode::Busy, ErrorCode::Busy)) {
            Err(ErrorCode::Busy) if self.kind == Kind::Mountpoint => &*self.handle,
            handle => handle?,
        };
        new.changes()?;
        if self.kind == Kind::Mountpoint && new.kind == Kind::Mountpoint && self.position == new.position {
            return Ok(());
        }
        self.check_directories(new)?;
        if new.kind == Kind::Hidden {
            return Err(ErrorCode::NotPermitted);
        }
        if new.kind != Kind::Plain || self.holds_mount() || new.holds_mount() {
            return Err(ErrorCode::Busy);
        }
        if self.mount.policy.is_some() {
            new.may_change()?;
            // Rules must find below a directory what they found before.
            if !self.is_directory()? {
                self.may_become(new)?;
            } else if !self.mount.has_same_rules(&self.position, &new.position) {
                return Err(ErrorCode::CrossDevice);
            }
        }
        handle.rename_at(&self.path, &new.handle, &new.path).map_err(to_code)
    }

    /// Makes the checks of a renaming that the host cannot: it sees neither slashes nor mounts.
    fn check_directories(&self, new: &Self) -> WasiResult<()> {
        let slashes = self.tail == Tail::Slashes || new.tail == Tail::Slashes;
        let mounted = self.kind == Kind::Mountpoint || new.kind == Kind::Mountpoint;
        if !slashes && !mounted {
            return Ok(());
        }
        let is_directory = self.is_directory()?;
        if slashes && !is_directory {
            return Err(ErrorCode::NotDirectory);
        }
        if mounted {
            if is_directory
                && new.position.len() > self.position.len()
                && new.position.starts_with(&self.position)
            {
                return Err(ErrorCode::Invalid);
            }
            match new.is_directory() {
                Ok(false) if is_directory => return Err(ErrorCode::NotDirectory),
                Ok(true) if !is_directory => return Err(ErrorCode::IsDirectory),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn link(&self, new: &Self) -> WasiResult<()> {
        // Another name for a mapped file would be one for a file that the map hides.
        if self.kind == Kind::Mapped {
            return Err(ErrorCode::NotPermitted);
        }
        let handle = self.object()?;
        if new.kind != Kind::Plain || new.tail != Tail::None || new.changes().is_err() {
            // A missing object is reported first.
            self.stat(PathFlags::empty())?;
        }
        // A link that had to be followed was followed.
        let flags = theirs::PathFlags::empty();
        let new_handle = new.new_name(false)?;
        if self.mount.policy.is_some() && !self.is_directory()? {
            self.may_become(new)?;
        }
        handle.link_at(flags, &self.path, new_handle, &new.path).map_err(to_code)
    }
}
