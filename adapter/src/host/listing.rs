//! Listings of directories of the host, including mounts in them.

use super::codes::{to_code, to_type};
use super::mount::HostMount;
use crate::bindings::exports::wasi::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};
use crate::bindings::kvfs::host_filesystem::types as theirs;
use crate::host_slot::HostSlot;
use std::cell::RefCell;
use std::rc::Rc;

/// A listing under way.
pub(crate) struct HostListing {
    stream: Option<(theirs::DirectoryEntryStream, HostSlot)>,
    mount: Rc<HostMount>,
    /// The directory's names from the mount's root.
    position: Vec<String>,
    /// Mountpoints that are still to be listed, whether the host has them or not.
    mounted: RefCell<Vec<String>>,
    /// Files that are still to be listed.
    files: RefCell<Vec<String>>,
}

impl HostListing {
    pub(super) fn new(
        mount: &Rc<HostMount>,
        position: &[String],
        stream: (theirs::DirectoryEntryStream, HostSlot),
        mounted: Vec<String>,
    ) -> Self {
        let (mounted, files) = (RefCell::new(mounted), RefCell::default());
        Self { stream: Some(stream), mount: mount.clone(), position: position.to_vec(), mounted, files }
    }

    /// Lists the root of a mount that shows some files: those that exist.
    pub(super) fn of_files(mount: &Rc<HostMount>, root: &theirs::Descriptor) -> Self {
        let is_there = |path: &str| {
            let stat = root.stat_at(theirs::PathFlags::SYMLINK_FOLLOW, path);
            stat.is_ok_and(|stat| stat.type_ == theirs::DescriptorType::RegularFile)
        };
        let files = mount.files.iter().filter(|(_, path)| is_there(path)).map(|(name, _)| name.clone());
        let files = files.filter(|name| !mount.hides(std::slice::from_ref(name)));
        let mounted = mount.nested.iter().filter_map(|(path, _)| match path.as_slice() {
            [name] => Some(name.clone()),
            _ => None,
        });
        let (files, mounted) = (RefCell::new(files.collect()), RefCell::new(mounted.collect()));
        Self { stream: None, mount: mount.clone(), position: Vec::new(), mounted, files }
    }

    fn names(&self, name: &str) -> Vec<String> {
        self.position.iter().cloned().chain([name.to_owned()]).collect()
    }

    pub(super) fn next(&self) -> Result<Option<DirectoryEntry>, ErrorCode> {
        while let Some((stream, _)) = &self.stream
            && let Some(entry) = stream.read_directory_entry().map_err(to_code)?
        {
            if self.mount.policy.is_some() && self.mount.hides(&self.names(&entry.name)) {
                continue;
            }
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
