//! Paths of directories, found from below.

use super::view::View;
use crate::error::{Error, Result};
use crate::limits::MAX_PATH_BYTES;
use crate::store::KvStore;
use crate::types::{InodeNo, Kind};
use std::collections::BTreeMap;

/// Paths that were found in a volume, with what else was met on the way.
#[derive(Default)]
pub(super) struct Paths {
    /// Of directories, from the root, with a slash in front.
    known: BTreeMap<InodeNo, String>,
    /// Directories in directories, by their names there.
    named: BTreeMap<InodeNo, (InodeNo, String)>,
    /// Bytes of both since they were asked for.
    new_bytes: u64,
}

impl Paths {
    /// Notes the name of a directory.
    pub(super) fn note(&mut self, parent: InodeNo, name: &str, dir: InodeNo) {
        self.new_bytes = self.new_bytes.saturating_add(name.len() as u64);
        self.named.insert(dir, (parent, name.to_owned()));
    }

    /// Returns how many bytes of names and paths are kept more than when this was asked last.
    pub(super) fn take_new_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.new_bytes)
    }

    /// Returns the path of a name in a directory. `beside` has paths of a volume in which most
    /// directories have the same names.
    ///
    /// # Cost
    /// Nothing for directories on the way whose names were noted. For each other one a `get`, and one
    /// more if `beside` knows its name, else the `scan`s of its parent, up to its name.
    pub(super) fn of_name(
        &mut self,
        store: &mut dyn KvStore,
        view: &mut View,
        beside: &Self,
        dir: InodeNo,
        name: &str,
    ) -> Result<String> {
        Ok(format!("{}/{name}", self.of_directory(store, view, beside, dir)?))
    }

    /// Returns the path of a directory: empty for the root. Else as [`Paths::of_name`].
    pub(super) fn of_directory(
        &mut self,
        store: &mut dyn KvStore,
        view: &mut View,
        beside: &Self,
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
            let (parent, name) = match self.named.get(&at) {
                Some(found) => found.clone(),
                None => self.find(store, view, beside, at)?,
            };
            // Damaged directories may lie in a ring.
            bytes += name.len() + 1;
            if bytes > MAX_PATH_BYTES {
                return Err(Error::NameTooLong);
            }
            way.push((at, name));
            at = parent;
        };
        let mut path = start;
        for (at, name) in way.into_iter().rev() {
            path = format!("{path}/{name}");
            self.new_bytes = self.new_bytes.saturating_add(path.len() as u64);
            self.known.insert(at, path.clone());
        }
        Ok(path)
    }

    /// Finds the parent and the name of a directory in the store.
    fn find(
        &mut self,
        store: &mut dyn KvStore,
        view: &mut View,
        beside: &Self,
        dir: InodeNo,
    ) -> Result<(InodeNo, String)> {
        if let Some((parent, name)) = beside.named.get(&dir)
            && view.dentry(store, *parent, name)?.is_some_and(|entry| entry.ino == dir)
        {
            self.note(*parent, name, dir);
            return Ok((*parent, name.clone()));
        }
        let parent = view.inode(store, dir)?.ok_or(Error::damaged("inode", dir.0, "missing"))?.parent;
        let mut found = None;
        view.names(store, parent, &mut |name, entry| {
            if entry.kind == Kind::Directory {
                self.note(parent, name, entry.ino);
            }
            if entry.ino == dir {
                found = Some((parent, name.to_owned()));
            }
            found.is_none()
        })?;
        found.ok_or(Error::damaged("inode", dir.0, "a directory without a name"))
    }
}
