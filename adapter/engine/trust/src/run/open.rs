//! Opens files and directories on both sides.

use super::answers::same;
use super::runner::Runner;
use super::slots::{OpenFile, at_dir, at_file, opened};
use crate::model::{Answer, Id};
use kvfs::{Access, Descriptor, Error, Follow, OpenFlags};

impl Runner {
    pub(super) fn open_file(
        &mut self,
        dir: usize,
        path: &str,
        follow: Follow,
        flags: OpenFlags,
        access: Access,
        slot: usize,
    ) -> Result<bool, String> {
        self.close_file(slot)?;
        let (descriptor, base) = at_dir!(self, dir);
        let volume = opened(&mut self.volume);
        let next = self.model.next;
        let engine = volume.open_at(descriptor, path, follow, flags, access);
        let model = self.model.open_at(base, path, follow, flags, access);
        self.undo_open(&engine, model);
        same(&engine, &model.map(drop))?;
        let (Ok(descriptor), Ok(id)) = (engine, model) else { return Ok(false) };
        if descriptor.ino().0 != id || descriptor.kind() != self.model.object(id).kind() {
            return Err(format!("opened {descriptor:?}, the reference {id}"));
        }
        if id >= next || self.model.object(id).mtime == self.model.now {
            self.changed.insert(id, self.moment);
        }
        // A directory in a file slot can be looked at and closed, as by a guest.
        self.files[slot] = Some(OpenFile { descriptor, id, access });
        Ok(true)
    }

    pub(super) fn open_dir(&mut self, dir: usize, path: &str, slot: usize) -> Result<bool, String> {
        let (descriptor, base) = at_dir!(self, dir);
        let volume = opened(&mut self.volume);
        let flags = OpenFlags { directory: true, ..OpenFlags::default() };
        let engine = volume.open_at(descriptor, path, Follow::Yes, flags, Access::default());
        let model = self.model.open_at(base, path, Follow::Yes, flags, Access::default());
        self.undo_open(&engine, model);
        same(&engine, &model.map(drop))?;
        let (Ok(descriptor), Ok(id)) = (engine, model) else { return Ok(false) };
        self.close_dir(slot)?;
        self.dirs[slot] = Some((descriptor, id));
        Ok(true)
    }

    pub(super) fn reopen_stream(&mut self, slot: usize) -> Result<bool, String> {
        let file = at_file!(self, slot);
        let volume = opened(&mut self.volume);
        let again = volume.reopen(&file.descriptor).map_err(|error| format!("{error:?}"))?;
        volume.close_stream(again).map_err(|error| format!("{error:?}"))?;
        Ok(true)
    }

    /// Closes on the reference what the engine failed to open.
    pub(super) fn undo_open(&mut self, engine: &Result<Descriptor, Error>, model: Answer<Id>) {
        if let (Err(_), Ok(id)) = (engine, model) {
            self.model.closed(id);
        }
    }
}
