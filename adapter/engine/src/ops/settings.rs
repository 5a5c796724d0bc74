//! Sets what hosts and tools set for a volume: its quota, and the rest of its settings.

use crate::error::{Error, Result};
use crate::limits::MAX_FILE_BYTES;
use crate::quota::{Quota, Settings};
use crate::store::{Durability, StoreError};
use crate::volume::Volume;
use crate::volume::room::check_settings_fit;

impl Volume {
    /// Sets the quota, for this and all later openers. It may be less than the volume holds.
    ///
    /// Durability, errors and cost are those of [`Volume::set_settings`].
    ///
    /// # Errors
    /// As there.
    pub fn set_quota(&mut self, quota: Quota) -> Result<()> {
        self.backing.check_alive()?;
        // It may bring other settings.
        self.resolve_doubt()?;
        self.set_settings(&Settings { quota, ..self.settings() })
    }

    /// Sets the settings, for this and all later openers.
    ///
    /// # Durability
    /// Durable when it returns, together with everything applied before. Dirty state stays in
    /// memory.
    ///
    /// # Errors
    /// The store's, and nothing has changed; [`Error::StoreLimits`] if the settings do not fit it.
    /// If the outcome is unknown, the new limits count for this opener. The next commit stores the
    /// limits of bytes, inodes and names; set the rest again. [`Error::Busy`] if the scrubbing is
    /// to change while anything is open, [`Error::ReadOnly`] if the volume is frozen.
    ///
    /// # Cost
    /// One `apply`, and a commit before it if the scrubbing changes.
    pub fn set_settings(&mut self, settings: &Settings) -> Result<()> {
        self.backing.check_alive()?;
        if self.backing.committed.is_read_only() {
            return Err(Error::ReadOnly);
        }
        self.resolve_doubt()?;
        if settings.scrubbing.as_ref() != self.scrubbing.as_deref() {
            // Files in memory know whether they are scrubbed by the policy that is to go.
            if self.open_descriptors > 0 {
                return Err(Error::Busy);
            }
            // Extents that go ahead of a commit must not meet bytes that the new policy has masked.
            self.commit(Durability::Buffered)?;
        }
        let before = self.quota();
        let record = self.backing.settings.with(settings);
        check_settings_fit(&record, &self.backing.committed, &self.backing.keys, &self.backing.limits)?;
        self.count_by(settings.quota);
        let outcome = self.repeat_if_moved(|volume| {
            let mut superblock = volume.backing.committed.clone();
            superblock.seq = superblock.seq.saturating_add(1);
            superblock.set_quota(settings.quota);
            volume.backing.apply_settings(superblock, record.clone(), Durability::Durable)
        });
        match &outcome {
            Ok(()) => {
                self.backing.unsynced = false;
                self.adopt_scrubbing();
            }
            Err(Error::Store(StoreError::UnknownOutcome)) => self.backing.unsynced = true,
            Err(_) => self.count_by(before),
        }
        outcome
    }

    /// Stores the part of an opener's quota that is in the settings record. The rest is in the
    /// superblock that the opener wrote.
    ///
    /// # Cost
    /// Nothing if it is stored already, else one `apply`.
    pub(crate) fn adopt_quota(&mut self, quota: Quota) -> Result<()> {
        self.pending.max_file_bytes = quota.file_bytes.unwrap_or(MAX_FILE_BYTES).min(MAX_FILE_BYTES);
        let record = self.backing.settings.with(&Settings { quota, ..self.settings() });
        if record.says_what(&self.backing.settings) {
            return Ok(());
        }
        check_settings_fit(&record, &self.backing.committed, &self.backing.keys, &self.backing.limits)?;
        let outcome = self.repeat_if_moved(|volume| {
            let mut superblock = volume.backing.committed.clone();
            superblock.seq = superblock.seq.saturating_add(1);
            volume.backing.apply_settings(superblock, record.clone(), Durability::Buffered)
        });
        match outcome {
            // It counts for this opener all the same, and a full volume must open, to be emptied.
            Err(Error::Store(StoreError::QuotaExceeded | StoreError::UnknownOutcome)) => Ok(()),
            outcome => outcome,
        }
    }

    fn count_by(&mut self, quota: Quota) {
        self.pending.superblock.set_quota(quota);
        self.pending.max_file_bytes = quota.file_bytes.unwrap_or(MAX_FILE_BYTES).min(MAX_FILE_BYTES);
    }
}
