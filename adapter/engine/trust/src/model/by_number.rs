//! Objects by their numbers.

use super::object::{Content, Id};
use super::state::{Answer, Model};
use kvfs::{Access, Code, Kind};

impl Model {
    /// Returns the number that is so many below the next one. Those near the most that `back` can be are
    /// counted from 0 instead.
    pub fn number(&self, back: u64) -> Id {
        match u64::MAX - back {
            first @ ..1000 => first,
            _ => self.next.saturating_sub(back),
        }
    }

    pub fn stat_number(&self, id: Id) -> Answer<Id> {
        if self.objects.contains_key(&id) { Ok(id) } else { Err(Code::NoEntry) }
    }

    pub fn start_at(&self, id: Id) -> Answer<Id> {
        self.stat_number(id)?;
        if self.object(id).kind() == Kind::Directory { Ok(id) } else { Err(Code::NotDirectory) }
    }

    pub fn open_number(&mut self, id: Id, access: Access) -> Answer<Id> {
        self.stat_number(id)?;
        match self.object(id).kind() {
            Kind::Directory if access.write => return Err(Code::IsDirectory),
            Kind::Symlink if access.write => return Err(Code::Loop),
            _ => {}
        }
        self.opened(id);
        Ok(id)
    }

    pub fn readlink_number(&self, id: Id) -> Answer<String> {
        match &self.object(self.stat_number(id)?).content {
            Content::Symlink(target) => Ok(target.clone()),
            _ => Err(Code::Invalid),
        }
    }

    pub fn link_number(&mut self, id: Id, base: Id, path: &str) -> Answer<()> {
        self.stat_number(id)?;
        if self.object(id).kind() == Kind::Directory {
            return Err(Code::NotPermitted);
        }
        let (dir, name) = self.file_name_to_make(base, path)?;
        if self.object(id).nlink == 0 {
            return Err(Code::NoEntry);
        }
        self.check_growth(&[Self::new_name(&name), self.copied(&[id, dir])], &[])?;
        let now = self.now;
        let object = self.edit(id);
        object.nlink += 1;
        object.ctime = now;
        self.bind(dir, &name, id);
        Ok(())
    }
}
