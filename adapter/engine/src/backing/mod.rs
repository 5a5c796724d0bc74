//! The store behind a volume: reads go through its layers, and every apply is guarded.
//!
//! From above, the layers are the changes of a committed journal, the store, and the image below.
//! Every apply is guarded on the superblock as this opener last wrote it, so nothing is stored
//! after another opener has raised the epoch.

pub(crate) mod batch;
pub(crate) mod doubt;
pub(crate) mod journal_view;
pub(crate) mod overlay;

use self::batch::{Batch, Piece, Tombstone};
use self::doubt::{Completion, Doubt, Resolved, State};
use self::overlay::{Layers, Lower, Page};
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::key::KeySpace;
use crate::stored::record::journal::Changes;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::Superblock;
use crate::stored::record::{Value, tombstone};
use std::ops::Range;

/// The store of a volume, with its layers.
pub(crate) struct Backing {
    pub(crate) store: Box<dyn KvStore>,
    pub(crate) limits: Limits,
    pub(crate) keys: KeySpace,
    /// The image that the volume lies on, or is.
    pub(crate) lower: Option<Lower>,
    pub(crate) journal: Journal,
    /// The superblock in the store.
    pub(crate) committed: Superblock,
    /// Its value, on which applies are guarded.
    committed_value: Vec<u8>,
    /// The memory of the value before it, for the next one.
    spare_value: Vec<u8>,
    /// The settings in the store.
    pub(crate) settings: SettingsRecord,
    state: State,
    /// Something was applied since the last durable apply.
    pub(crate) unsynced: bool,
}

/// The journal that is, or may be, in the store.
#[derive(Default)]
pub(crate) struct Journal {
    /// The changes of a committed journal that are not in place yet. Readers see them.
    pub(crate) changes: Changes,
    /// The keys of parts that may be in the store, of a journal that is committed or was begun.
    pub(crate) parts: Vec<Vec<u8>>,
}

impl Backing {
    pub(crate) fn new(
        store: Box<dyn KvStore>,
        limits: Limits,
        keys: KeySpace,
        lower: Option<Lower>,
        (committed, committed_value, settings): (Superblock, Vec<u8>, SettingsRecord),
    ) -> Self {
        let (journal, state) = (Journal::default(), State::Live);
        Self {
            store,
            limits,
            keys,
            lower,
            journal,
            committed,
            committed_value,
            spare_value: Vec::new(),
            settings,
            state,
            unsynced: true,
        }
    }

    /// Most entries that a scan asks for.
    pub(crate) fn page_entries(&self) -> u32 {
        READDIR_PAGE_ENTRIES.min(self.limits.max_batch_entries)
    }

    /// Most bytes that a scan asks for.
    pub(crate) fn page_bytes(&self) -> u32 {
        READDIR_PAGE_BYTES.min(self.limits.max_batch_bytes)
    }

    pub(crate) fn extent_bytes(&self) -> u64 {
        u64::from(self.committed.extent_bytes)
    }

    pub(crate) fn inline_bytes(&self) -> u64 {
        u64::from(self.committed.inline_bytes)
    }

    /// Whether the store may hold records of this volume beside the superblock. An image has no
    /// store, and a volume on an image that was never written to is all in the image.
    pub(crate) fn asks_store(&self) -> bool {
        match &self.committed.lower {
            Some(lower) => lower.written,
            None => self.lower.is_none(),
        }
    }

    pub(crate) fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.layers(self.asks_store()).get(keys)
    }

    /// The layers that hold a directory's names: only the image if the directory's own record is
    /// `below`.
    pub(crate) fn names(&mut self, below: bool) -> Layers<'_> {
        self.layers(!below && self.asks_store())
    }

    fn layers(&mut self, with_store: bool) -> Layers<'_> {
        let store: Option<&mut dyn KvStore> = if with_store { Some(&mut *self.store) } else { None };
        Layers { store, changes: &self.journal.changes, lower: self.lower.as_mut() }
    }

    pub(crate) fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>> {
        self.scan_layers(start, end, max_entries, max_bytes).map(|page| page.entries)
    }

    /// As [`Backing::scan`], and tells which entries are the image's.
    pub(crate) fn scan_layers(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Page> {
        self.layers(self.asks_store()).scan(start, end, max_entries, max_bytes)
    }

    /// Scans the store alone, not the image. Tombstones are included.
    pub(crate) fn scan_above(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>> {
        let changes = &self.journal.changes;
        Ok(journal_view::scan(&mut *self.store, changes, start, end, max_entries, max_bytes)?)
    }

    /// For each mutation in `range`, the tombstone to write instead, if any; empty if nothing lies
    /// below.
    pub(crate) fn tombstones(&mut self, batch: &Batch, range: Range<usize>) -> Result<Vec<Tombstone>> {
        let Some(lower) = &mut self.lower else { return Ok(Vec::new()) };
        let hiding = |key: Option<&[u8]>| match key {
            Some(key) => Ok(lower.get(key)?.map(|_| tombstone(key))),
            None => Ok(None),
        };
        batch.deletions(range).map(hiding).collect()
    }

    /// Fails with [`Error::Fenced`] once another opener has taken the volume over.
    pub(crate) fn check_alive(&self) -> Result<()> {
        if self.state == State::Fenced { Err(Error::Fenced) } else { Ok(()) }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Applies a batch in order, in as many applies as it takes. Each carries `superblock` with the
    /// next seq; the last one carries `at_last`.
    pub(crate) fn apply_in_order(
        &mut self,
        batch: &Batch,
        cache: &Cache,
        superblock: &Superblock,
        at_last: &Superblock,
    ) -> Result<()> {
        let superblock_bytes = self.keys.superblock().len() + self.committed.encoded_bytes();
        let max_entries = (self.limits.max_batch_entries as usize).saturating_sub(1);
        let max_bytes = (self.limits.max_batch_bytes as usize).saturating_sub(superblock_bytes);
        let mut start = 0;
        loop {
            let end = batch.piece(start, max_entries, max_bytes);
            let mut superblock = if end == batch.len() { at_last } else { superblock }.clone();
            superblock.seq = self.committed.seq.saturating_add(1);
            self.apply_range(batch, start..end, cache, &mut superblock, Durability::Buffered)?;
            start = end;
            if start >= batch.len() {
                return Ok(());
            }
        }
    }

    /// Applies a batch at once. Its extents lie in `cache`.
    pub(crate) fn apply(
        &mut self,
        batch: &Batch,
        cache: &Cache,
        superblock: &mut Superblock,
        level: Durability,
    ) -> Result<()> {
        self.apply_range(batch, 0..batch.len(), cache, superblock, level)
    }

    /// Applies the superblock alone.
    pub(crate) fn apply_superblock(&mut self, mut superblock: Superblock, level: Durability) -> Result<()> {
        self.apply_mutations(None, Some(&mut superblock), None, level)
    }

    /// Applies the superblock, and the settings if they differ from the stored ones.
    pub(crate) fn apply_settings(
        &mut self,
        mut superblock: Superblock,
        mut settings: SettingsRecord,
        level: Durability,
    ) -> Result<()> {
        if settings.says_what(&self.settings) {
            return self.apply_superblock(superblock, level);
        }
        settings.follow(self.settings.generation());
        superblock.set_settings(settings.generation());
        self.apply_mutations(None, Some(&mut superblock), Some(settings), level)
    }

    /// Makes durable what was applied before.
    pub(crate) fn make_durable(&mut self) -> Result<()> {
        self.apply_mutations(None, None, None, Durability::Durable)
    }

    fn apply_range(
        &mut self,
        batch: &Batch,
        range: Range<usize>,
        cache: &Cache,
        superblock: &mut Superblock,
        level: Durability,
    ) -> Result<()> {
        let tombstones = self.tombstones(batch, range.clone())?;
        let piece = Piece { batch, range, cache, tombstones: &tombstones };
        self.apply_mutations(Some(piece), Some(superblock), None, level)
    }

    /// Applies mutations, guarded on the stored superblock, which `superblock` replaces, as
    /// `settings` replaces the stored ones.
    fn apply_mutations(
        &mut self,
        piece: Option<Piece<'_>>,
        mut superblock: Option<&mut Superblock>,
        settings: Option<SettingsRecord>,
        level: Durability,
    ) -> Result<()> {
        let key = self.keys.superblock();
        let mut value = std::mem::take(&mut self.spare_value);
        let stored_settings = settings.as_ref().map(|settings| settings.stored(&self.keys));
        let mut mutations = piece.map_or_else(Vec::new, Piece::mutations);
        if let Some(lower) = superblock.as_mut().and_then(|superblock| superblock.lower.as_mut()) {
            lower.written |= !mutations.is_empty();
        }
        value.clear();
        if let Some(superblock) = &superblock {
            superblock.encode_into(key, &mut value);
        }
        if let Some((key, value)) = &stored_settings {
            mutations.push(match value {
                Some(value) => Mutation::Put { key, value },
                None => Mutation::Delete { key },
            });
        }
        if superblock.is_some() {
            mutations.push(Mutation::Put { key, value: &value });
        }
        let guard = Guard { key, expected: Some(&self.committed_value) };
        let outcome = self.store.apply(&[guard], &mutations, level);
        drop(mutations);
        match outcome {
            Ok(()) => {
                if let Some(superblock) = superblock {
                    self.committed.clone_from(superblock);
                    self.spare_value = std::mem::replace(&mut self.committed_value, value);
                }
                if let Some(settings) = settings {
                    self.settings = settings;
                }
                Ok(())
            }
            Err(StoreError::UnknownOutcome) => {
                let value = if superblock.is_some() { value } else { self.committed_value.clone() };
                self.state = State::InDoubt(Doubt { value, settings, completes: None });
                Err(Error::Store(StoreError::UnknownOutcome))
            }
            Err(StoreError::Conflict) => {
                let found = self.store.get(&[key])?.into_iter().next().flatten();
                if found.as_deref() == Some(&self.committed_value) {
                    return Err(Error::Store(StoreError::Conflict));
                }
                self.state = State::Fenced;
                Err(Error::Fenced)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the completion of a commit whose last apply is in doubt.
    pub(crate) fn complete_if_applied(&mut self, completion: Completion) {
        if let State::InDoubt(doubt) = &mut self.state {
            doubt.completes = Some(completion);
        }
    }

    /// Asks the store for the superblock, which tells whether the doubtful apply took. Until then
    /// nothing in memory may change: what is dirty may be stored.
    pub(crate) fn resolve_doubt(&mut self) -> Result<Resolved> {
        let State::InDoubt(doubt) = &self.state else { return Ok(Resolved::NotApplied) };
        let key = self.keys.superblock();
        let found = self.store.get(&[key])?.into_iter().next().flatten();
        let (took, did_not) =
            (found.as_deref() == Some(&doubt.value), found.as_deref() == Some(&self.committed_value));
        if !took && !did_not {
            self.state = State::Fenced;
            return Err(Error::Fenced);
        }
        let State::InDoubt(doubt) = std::mem::replace(&mut self.state, State::Live) else {
            return Ok(Resolved::NotApplied);
        };
        if !took {
            return Ok(Resolved::NotApplied);
        }
        self.committed = Superblock::decode(key, &doubt.value)?;
        self.committed_value = doubt.value;
        if let Some(settings) = doubt.settings {
            self.settings = settings;
        }
        // It may not be durable.
        self.unsynced = true;
        Ok(Resolved::Applied(doubt.completes))
    }
}
