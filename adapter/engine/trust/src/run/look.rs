//! Questions that checks ask a run.

use super::runner::Runner;
use super::slots::opened;
use crate::model::{Id, Model};
use crate::ops::Op;
use kvfs::Kind;

impl Runner {
    /// Returns whether the open files look as in this model.
    pub fn open_files_fit(&mut self, model: &Model) -> bool {
        let volume = opened(&mut self.volume);
        self.files.iter().flatten().all(|file| {
            let Ok(stat) = volume.stat(&file.descriptor) else { return false };
            let Some(object) = model.objects.get(&file.id) else { return false };
            let mut same = (stat.size, stat.nlink, stat.mtime, stat.ctime)
                == (object.size(), object.nlink, object.mtime, object.ctime);
            if same && file.access.read && object.kind() == Kind::File {
                let mut bytes = Vec::new();
                same = volume.read(&file.descriptor, 0, 32 << 10, &mut bytes).is_ok()
                    && bytes == model.read(file.id, 0, 32 << 10);
            }
            same
        })
    }

    /// The file that a write goes to, and its size before.
    pub fn file_of(&self, op: &Op, before: &Model) -> Option<(Id, u64)> {
        let Op::Write { slot, .. } = op else { return None };
        let id = self.files[*slot].as_ref()?.id;
        Some((id, before.objects.get(&id)?.size()))
    }

    pub fn is_closed(&self) -> bool {
        self.volume.is_none()
    }

    pub fn is_occupied(&self, op: &Op) -> bool {
        match op {
            Op::Open { slot, .. } | Op::OpenNumber { slot, .. } => self.files[*slot].is_some(),
            Op::OpenDir { slot, .. } => self.dirs[*slot].is_some(),
            Op::ListStart { slot, .. } => self.listings[*slot].is_some(),
            _ => false,
        }
    }
}
