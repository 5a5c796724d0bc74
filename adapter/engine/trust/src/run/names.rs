//! Makes, links, renames and removes names on both sides.

use super::answers::same;
use super::runner::Runner;
use super::slots::{at_dir, opened};
use kvfs::Follow;

impl Runner {
    pub(super) fn mkdir(&mut self, dir: usize, path: &str) -> Result<bool, String> {
        let (descriptor, id) = at_dir!(self, dir);
        let engine = opened(&mut self.volume).create_directory_at(descriptor, path);
        same(&engine, &self.model.mkdir(id, path))
    }

    pub(super) fn rmdir(&mut self, dir: usize, path: &str) -> Result<bool, String> {
        let (descriptor, id) = at_dir!(self, dir);
        let engine = opened(&mut self.volume).remove_directory_at(descriptor, path);
        same(&engine, &self.model.rmdir(id, path))
    }

    pub(super) fn unlink(&mut self, dir: usize, path: &str) -> Result<bool, String> {
        let (descriptor, id) = at_dir!(self, dir);
        let engine = opened(&mut self.volume).unlink_file_at(descriptor, path);
        same(&engine, &self.model.unlink(id, path))
    }

    pub(super) fn rename(&mut self, old: (usize, &str), new: (usize, &str)) -> Result<bool, String> {
        let ((from, from_id), (to, to_id)) = (at_dir!(self, old.0), at_dir!(self, new.0));
        let engine = opened(&mut self.volume).rename_at(from, old.1, to, new.1);
        same(&engine, &self.model.rename((from_id, old.1), (to_id, new.1)))
    }

    pub(super) fn link(
        &mut self,
        old: (usize, &str),
        follow: Follow,
        new: (usize, &str),
    ) -> Result<bool, String> {
        let ((from, from_id), (to, to_id)) = (at_dir!(self, old.0), at_dir!(self, new.0));
        let engine = opened(&mut self.volume).link_at(from, old.1, follow, to, new.1);
        same(&engine, &self.model.link((from_id, old.1), follow, (to_id, new.1)))
    }

    pub(super) fn symlink(&mut self, target: &str, dir: usize, path: &str) -> Result<bool, String> {
        let (descriptor, id) = at_dir!(self, dir);
        let target = target.replace('\0', "");
        let engine = opened(&mut self.volume).symlink_at(&target, descriptor, path);
        same(&engine, &self.model.symlink(&target, id, path))
    }

    pub(super) fn readlink(&mut self, dir: usize, path: &str) -> Result<bool, String> {
        let (descriptor, id) = at_dir!(self, dir);
        let engine = opened(&mut self.volume).readlink_at(descriptor, path);
        let model = self.model.readlink(id, path);
        let ok = same(&engine, &model.clone().map(drop))?;
        if ok && engine.ok() != model.clone().ok() {
            return Err(format!("another target than {model:?}"));
        }
        Ok(ok)
    }
}
