//! The end of a copy or a move.

use super::at::At;
use super::place::{Place, in_directory, last_name};
use anyhow::{Result, bail};
use kvfs::{Follow, Kind};
use kvfs_host::Files;
use std::collections::HashSet;
use std::fmt::Display;

/// Says that the directory that a path with a slash at its end names is not there.
pub(super) fn missing_directory(path: impl Display) -> String {
    format!("{path}: there is no such directory; make it first, or leave out the slash at its end")
}

/// The end of copies or moves: a directory that takes them under their names, or a new name of one.
pub(super) struct Target<'t> {
    path: &'t str,
    is_directory: bool,
    /// It ends in a slash, and there is nothing.
    is_missing_directory: bool,
    /// The paths that were given out.
    made: HashSet<String>,
}

impl<'t> Target<'t> {
    /// Looks at a path that so many sources go to.
    pub(super) fn find(at: &At, files: &mut Files, path: &'t str, sources: usize) -> Result<Self> {
        let found = files.find(path, Follow::Yes).map_err(|error| at.explain(error))?;
        let is_missing_directory = found.is_none() && path.ends_with('/');
        let is_directory = found.is_some_and(|stat| stat.kind == Kind::Directory);
        if sources > 1 && !is_directory {
            bail!("{path}: it is no directory, and so takes one only; name a directory");
        }
        Ok(Self { path, is_directory, is_missing_directory, made: HashSet::new() })
    }

    /// Returns the path that a source of this kind goes to. What this command has put there already is not
    /// replaced.
    pub(super) fn of(&mut self, from: &Place, kind: Kind) -> Result<String> {
        if self.is_missing_directory && kind != Kind::Directory {
            bail!(missing_directory(self.path));
        }
        if !self.is_directory {
            return Ok(self.path.to_owned());
        }
        let name = last_name(&from.path);
        let path = in_directory(self.path, name);
        if name.is_some() && !self.made.insert(path.clone()) {
            bail!("{from}: {path} was put there by this command, and is not replaced; choose another name");
        }
        Ok(path)
    }
}
