//! Opens files, and reads, writes and resizes them.

use super::object::{Bytes, Content, Id};
use super::state::{Answer, Model};
use kvfs::{Access, At, Code, Follow, Kind, OpenFlags, SetTime};

const MAX_FILE_BYTES: u64 = i64::MAX as u64;

impl Model {
    pub fn open_at(
        &mut self,
        base: Id,
        path: &str,
        follow: Follow,
        flags: OpenFlags,
        access: Access,
    ) -> Answer<Id> {
        if flags.directory && (flags.create || flags.exclusive || flags.truncate) {
            return Err(Code::Invalid);
        }
        let exclusive = flags.create && flags.exclusive;
        let place = self.lookup_for(base, path, follow == Follow::Yes && !exclusive, flags.create)?;
        let Some(id) = place.target else {
            if !flags.create {
                return Err(Code::NoEntry);
            }
            if self.is_gone(place.dir) {
                return Err(Code::NoEntry);
            }
            let name = place.name.expect("what is not there has a name");
            let made = [Self::new_inode(0), Self::new_name(&name), self.copied(&[place.dir])];
            self.check_growth(&made, &[])?;
            let id = self.make(Content::File(Bytes::default()));
            self.bind(place.dir, &name, id);
            self.opened(id);
            return Ok(id);
        };
        if exclusive {
            return Err(Code::Exist);
        }
        match self.object(id).kind() {
            Kind::Symlink => return Err(Code::Loop),
            Kind::File if flags.directory || place.slash => return Err(Code::NotDirectory),
            Kind::Directory if flags.create || flags.truncate || access.write => {
                return Err(Code::IsDirectory);
            }
            _ => {}
        }
        if flags.truncate && self.object(id).size() > 0 {
            self.set_size(id, 0)?;
        }
        self.opened(id);
        Ok(id)
    }

    /// Returns how many bytes it took.
    pub fn write(&mut self, id: Id, at: At, data: &[u8]) -> Answer<usize> {
        let now = self.now;
        let offset = match at {
            At::Offset(offset) => offset,
            At::End => self.bytes(id).size,
        };
        if data.is_empty() {
            return Ok(0);
        }
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > MAX_FILE_BYTES) {
            return Err(Code::FileTooLarge);
        }
        let room = self.max_file_bytes().saturating_sub(offset);
        if room == 0 {
            return Err(Code::FileTooLarge);
        }
        let data = &data[..data.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        let cost = self.cost_after(id, |cost, layout| cost.write(offset, data.len() as u64, layout))?;
        let object = self.edit(id);
        let Content::File(bytes) = &mut object.content else { panic!("not a file") };
        bytes.cost = cost;
        bytes.write(offset, data);
        (object.mtime, object.ctime) = (now, now);
        Ok(data.len())
    }

    fn max_file_bytes(&self) -> u64 {
        self.quota.file_bytes.unwrap_or(MAX_FILE_BYTES)
    }

    pub fn read(&self, id: Id, offset: u64, length: u64) -> Vec<u8> {
        self.bytes(id).read(offset, length)
    }

    pub fn set_size(&mut self, id: Id, size: u64) -> Answer<()> {
        let now = self.now;
        if size > self.max_file_bytes().max(self.bytes(id).size) {
            return Err(Code::FileTooLarge);
        }
        let cost = self.cost_after(id, |cost, layout| cost.resize(size, layout))?;
        let object = self.edit(id);
        let Content::File(bytes) = &mut object.content else { panic!("not a file") };
        bytes.cost = cost;
        bytes.resize(size);
        (object.mtime, object.ctime) = (now, now);
        Ok(())
    }

    pub fn stat_at(&self, base: Id, path: &str, follow: Follow) -> Answer<Id> {
        self.find(base, path, follow == Follow::Yes)
    }

    pub fn set_times(&mut self, id: Id, atime: SetTime, mtime: SetTime) -> Answer<()> {
        let now = self.now;
        let bad = |time: SetTime| matches!(time, SetTime::At(at) if at.nanoseconds >= 1_000_000_000);
        if bad(atime) || bad(mtime) {
            return Err(Code::Invalid);
        }
        if (atime, mtime) == (SetTime::Keep, SetTime::Keep) {
            return Ok(());
        }
        self.check_growth(&[self.copied(&[id])], &[])?;
        let object = self.edit(id);
        for (place, time) in [(&mut object.atime, atime), (&mut object.mtime, mtime)] {
            match time {
                SetTime::Keep => {}
                SetTime::Now => *place = now,
                SetTime::At(at) => *place = at,
            }
        }
        object.ctime = now;
        Ok(())
    }
}
