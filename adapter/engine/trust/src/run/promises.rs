//! What an answer of the engine promises to be stored or durable.

use super::answers::Check;
use super::runner::Runner;
use crate::ops::Op;
use kvfs::Mode;

impl Runner {
    /// Records what a successful answer promises.
    pub(super) fn acknowledge(&mut self, op: &Op, ok: bool) -> Check {
        let names = matches!(
            op,
            Op::Mkdir { .. }
                | Op::Rename { .. }
                | Op::Link { .. }
                | Op::LinkNumber { .. }
                | Op::MkdirFrom { .. }
                | Op::Symlink { .. }
                | Op::SetTimesAt { .. }
        );
        if !ok {
            return Ok(());
        }
        let changed = self.changed_now();
        match (op, self.setup.mode) {
            (Op::Sync, _) => return self.now_durable(),
            (_, Mode::Strict) if changed && !matches!(op, Op::Reopen) => return self.now_durable(),
            (Op::Reopen, _) | (_, Mode::Strict) => self.now_stored(),
            // An operation that changes nothing stores nothing.
            (_, Mode::Close) if names && changed => self.now_stored(),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn changed_now(&self) -> bool {
        let now = self.model.now;
        self.model.objects.values().any(|object| object.ctime == now)
    }

    /// Records that everything is durable. No buffered apply may follow the last durable one.
    pub(super) fn now_durable(&mut self) -> Check {
        self.now_stored();
        self.last_durable = self.last_durable.max(self.moment);
        match self.store.0.borrow().log.iter().rev().find(|applied| !applied.settles && !applied.by_tool) {
            Some(last) if !last.durable => {
                Err("acknowledged as durable, but the last apply is only buffered".to_owned())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn now_stored(&mut self) {
        self.last_stored = self.last_stored.max(self.moment);
        self.changed.clear();
    }
}
