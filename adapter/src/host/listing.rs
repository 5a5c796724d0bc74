//! Listings of directories of the host, including mounts in them.

use super::codes::{to_code, to_type};
use super::mount::HostMount;
use crate::bindings::exports::wasi::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};
use crate::bindings::kvfs::host_filesystem::types as theirs;
use crate::host_slot::HostSlot;
use std::cell::RefCell;

/// A listing under way.
pub(crate) struct HostListing {
    stream: Option<(theirs::DirectoryEntryStream, HostSlot)>,
    /// Mountpoints that are still to be listed, whether the host has them or not.
    mounted: RefCell<Vec<String>>,
    /// Files that are still to be listed.
    files: RefCell<Vec<String>>,
}

impl HostListing {
    pub(super) fn new(stream: (theirs::DirectoryEntryStream, HostSlot), mounted: Vec<String>) -> Self {
        Self { stream: Some(stream), mounted: RefCell::new(mounted), files: RefCell::default() }
    }

    /// Lists the root of a mount that shows some files: those that exist.
    pub(super) fn of_files(mount: &HostMount, root: &theirs::Descriptor) -> Self {
        let is_there = |path: &str| {
            let stat = root.stat_at(theirs::PathFlags::SYMLINK_FOLLOW, path);
            stat.is_ok_and(|stat| stat.type_ == theirs::DescriptorType::RegularFile)
        };
        let files = mount.files.iter().filter(|(_, path)| is_there(path)).map(|(name, _)| name.clone());
        let mounted = mount.nested.iter().filter_map(|(path, _)| match path.as_slice() {
            [name] => Some(name.clone()),
            _ => None,
        });
        let (files, mounted) = (RefCell::new(files.collect()), RefCell::new(mounted.collect()));
        Self { stream: None, mounted, files }
    }

    pub(super) fn next(&self) -> Result<Option<DirectoryEntry>, ErrorCode> {
        if let Some((stream, _)) = &self.stream
            && let Some(entry) = stream.read_directory_entry().map_err(to_code)?
        {
            let type_ = if take(&self.mounted, Some(&entry.name)).is_some() {
                DescriptorType::Directory
            } else {
                to_type(entry.type_)
            };
            return Ok(Some(DirectoryEntry { type_, name: entry.name }));
        }
        if let Some(name) = take(&self.files, None) {
            return Ok(Some(DirectoryEntry { type_: DescriptorType::RegularFile, name }));
        }
        Ok(take(&self.mounted, None).map(|name| DirectoryEntry { type_: DescriptorType::Directory, name }))
    }
}

/// Removes and returns a name, the last one if `name` is `None`.
fn take(names: &RefCell<Vec<String>>, name: Option<&str>) -> Option<String> {
    let mut names = names.try_borrow_mut().ok()?;
    match name {
        Some(name) => names.iter().position(|known| known == name).map(|at| names.swap_remove(at)),
        None => names.pop(),
    }
}
