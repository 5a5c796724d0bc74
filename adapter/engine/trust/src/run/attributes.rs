//! Reads attributes and sets times on both sides.

use super::answers::same;
use super::runner::Runner;
use super::slots::{at_dir, at_file, opened};
use crate::model::{Answer, Id};
use kvfs::{Error, Follow, Kind, SetTime, Stat};

impl Runner {
    pub(super) fn stat(&mut self, slot: usize) -> Result<bool, String> {
        let file = at_file!(self, slot);
        let volume = opened(&mut self.volume);
        let stat = volume.stat(&file.descriptor);
        let hash = volume.metadata_hash(&file.descriptor);
        if hash.as_ref().map(|hash| hash.lower) != Ok(file.id) {
            return Err(format!("hash {hash:?}"));
        }
        self.check_stat(stat, Ok(file.id))
    }

    pub(super) fn stat_dir(&mut self, slot: usize) -> Result<bool, String> {
        let (descriptor, id) = at_dir!(self, slot);
        let stat = opened(&mut self.volume).stat(descriptor);
        self.check_stat(stat, Ok(id))
    }

    pub(super) fn stat_at(&mut self, dir: usize, path: &str, follow: Follow) -> Result<bool, String> {
        let (descriptor, id) = at_dir!(self, dir);
        let stat = opened(&mut self.volume).stat_at(descriptor, path, follow);
        self.check_stat(stat, self.model.stat_at(id, path, follow))
    }

    pub(super) fn set_times(&mut self, slot: usize, atime: SetTime, mtime: SetTime) -> Result<bool, String> {
        let file = at_file!(self, slot);
        let engine = opened(&mut self.volume).set_times(&file.descriptor, atime, mtime);
        let ok = same(&engine, &self.model.set_times(file.id, atime, mtime))?;
        // Keeping both times leaves a close nothing to store.
        let object = self.model.object(file.id);
        if ok && object.kind() == Kind::File && object.ctime == self.model.now {
            self.changed.insert(file.id, self.moment);
        }
        Ok(ok)
    }

    pub(super) fn set_times_at(
        &mut self,
        dir: usize,
        path: &str,
        follow: Follow,
        atime: SetTime,
        mtime: SetTime,
    ) -> Result<bool, String> {
        let (descriptor, id) = at_dir!(self, dir);
        let volume = opened(&mut self.volume);
        let engine = volume.set_times_at(descriptor, path, follow, atime, mtime);
        let model = self.model.stat_at(id, path, follow);
        let model = model.and_then(|id| self.model.set_times(id, atime, mtime));
        same(&engine, &model)
    }

    pub(super) fn check_stat(&self, found: Result<Stat, Error>, model: Answer<Id>) -> Result<bool, String> {
        let ok = same(&found, &model.map(drop))?;
        let (Ok(found), Ok(id)) = (found, model) else { return Ok(ok) };
        let object = self.model.object(id);
        let expected =
            (id, object.kind(), object.nlink, object.size(), object.atime, object.mtime, object.ctime);
        let found = (found.ino.0, found.kind, found.nlink, found.size, found.atime, found.mtime, found.ctime);
        if found == expected { Ok(ok) } else { Err(format!("stat {found:?}, expected {expected:?}")) }
    }
}
