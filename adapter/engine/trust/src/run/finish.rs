//! The checks at the end of a run, after a restart, and after everything was cleaned up.

use super::answers::Check;
use super::runner::Runner;
use super::slots::opened;
use crate::model::ROOT;
use crate::store::LARGE;
use crate::tree;
use kvfs::{Follow, Quota, Report, SetTime};

impl Runner {
    fn fsck(&self) -> Result<Report, String> {
        let outcome = self.store.undisturbed(|| self.setup.fsck(&mut self.store.clone()));
        outcome.map_err(|error| format!("fsck: {error:?}"))
    }

    /// Checks the store as it is now.
    pub fn check_fsck(&mut self) -> Check {
        let report = self.fsck()?;
        match report.findings.first() {
            None => Ok(()),
            Some(finding) => Err(format!("fsck: {finding} ({} findings)", report.findings.len())),
        }
    }

    /// Compares everything, compares again after a restart, and checks that nothing is left over.
    pub fn finish(&mut self) -> Check {
        let expected = tree::of_model(&self.model);
        let found = tree::of_volume(self.volume()).map_err(|error| format!("reading all: {error:?}"))?;
        if let Some(what) = tree::difference(&expected, &found) {
            return Err(format!("at the end: {what}"));
        }
        self.volume().sync_all().map_err(|error| format!("sync: {error:?}"))?;
        self.check_fsck().map_err(|what| format!("at the end: {what}"))?;
        self.check_used()?;
        self.restart()?;
        let found = tree::of_volume(self.volume()).map_err(|error| format!("reading all: {error:?}"))?;
        if let Some(what) = tree::difference(&expected, &found) {
            return Err(format!("after a restart: {what}"));
        }
        self.check_fsck().map_err(|what| format!("after a restart: {what}"))?;
        self.check_cleans_up()
    }

    /// Checks that all garbage is removed within a bounded number of commits.
    fn check_cleans_up(&mut self) -> Check {
        if self.setup.quota.is_some() {
            self.volume().set_quota(Quota::default()).map_err(|error| format!("no quota: {error:?}"))?;
            self.model.quota = Quota::default();
        }
        // The following changes set only the root's times.
        self.model.set_times(ROOT, SetTime::Now, SetTime::Keep).map_err(|code| format!("{code:?}"))?;
        let (root, _) = self.dirs[0].take().expect("the root is open");
        let waiting = self.fsck()?;
        // The smallest stores delete one extent a commit, and mode lazy commits every eighth turn.
        let orphaned_extents = if waiting.orphans > 0 { waiting.extents } else { 0 };
        let turns = 300 + 10 * (waiting.garbage_extents + orphaned_extents);
        let volume = opened(&mut self.volume);
        let outcome = (0..turns).try_for_each(|turn| {
            let times = (SetTime::Now, SetTime::Keep);
            volume.set_times_at(&root, ".", Follow::No, times.0, times.1)?;
            if turn % 8 == 7 { volume.sync_all() } else { Ok(()) }
        });
        outcome.map_err(|error| format!("cleaning up: {error:?}"))?;
        self.check_fsck().map_err(|what| format!("after cleaning up: {what}"))?;
        let report = self.fsck()?;
        let (inodes, expected) = (report.inodes, self.model.objects.len() as u64);
        // No garbage is left. On small stores the file layout differs from the reference's.
        let (mut found, model) = (self.volume().used(), self.model.used());
        if self.setup.limits != LARGE {
            found.bytes = model.bytes;
        }
        if found != model {
            return Err(format!("after cleaning up {found:?} in use, expected {model:?}"));
        }
        if report.orphans + report.garbage_extents > 0 || inodes != expected {
            return Err(format!("cleaning up left {report:?}, expected {expected} inodes"));
        }
        Ok(())
    }

    /// Checks that the inodes in use are those with a name or an open descriptor.
    fn check_used(&mut self) -> Check {
        let (found, model) = (self.volume().used(), self.model.used());
        let (bytes, inodes, expected_bytes, expected) =
            (found.bytes, found.inodes, model.bytes, model.inodes);
        // Names are never deferred.
        if found.names != model.names {
            return Err(format!("{} names in use, expected {}", found.names, model.names));
        }
        // With small commits, or after a commit of unknown outcome, the last closes take effect
        // with the next commit.
        let faults = self.store.0.borrow().faults_injected > 0;
        let waits = self.restarted || faults || self.setup.limits != LARGE;
        if (bytes, inodes) == (expected_bytes, expected) || (waits && inodes >= expected) {
            Ok(())
        } else if inodes == expected {
            Err(format!("{bytes} bytes in use, expected {expected_bytes}"))
        } else {
            Err(format!("{inodes} inodes in use, expected {expected}"))
        }
    }
}
