//! Makes, links, renames and removes names.

use super::object::{Content, Id};
use super::state::{Answer, Model};
use kvfs::{Code, Follow, Kind};
use std::collections::BTreeMap;

impl Model {
    pub fn mkdir(&mut self, base: Id, path: &str) -> Answer<()> {
        let place = self.name_to_make(base, path)?;
        let made = [Self::new_inode(0), Self::new_name(&place.1), self.copied(&[place.0])];
        self.check_growth(&made, &[])?;
        let id = self.make(Content::Directory { entries: BTreeMap::new(), parent: place.0 });
        self.bind(place.0, &place.1, id);
        Ok(())
    }

    pub fn symlink(&mut self, target: &str, base: Id, path: &str) -> Answer<()> {
        if target.is_empty() {
            return Err(Code::NoEntry);
        }
        if target.starts_with('/') {
            return Err(Code::NotPermitted);
        }
        if target.len() > self.target_bytes_max {
            return Err(Code::NameTooLong);
        }
        let (dir, name) = self.file_name_to_make(base, path)?;
        let made = [Self::new_inode(target.len()), Self::new_name(&name), self.copied(&[dir])];
        self.check_growth(&made, &[])?;
        let id = self.make(Content::Symlink(target.to_owned()));
        self.bind(dir, &name, id);
        Ok(())
    }

    pub fn readlink(&self, base: Id, path: &str) -> Answer<String> {
        match &self.object(self.find(base, path, false)?).content {
            Content::Symlink(target) => Ok(target.clone()),
            _ => Err(Code::Invalid),
        }
    }

    pub fn unlink(&mut self, base: Id, path: &str) -> Answer<()> {
        let place = self.lookup(base, Self::trim(path), false)?;
        let name = place.name.ok_or(Code::IsDirectory)?;
        let id = place.target.ok_or(Code::NoEntry)?;
        if self.object(id).kind() == Kind::Directory {
            return Err(Code::IsDirectory);
        }
        if path.ends_with('/') {
            return Err(Code::NotDirectory);
        }
        self.unbind(place.dir, &name);
        self.drop_name(id);
        Ok(())
    }

    pub fn rmdir(&mut self, base: Id, path: &str) -> Answer<()> {
        let place = self.lookup(base, Self::trim(path), false)?;
        let is_up = Self::trim(path).ends_with("..");
        let name = place.name.ok_or(if is_up { Code::NotEmpty } else { Code::Invalid })?;
        let id = place.target.ok_or(Code::NoEntry)?;
        match self.entries(id) {
            None => return Err(Code::NotDirectory),
            Some(entries) if !entries.is_empty() => return Err(Code::NotEmpty),
            Some(_) => {}
        }
        self.unbind(place.dir, &name);
        self.drop_name(id);
        Ok(())
    }

    pub fn link(&mut self, old: (Id, &str), follow: Follow, new: (Id, &str)) -> Answer<()> {
        let id = self.find(old.0, old.1, follow == Follow::Yes)?;
        let place = self.lookup(new.0, Self::trim(new.1), false)?;
        if place.target.is_some() {
            return Err(Code::Exist);
        }
        if new.1.ends_with('/') {
            return Err(Code::NoEntry);
        }
        if self.is_gone(place.dir) {
            return Err(Code::NoEntry);
        }
        if self.object(id).kind() == Kind::Directory {
            return Err(Code::NotPermitted);
        }
        let name = place.name.ok_or(Code::Exist)?;
        self.check_growth(&[Self::new_name(&name), self.copied(&[id, place.dir])], &[])?;
        let now = self.now;
        let object = self.edit(id);
        object.nlink += 1;
        object.ctime = now;
        self.bind(place.dir, &name, id);
        Ok(())
    }

    pub fn rename(&mut self, old: (Id, &str), new: (Id, &str)) -> Answer<()> {
        let (from, to) =
            (self.lookup(old.0, Self::trim(old.1), false)?, self.lookup(new.0, Self::trim(new.1), false)?);
        let (from_name, to_name) = (from.name.ok_or(Code::Busy)?, to.name.ok_or(Code::Busy)?);
        let slash = old.1.ends_with('/') || new.1.ends_with('/');
        let id = from.target.ok_or(Code::NoEntry)?;
        let is_dir = self.object(id).kind() == Kind::Directory;
        if slash && !is_dir {
            return Err(Code::NotDirectory);
        }
        if to.target == Some(id) {
            return Ok(());
        }
        if is_dir && self.is_inside(to.dir, id) {
            return Err(Code::Invalid);
        }
        if let Some(there) = to.target {
            match (is_dir, self.entries(there)) {
                (true, None) => return Err(Code::NotDirectory),
                (false, Some(_)) if self.is_inside(from.dir, there) => return Err(Code::NotEmpty),
                (false, Some(_)) => return Err(Code::IsDirectory),
                (true, Some(entries)) if !entries.is_empty() => return Err(Code::NotEmpty),
                _ => {}
            }
        }
        if self.is_gone(to.dir) {
            return Err(Code::NoEntry);
        }
        let mut changed = vec![from.dir, to.dir];
        changed.extend(is_dir.then_some(id));
        let gone = [self.charged_name(from.dir, &from_name), self.charged_name(to.dir, &to_name)];
        self.check_growth(&[Self::new_name(&to_name), self.copied(&changed)], &gone)?;
        if let Some(there) = to.target {
            self.unbind(to.dir, &to_name);
            self.drop_name(there);
        }
        self.unbind(from.dir, &from_name);
        self.bind(to.dir, &to_name, id);
        let now = self.now;
        if matches!(self.objects[&id].content, Content::Directory { .. }) {
            let object = self.edit(id);
            object.ctime = now;
            if let Content::Directory { parent, .. } = &mut object.content {
                *parent = to.dir;
            }
        }
        Ok(())
    }

    fn is_inside(&self, mut dir: Id, of: Id) -> bool {
        loop {
            if dir == of {
                return true;
            }
            match &self.object(dir).content {
                Content::Directory { parent, .. } if *parent != dir => dir = *parent,
                _ => return false,
            }
        }
    }
}
