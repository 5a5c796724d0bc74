//! Open files and directories of the host.

use super::base::Base;
use super::codes::{from_flags, to_advice, to_code, to_hash, to_stat, to_time, to_type};
use super::listing::HostListing;
use super::mount::{HostMount, allow, right_to_set_times};
use crate::bindings::exports::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, Filesize, InputStream,
    MetadataHashValue, NewTimestamp, OutputStream,
};
use crate::bindings::kvfs::host_filesystem::types as theirs;
use crate::host_slot::HostSlot;
use crate::input::Input;
use crate::output::Output;
use kvfs::Rights;
use std::rc::Rc;

type WasiResult<T> = Result<T, ErrorCode>;

/// An open file or directory of the host.
pub(crate) struct HostObject {
    pub(super) mount: Rc<HostMount>,
    /// `None` in a root that was not used yet.
    handle: Option<Rc<theirs::Descriptor>>,
    position: Vec<String>,
    pub(super) flags: DescriptorFlags,
    /// Whether paths from here may change anything: on this mount, if it takes changes, and on
    /// mounts in it.
    pub(super) mutate: bool,
    /// `None` for a root, which is open once for all.
    _slot: Option<HostSlot>,
}

impl HostObject {
    pub(super) fn new(
        mount: Rc<HostMount>,
        (handle, slot): (Rc<theirs::Descriptor>, HostSlot),
        position: Vec<String>,
        flags: DescriptorFlags,
        mutate: bool,
    ) -> Self {
        Self { mount, handle: Some(handle), position, flags, mutate, _slot: Some(slot) }
    }

    /// The root of a mount.
    pub(super) fn root(mount: Rc<HostMount>) -> Self {
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        Self { mount, handle: None, position: Vec::new(), flags, mutate: true, _slot: None }
    }

    pub(super) fn handle(&self) -> WasiResult<Rc<theirs::Descriptor>> {
        match &self.handle {
            Some(handle) => Ok(handle.clone()),
            None => self.mount.root(),
        }
    }

    /// The start of paths from here, which do not leave it.
    pub(super) fn base(&self) -> WasiResult<Base> {
        Ok(Base {
            mount: self.mount.clone(),
            handle: self.handle()?,
            position: self.position.clone(),
            at: Vec::new(),
            floor: true,
            mutate: self.mutate,
            look: false,
        })
    }

    /// The names from the mount's root.
    pub(super) fn position(&self) -> &[String] {
        &self.position
    }

    /// Fails where files may not be written. No file is opened for writing there, but the host may
    /// grant more than was asked for.
    fn changes(&self) -> WasiResult<()> {
        let writes = !self.mount.read_only && self.rights().contains(Rights::FILE_WRITE);
        if writes { Ok(()) } else { Err(ErrorCode::BadDescriptor) }
    }

    /// Fails where files may not be read, for the same reason.
    fn reads(&self) -> WasiResult<()> {
        if self.rights().contains(Rights::FILE_READ) { Ok(()) } else { Err(ErrorCode::BadDescriptor) }
    }

    /// The rights at the path that it was opened at.
    fn rights(&self) -> Rights {
        self.mount.rights(&self.position)
    }

    fn do_with<T>(
        &self,
        operation: impl FnOnce(&theirs::Descriptor) -> Result<T, theirs::ErrorCode>,
    ) -> WasiResult<T> {
        operation(&*self.handle()?).map_err(to_code)
    }

    pub(super) fn read_via_stream(&self, offset: Filesize) -> WasiResult<InputStream> {
        self.reads()?;
        let slot = HostSlot::take()?;
        self.do_with(|file| file.read_via_stream(offset)).map(|stream| Input::counted(stream, slot))
    }

    pub(super) fn write_via_stream(&self, offset: Filesize) -> WasiResult<OutputStream> {
        self.changes()?;
        let slot = HostSlot::take()?;
        self.do_with(|file| file.write_via_stream(offset)).map(|stream| Output::counted(stream, slot))
    }

    pub(super) fn append_via_stream(&self) -> WasiResult<OutputStream> {
        self.changes()?;
        let slot = HostSlot::take()?;
        self.do_with(theirs::Descriptor::append_via_stream).map(|stream| Output::counted(stream, slot))
    }

    pub(super) fn advise(&self, offset: Filesize, length: Filesize, advice: Advice) -> WasiResult<()> {
        self.do_with(|file| file.advise(offset, length, to_advice(advice)))
    }

    pub(super) fn sync_data(&self) -> WasiResult<()> {
        self.do_with(theirs::Descriptor::sync_data)
    }

    pub(super) fn sync(&self) -> WasiResult<()> {
        self.do_with(theirs::Descriptor::sync)
    }

    pub(super) fn get_flags(&self) -> WasiResult<DescriptorFlags> {
        match self.handle {
            Some(_) => self.do_with(theirs::Descriptor::get_flags).map(from_flags),
            None => Ok(self.flags),
        }
    }

    pub(super) fn get_type(&self) -> WasiResult<DescriptorType> {
        self.do_with(theirs::Descriptor::get_type).map(to_type)
    }

    pub(super) fn set_size(&self, size: Filesize) -> WasiResult<()> {
        self.changes()?;
        self.do_with(|file| file.set_size(size))
    }

    pub(super) fn set_times(&self, atime: NewTimestamp, mtime: NewTimestamp) -> WasiResult<()> {
        if self.mount.read_only {
            return Err(ErrorCode::ReadOnly);
        }
        // To the guest, the directory of a file map is the mount's own, not the host's.
        if !self.mount.files.is_empty() && self.position.is_empty() {
            return Err(ErrorCode::NotPermitted);
        }
        if self.rights() != Rights::ALL {
            allow(self.rights().contains(right_to_set_times(self.get_type()?)))?;
        }
        self.do_with(|file| file.set_times(to_time(atime), to_time(mtime)))
    }

    pub(super) fn read(&self, length: Filesize, offset: Filesize) -> WasiResult<(Vec<u8>, bool)> {
        self.reads()?;
        self.do_with(|file| file.read(length, offset))
    }

    pub(super) fn write(&self, bytes: &[u8], offset: Filesize) -> WasiResult<Filesize> {
        self.changes()?;
        self.do_with(|file| file.write(bytes, offset))
    }

    pub(super) fn stat(&self) -> WasiResult<DescriptorStat> {
        self.do_with(theirs::Descriptor::stat).map(to_stat)
    }

    pub(super) fn hash(&self) -> WasiResult<MetadataHashValue> {
        self.do_with(theirs::Descriptor::metadata_hash).map(to_hash)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self.handle(), other.handle()) {
            (Ok(one), Ok(other)) => one.is_same_object(&other),
            _ => false,
        }
    }

    pub(super) fn list(&self) -> WasiResult<HostListing> {
        allow(self.rights().contains(Rights::DIR_READ))?;
        let handle = self.handle()?;
        if self.position.is_empty() && !self.mount.files.is_empty() {
            return Ok(HostListing::of_files(&self.mount, &handle));
        }
        let inside = self.mount.nested.iter().filter(|(path, _)| path.starts_with(&self.position));
        let names = inside.filter_map(|(path, _)| match path.get(self.position.len()..) {
            Some([name]) => Some(name.clone()),
            _ => None,
        });
        let mounted = names.collect();
        let slot = HostSlot::take()?;
        let stream = (handle.read_directory().map_err(to_code)?, slot);
        Ok(HostListing::new(&self.mount, &self.position, stream, mounted))
    }
}
