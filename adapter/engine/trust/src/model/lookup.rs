//! Resolves paths in the plainest way.

use super::object::{Content, Id};
use super::state::{Answer, Model};
use kvfs::{Code, Kind};
use std::collections::VecDeque;

/// The place that a path leads to.
pub(super) struct Resolved {
    pub(super) dir: Id,
    /// The last name, unless the path ends in `.` or `..`.
    pub(super) name: Option<String>,
    pub(super) target: Option<Id>,
    pub(super) slash: bool,
}

impl Model {
    pub(super) fn lookup(&self, base: Id, path: &str, follow: bool) -> Answer<Resolved> {
        self.lookup_for(base, path, follow, false)
    }

    /// As [`Self::lookup`]. With `file`, the last name is to be a file, so a slash behind it is an
    /// error.
    pub(super) fn lookup_for(&self, base: Id, path: &str, follow: bool, file: bool) -> Answer<Resolved> {
        if path.is_empty() {
            return Err(Code::NoEntry);
        }
        if path.len() > 4095 {
            return Err(Code::NameTooLong);
        }
        if path.contains('\0') {
            return Err(Code::Invalid);
        }
        // Each step with the number of bytes behind it in the path, links expanded.
        let mut steps: VecDeque<(String, usize)> = VecDeque::new();
        let mut slash = false;
        let mut links = 0;
        let mut here = base;
        let splice = |steps: &mut VecDeque<(String, usize)>, slash: &mut bool, text: &str, behind| {
            if text.starts_with('/') {
                return Err(Code::NotPermitted);
            }
            if text.len() + behind > 4095 {
                return Err(Code::NameTooLong);
            }
            if steps.is_empty() {
                *slash |= text.ends_with('/');
            }
            let mut end = text.len();
            for step in text.rsplit('/') {
                if !step.is_empty() {
                    steps.push_front((step.to_owned(), text.len() - end + behind));
                }
                end = end.saturating_sub(step.len() + 1);
            }
            Ok(())
        };
        splice(&mut steps, &mut slash, path, 0)?;
        while let Some((step, behind)) = steps.pop_front() {
            if step.len() > 255 {
                return Err(Code::NameTooLong);
            }
            if step == "." {
                continue;
            }
            if step == ".." {
                if here == base {
                    return Err(Code::NotPermitted);
                }
                let Content::Directory { parent, .. } = &self.object(here).content else {
                    return Err(Code::NotDirectory);
                };
                here = *parent;
                continue;
            }
            let target = self.entries(here).ok_or(Code::NotDirectory)?.get(&step).copied();
            let last = steps.is_empty();
            if last && slash && file {
                return Err(Code::IsDirectory);
            }
            match target.map(|id| &self.object(id).content) {
                Some(Content::Symlink(text)) if !last || follow || slash => {
                    links += 1;
                    if links > 40 {
                        return Err(Code::Loop);
                    }
                    splice(&mut steps, &mut slash, text, behind)?;
                }
                _ if last => return Ok(Resolved { dir: here, name: Some(step), target, slash }),
                Some(Content::Directory { .. }) => here = target.expect("found above"),
                Some(_) => return Err(Code::NotDirectory),
                None => return Err(Code::NoEntry),
            }
        }
        Ok(Resolved { dir: here, name: None, target: Some(here), slash: true })
    }

    /// The object at a path. A slash behind a file's name is an error.
    pub(super) fn find(&self, base: Id, path: &str, follow: bool) -> Answer<Id> {
        let place = self.lookup(base, path, follow)?;
        let id = place.target.ok_or(Code::NoEntry)?;
        if place.slash && self.object(id).kind() != Kind::Directory {
            return Err(Code::NotDirectory);
        }
        Ok(id)
    }

    /// Removes trailing slashes: they change nothing for a directory.
    pub(super) fn trim(path: &str) -> &str {
        match path.trim_end_matches('/') {
            "" => path,
            trimmed => trimmed,
        }
    }

    pub(super) fn name_to_make(&self, base: Id, path: &str) -> Answer<(Id, String)> {
        let place = self.lookup(base, Self::trim(path), false)?;
        if place.target.is_some() {
            return Err(Code::Exist);
        }
        if self.is_gone(place.dir) {
            return Err(Code::NoEntry);
        }
        Ok((place.dir, place.name.ok_or(Code::Exist)?))
    }

    /// As [`Model::name_to_make`], for what is no directory: a path to it has no slash at its end.
    pub(super) fn file_name_to_make(&self, base: Id, path: &str) -> Answer<(Id, String)> {
        match self.name_to_make(base, path) {
            Ok(_) if path.ends_with('/') => Err(Code::NoEntry),
            place => place,
        }
    }
}
