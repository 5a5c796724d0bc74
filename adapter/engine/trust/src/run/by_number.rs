//! Asks both sides for objects by their numbers.

use super::answers::same;
use super::runner::Runner;
use super::slots::{OpenFile, at_dir, opened};
use crate::model::{Answer, Id};
use kvfs::{Access, Follow, InodeNo, Kind, Start};

impl Runner {
    pub(super) fn stat_number(&mut self, back: u64) -> Result<bool, String> {
        let id = self.model.number(back);
        let engine = opened(&mut self.volume).stat_number(InodeNo(id));
        self.check_stat(engine, self.model.stat_number(id))
    }

    pub(super) fn open_number(&mut self, back: u64, access: Access, slot: usize) -> Result<bool, String> {
        self.close_file(slot)?;
        let id = self.model.number(back);
        let engine = opened(&mut self.volume).open_number(InodeNo(id), access);
        let model = self.model.open_number(id, access);
        self.undo_open(&engine, model);
        same(&engine, &model.map(drop))?;
        let (Ok(descriptor), Ok(id)) = (engine, model) else { return Ok(false) };
        let kind = self.model.object(id).kind();
        if descriptor.ino().0 != id || descriptor.kind() != kind {
            return Err(format!("opened {descriptor:?}, the reference {id}"));
        }
        // A link is open for its metadata only.
        if kind == Kind::Symlink {
            let volume = opened(&mut self.volume);
            let stat = volume.stat(&descriptor);
            volume.close(descriptor).map_err(|error| format!("closing: {error:?}"))?;
            let ok = self.check_stat(stat, Ok(id));
            self.model.closed(id);
            return ok;
        }
        self.files[slot] = Some(OpenFile { descriptor, id, access });
        Ok(true)
    }

    pub(super) fn readlink_number(&mut self, back: u64) -> Result<bool, String> {
        let id = self.model.number(back);
        let engine = opened(&mut self.volume).readlink_number(InodeNo(id));
        let model = self.model.readlink_number(id);
        let ok = same(&engine, &model.clone().map(drop))?;
        if ok && engine.ok() != model.clone().ok() {
            return Err(format!("another target than {model:?}"));
        }
        Ok(ok)
    }

    pub(super) fn link_number(&mut self, back: u64, dir: usize, path: &str) -> Result<bool, String> {
        let (descriptor, base) = at_dir!(self, dir);
        let id = self.model.number(back);
        let engine = opened(&mut self.volume).link_number(InodeNo(id), descriptor, path);
        same(&engine, &self.model.link_number(id, base, path))
    }

    pub(super) fn look_up_from(&mut self, back: u64, path: &str) -> Result<bool, String> {
        let Some((start, id)) = self.start_at(back)? else { return Ok(false) };
        let engine = opened(&mut self.volume).look_up_at(start, path);
        self.check_stat(engine, self.model.stat_at(id, path, Follow::No))
    }

    pub(super) fn mkdir_from(&mut self, back: u64, path: &str) -> Result<bool, String> {
        let Some((start, id)) = self.start_at(back)? else { return Ok(false) };
        let engine = opened(&mut self.volume).create_directory_at(start, path);
        same(&engine, &self.model.mkdir(id, path))
    }

    pub(super) fn unlink_from(&mut self, back: u64, path: &str) -> Result<bool, String> {
        let Some((start, id)) = self.start_at(back)? else { return Ok(false) };
        let engine = opened(&mut self.volume).unlink_file_at(start, path);
        same(&engine, &self.model.unlink(id, path))
    }

    /// Starts a path at a directory, on both sides.
    fn start_at(&mut self, back: u64) -> Result<Option<(Start, Id)>, String> {
        let id = self.model.number(back);
        let engine = opened(&mut self.volume).start_at(InodeNo(id));
        let model: Answer<Id> = self.model.start_at(id);
        same(&engine, &model.map(drop))?;
        Ok(engine.ok().zip(model.ok()))
    }
}
