//! Paths of directories, found from below.

use super::view::View;
use crate::error::{Error, Result};
use crate::limits::MAX_PATH_BYTES;
use crate::store::KvStore;
use crate::types::{InodeNo, Kind};
use std::collections::BTreeMap;

/// Paths that were found, with what else was met on the way.
#[derive(Default)]
pub(super) struct Paths {
    /// Of directories, from the root: empty for the root itself, else with a slash in front.
    known: BTreeMap<InodeNo, String>,
    /// The names of directories in a directory that was read.
    listed: BTreeMap<InodeNo, BTreeMap<InodeNo, String>>,
}

impl Paths {
    /// Notes the name of a directory.
    pub(super) fn note(&mut self, parent: InodeNo, name: &str, dir: InodeNo) {
        self.listed.entry(parent).or_default().insert(dir, name.to_owned());
    }

    /// Returns the path of a name in a directory.
    ///
    /// # Cost
    /// For each directory on the way that was not met before: one `get`, and the `scan`s of its parent,
    /// up to its name.
    pub(super) fn of_name(
        &mut self,
        store: &mut dyn KvStore,
        view: &mut View,
        dir: InodeNo,
        name: &str,
    ) -> Result<String> {
        Ok(format!("{}/{name}", self.of_directory(store, view, dir)?))
    }

    pub(super) fn of_directory(
        &mut self,
        store: &mut dyn KvStore,
        view: &mut View,
        dir: InodeNo,
    ) -> Result<String> {
        let (mut way, mut at, mut bytes) = (Vec::new(), dir, 0);
        let start = loop {
            if at == InodeNo::ROOT {
                break String::new();
            }
            if let Some(known) = self.known.get(&at) {
                break known.clone();
            }
            let inode = view.inode(store, at)?.ok_or(Error::damaged("inode", at.0, "missing"))?;
            let name = self.name_of(store, view, inode.parent, at)?;
            bytes += name.len() + 1;
            if bytes > MAX_PATH_BYTES {
                return Err(Error::NameTooLong);
            }
            way.push((at, name));
            at = inode.parent;
        };
        let mut path = start;
        for (at, name) in way.into_iter().rev() {
            path = format!("{path}/{name}");
            self.known.insert(at, path.clone());
        }
        Ok(path)
    }

    fn name_of(
        &mut self,
        store: &mut dyn KvStore,
        view: &mut View,
        parent: InodeNo,
        dir: InodeNo,
    ) -> Result<String> {
        if let Some(name) = self.listed.get(&parent).and_then(|names| names.get(&dir)) {
            return Ok(name.clone());
        }
        let names = self.listed.entry(parent).or_default();
        let mut found = None;
        view.names(store, parent, &mut |name, entry| {
            if entry.kind == Kind::Directory {
                names.insert(entry.ino, name.to_owned());
            }
            if entry.ino == dir {
                found = Some(name.to_owned());
            }
            found.is_none()
        })?;
        found.ok_or(Error::damaged("inode", dir.0, "a directory without a name"))
    }
}
