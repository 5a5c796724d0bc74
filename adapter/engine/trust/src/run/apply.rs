//! Dispatches operations.

use super::runner::Runner;
use crate::ops::{DIRS, FILES, LISTINGS, Op};
use kvfs::Quota;

impl Runner {
    /// Does an operation on both sides and returns whether it succeeded.
    pub(super) fn apply(&mut self, op: &Op) -> Result<bool, String> {
        match op {
            Op::Open { dir, path, follow, flags, access, slot } => {
                self.open_file(*dir, path, *follow, *flags, *access, *slot)
            }
            Op::Close { slot } => self.close_file(*slot).map(|()| true),
            Op::OpenDir { dir, path, slot } => self.open_dir(*dir, path, *slot),
            Op::CloseDir { slot } => self.close_dir(*slot).map(|()| true),
            Op::Stream { slot } => self.reopen_stream(*slot),
            Op::Write { slot, at, length, fill } => self.write(*slot, *at, *length, *fill),
            Op::Read { slot, offset, length } => self.read(*slot, *offset, *length),
            Op::SetSize { slot, size } => self.set_size(*slot, *size),
            Op::Stat { slot } => self.stat(*slot),
            Op::StatDir { slot } => self.stat_dir(*slot),
            Op::StatAt { dir, path, follow } => self.stat_at(*dir, path, *follow),
            Op::Mkdir { dir, path } => self.mkdir(*dir, path),
            Op::Rmdir { dir, path } => self.rmdir(*dir, path),
            Op::Unlink { dir, path } => self.unlink(*dir, path),
            Op::Rename { old, new } => self.rename((old.0, &old.1), (new.0, &new.1)),
            Op::Link { old, follow, new } => self.link((old.0, &old.1), *follow, (new.0, &new.1)),
            Op::Symlink { target, dir, path } => self.symlink(target, *dir, path),
            Op::Readlink { dir, path } => self.readlink(*dir, path),
            Op::SetTimes { slot, atime, mtime } => self.set_times(*slot, *atime, *mtime),
            Op::SetTimesAt { dir, path, follow, atime, mtime } => {
                self.set_times_at(*dir, path, *follow, *atime, *mtime)
            }
            Op::List { slot } => self.list(*slot),
            Op::ListStart { dir, slot } => self.start_listing(*dir, *slot),
            Op::ListNext { slot, count } => self.go_on_listing(*slot, *count),
            Op::ListEnd { slot } => self.end_listing(*slot).map(|()| true),
            Op::StatNumber { back } => self.stat_number(*back),
            Op::OpenNumber { back, access, slot } => self.open_number(*back, *access, *slot),
            Op::ReadlinkNumber { back } => self.readlink_number(*back),
            Op::LinkNumber { back, dir, path } => self.link_number(*back, *dir, path),
            Op::LookUpFrom { back, path } => self.look_up_from(*back, path),
            Op::MkdirFrom { back, path } => self.mkdir_from(*back, path),
            Op::UnlinkFrom { back, path } => self.unlink_from(*back, path),
            Op::SetQuota { quota } => self.set_quota(*quota),
            Op::Sync => {
                let outcome = self.volume().sync_all();
                outcome.map(|()| true).map_err(|error| format!("sync: {error:?}"))
            }
            Op::Reopen => self.sync_and_reopen(),
        }
    }

    pub(super) fn set_quota(&mut self, quota: Quota) -> Result<bool, String> {
        if self.setup.quota.is_some() {
            let outcome = self.volume().set_quota(quota);
            outcome.map_err(|error| format!("setting the quota: {error:?}"))?;
            self.model.quota = quota;
        }
        Ok(true)
    }

    pub(super) fn sync_and_reopen(&mut self) -> Result<bool, String> {
        // Open files without a name stay in use until an opener removes them.
        if self.setup.quota.is_some() {
            (0..LISTINGS).try_for_each(|slot| self.end_listing(slot))?;
            (0..FILES).try_for_each(|slot| self.close_file(slot))?;
            (1..DIRS).try_for_each(|slot| self.close_dir(slot))?;
        }
        self.volume().sync_all().map_err(|error| format!("sync: {error:?}"))?;
        self.now_durable()?;
        self.check_fsck()?;
        self.restart()?;
        Ok(true)
    }
}
