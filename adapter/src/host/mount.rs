//! Mounts of directories of the host: found among its preopened directories at their first use.

use crate::bindings::exports::wasi::filesystem::types::{DescriptorType, ErrorCode};
use crate::bindings::kvfs::host_filesystem::preopens;
use crate::bindings::kvfs::host_filesystem::types::Descriptor as Handle;
use crate::config;
use kvfs::{Grant, MountNo, PathState, Policy, Rights};
use std::cell::RefCell;
use std::rc::Rc;

/// A mount of a directory of the host.
pub(super) struct HostMount {
    pub(super) number: MountNo,
    pub(super) read_only: bool,
    /// The rights at each path; `None` for all rights everywhere.
    pub(super) policy: Option<Rc<Policy>>,
    preopen: String,
    /// The visible files, by name, with their paths there. If empty, everything is visible.
    pub(super) files: Vec<(String, String)>,
    /// The mounts directly in it, by the names from its root.
    pub(super) nested: Vec<(Vec<String>, MountNo)>,
    root: RefCell<Option<Rc<Handle>>>,
}

thread_local! {
    static MOUNTS: Vec<Rc<HostMount>> = set_up();
}

/// Returns a mount, if it is one of the host's.
pub(super) fn find(number: MountNo) -> Option<Rc<HostMount>> {
    MOUNTS.with(|mounts| mounts.iter().find(|mount| mount.number == number).cloned())
}

fn state(policy: &Policy, path: &[String]) -> PathState {
    path.iter().fold(policy.start(), |state, name| policy.step(state, name))
}

/// Fails unless a policy allows it.
pub(super) fn allow(allows: bool) -> Result<(), ErrorCode> {
    if allows { Ok(()) } else { Err(ErrorCode::NotPermitted) }
}

/// The right that setting an object's times needs.
pub(super) fn right_to_set_times(type_: DescriptorType) -> Rights {
    if type_ == DescriptorType::Directory { Rights::DIR_MUTATE } else { Rights::FILE_WRITE }
}

fn names(path: &str) -> Vec<String> {
    path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Numbers the mounts as the table does, in the order of their paths.
fn set_up() -> Vec<Rc<HostMount>> {
    // The table reports a configuration that cannot be read.
    let Ok(config) = config::get() else { return Vec::new() };
    let mut paths: Vec<&str> = Vec::new();
    for mount in &config.mounts {
        // A sort would take more code than all the rest of this.
        if let Err(place) = paths.binary_search(&mount.path.as_str()) {
            paths.insert(place, &mount.path);
        }
    }
    let numbered: Vec<(MountNo, Vec<String>)> =
        (0..).map(MountNo).zip(paths.iter().map(|path| names(path))).collect();
    // A mount lies in the one with the longest path that its own path starts with.
    let holder = |path: &[String]| {
        let around = numbered.iter().filter(|(_, other)| other.len() < path.len() && path.starts_with(other));
        around.max_by_key(|(_, other)| other.len()).map(|(number, _)| *number)
    };
    let hosts = config.hosts.iter().filter_map(|host| {
        let place = paths.iter().position(|path| *path == host.path)?;
        let (number, here) = numbered.get(place)?;
        let nested = numbered.iter().filter(|(_, path)| holder(path) == Some(*number));
        let nested =
            nested.map(|(inner, path)| (path.get(here.len()..).unwrap_or_default().to_vec(), *inner));
        Some(Rc::new(HostMount {
            number: *number,
            read_only: host.read_only,
            policy: config.mounts.iter().find(|mount| mount.path == host.path)?.policy.clone(),
            preopen: host.preopen.clone(),
            files: host.files.clone(),
            nested: nested.collect(),
            root: RefCell::new(None),
        }))
    });
    hosts.collect()
}

impl HostMount {
    /// Returns the mounted directory. [`ErrorCode::NoEntry`] if the host has not preopened it.
    pub(super) fn root(&self) -> Result<Rc<Handle>, ErrorCode> {
        if let Ok(root) = self.root.try_borrow()
            && let Some(root) = &*root
        {
            return Ok(root.clone());
        }
        let preopens = preopens::get_directories().into_iter();
        let found = preopens.into_iter().find(|(_, name)| *name == self.preopen);
        let handle = Rc::new(found.ok_or(ErrorCode::NoEntry)?.0);
        if self.files.is_empty() && !self.read_only {
            // Mounts in it are found by their paths. All the same they get directories to lie on,
            // if we may make them.
            for (path, _) in &self.nested {
                for end in 1..=path.len() {
                    let _ = handle.create_directory_at(&path.get(..end).unwrap_or_default().join("/"));
                }
            }
        }
        if let Ok(mut place) = self.root.try_borrow_mut() {
            *place = Some(handle.clone());
        }
        Ok(handle)
    }

    /// Returns whether nothing is to be seen at a path from the root.
    pub(super) fn hides(&self, path: &[String]) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.grant(state(policy, path)) == Grant::Hide)
    }

    /// The rights at a path from the root.
    pub(super) fn rights(&self, path: &[String]) -> Rights {
        self.policy.as_ref().map_or(Rights::ALL, |policy| policy.grant(state(policy, path)).rights())
    }

    /// Returns whether the rights are the same at two paths, and at all paths below them.
    pub(super) fn has_same_rules(&self, one: &[String], other: &[String]) -> bool {
        self.policy.as_ref().is_none_or(|policy| policy.is_same(state(policy, one), state(policy, other)))
    }

    /// Returns the mount at a path from the root.
    pub(super) fn nested_at(&self, path: &[String]) -> Option<MountNo> {
        self.nested.iter().find(|(known, _)| known == path).map(|(_, number)| *number)
    }

    /// Returns whether something is mounted below a path from the root.
    pub(super) fn leads_to_nested(&self, path: &[String]) -> bool {
        self.nested.iter().any(|(known, _)| known.len() > path.len() && known.starts_with(path))
    }

    pub(super) fn file(&self, name: &str) -> Option<&str> {
        self.files.iter().find(|(known, _)| known == name).map(|(_, path)| path.as_str())
    }
}
