//! The store behind a volume: reads go through its layers, and every apply is guarded.
//!
//! From above, the layers are the changes of a committed journal, the store, and the image below.
//! Every apply is guarded on the superblock as this opener last wrote it, so nothing is stored
//! after another opener has raised the epoch.

pub(crate) mod batch;
pub(crate) mod chain;
mod cursor;
pub(crate) mod doubt;
pub(crate) mod journal_view;
pub(crate) mod known;
mod marks;
mod others;
pub(crate) mod overlay;

use self::batch::{Batch, Piece, Tombstone};
use self::chain::Chain;
use self::doubt::{Completion, Doubt, State};
use self::known::Known;
use self::overlay::{Found, Layers, Lower, Page, sealing_key};
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::image::Image;
use crate::stored::key::KeySpace;
use crate::stored::record::journal::Changes;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::Superblock;
use crate::stored::record::tombstone;
use crate::types::InodeNo;
use std::borrow::Cow;
use std::ops::Range;

/// How often a read is repeated because a tool gives the volume other layers meanwhile.
const MAX_READS: u32 = 64;

/// The store of a volume, with its layers.
pub(crate) struct Backing {
    pub(crate) store: Box<dyn KvStore>,
    pub(crate) limits: Limits,
    pub(crate) keys: KeySpace,
    /// The image that the volume lies on, or is.
    pub(crate) lower: Option<Lower>,
    /// Inodes from this number on are in the top layer alone, if anywhere.
    first_inode: u64,
    /// What the layers cannot have, as their writer knows.
    known: Option<Known>,
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
    /// A tool has put another top layer above the one that an apply was for. The apply was refused,
    /// and must be made anew.
    moved: bool,
    /// The superblock that told of the layers that are read, if a tool changed it after the last apply.
    read_by: Option<Vec<u8>>,
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
            first_inode: 0,
            known: None,
            moved: false,
            read_by: None,
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

    /// Returns whether the store may hold records of this volume beside the superblock. An image
    /// has no store, and a volume on an image that was never written to is all in the image.
    pub(crate) fn asks_store(&self) -> bool {
        match &self.committed.lower {
            Some(lower) => lower.written,
            None => self.lower.is_none(),
        }
    }

    pub(crate) fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Found>>> {
        self.get_in(self.asks_store(), keys)
    }

    /// As [`Backing::get`], for a directory's names: they are only in the image if the directory's own
    /// record is `below`.
    pub(crate) fn get_names(&mut self, below: bool, keys: &[&[u8]]) -> Result<Vec<Option<Found>>> {
        self.get_in(!below && self.asks_store(), keys)
    }

    fn get_in(&mut self, with_store: bool, keys: &[&[u8]]) -> Result<Vec<Option<Found>>> {
        if !with_store || !self.is_layered() {
            return self.layers(with_store).get(keys);
        }
        // The superblock comes last: if it is as it was, the others were there to be read.
        let superblock = self.keys.superblock().to_vec();
        let with_superblock: Vec<&[u8]> = keys.iter().copied().chain([superblock.as_slice()]).collect();
        for _ in 0..MAX_READS {
            let outcome = self.layers(true).get(&with_superblock);
            let found = match outcome {
                Ok(mut values) => match values.pop() {
                    Some(found) if values.len() == keys.len() => {
                        let value = found.map(|found| found.value);
                        if self.sees(value.as_deref())? {
                            return Ok(values);
                        }
                        continue;
                    }
                    _ => return Err(Error::damaged("store answer", 0, "not one value for each key")),
                },
                Err(error) => error,
            };
            if self.sees_now()? {
                return Err(found);
            }
        }
        Err(moving())
    }

    /// Returns whether records are in layers that a tool may free once the volume stands on others.
    fn is_layered(&self) -> bool {
        self.keys.layers_below() > 0 || !self.keys.is_under_its_name()
    }

    /// Returns the key under which a record was sealed that was found under `key`.
    pub(crate) fn sealing_key<'k>(&self, found: &Found, key: &'k [u8]) -> Cow<'k, [u8]> {
        sealing_key(&self.keys, self.lower.as_ref(), found, key)
    }

    fn layers(&mut self, with_store: bool) -> Layers<'_> {
        let store: Option<&mut dyn KvStore> = if with_store { Some(&mut *self.store) } else { None };
        let max_keys = self.limits.max_batch_entries as usize;
        let (changes, lower) = (&self.journal.changes, self.lower.as_mut());
        Layers {
            store,
            keys: &self.keys,
            changes,
            lower,
            max_keys,
            first_layer: 0,
            known: self.known.as_ref(),
        }
    }

    pub(crate) fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>> {
        self.scan_extents(start, end, max_entries, max_bytes).map(|page| page.entries)
    }

    /// Scans a directory's names, which are only in the image if the directory's own record is `below`.
    /// Tells which entries are the image's.
    pub(crate) fn scan_names(
        &mut self,
        below: bool,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Page> {
        self.scan_layers(!below && self.asks_store(), start, end, max_entries, max_bytes)
    }

    /// As [`Backing::scan`], and tells which entries are the image's.
    pub(crate) fn scan_extents(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Page> {
        self.scan_layers(self.asks_store(), start, end, max_entries, max_bytes)
    }

    fn scan_layers(
        &mut self,
        with_store: bool,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Page> {
        if !with_store || !self.is_layered() {
            return self.layers(with_store).scan(start, end, max_entries, max_bytes);
        }
        for _ in 0..MAX_READS {
            let outcome = self.layers(true).scan(start, end, max_entries, max_bytes);
            if self.sees_now()? {
                return outcome;
            }
        }
        Err(moving())
    }

    /// Scans the top layer alone. Tombstones are included.
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

    /// For each mutation in `range`, the tombstone to write instead, if any; empty if nothing is deleted or
    /// nothing lies below.
    ///
    /// # Cost
    /// Nothing above an image alone. Above other layers, one `get` if something is deleted that they
    /// may have, and that this opener did not put there; none for names and inodes that it did not put into the
    /// top layer, if it alone wrote that one.
    pub(crate) fn tombstones(&mut self, batch: &Batch, range: Range<usize>) -> Result<Vec<Tombstone>> {
        let layers = self.keys.layers_below();
        if self.lower.is_none() && layers == 0 {
            return Ok(Vec::new());
        }
        let count = range.len();
        let mut tombstones: Vec<Tombstone> = Vec::new();
        let mut asked: Vec<(usize, Vec<u8>)> = Vec::new();
        for (at, key) in batch.deletions(range) {
            tombstones.resize(count, None);
            let in_image = match &mut self.lower {
                Some(lower) => lower.get(&self.keys, key)?.is_some(),
                None => false,
            };
            let may_be_below = layers > 0 && self.may_be_below(key);
            let mut was_put_below = || {
                let known = self.known.as_mut().zip(KeySpace::inner_of_any(key));
                known.is_some_and(|(known, inner)| known.is_below(inner))
            };
            if in_image || may_be_below && was_put_below() {
                if let Some(place) = tombstones.get_mut(at) {
                    *place = Some(tombstone(key));
                }
            } else if may_be_below {
                asked.push((at, key.to_vec()));
            }
        }
        if !asked.is_empty() {
            let keys: Vec<&[u8]> = asked.iter().map(|(_, key)| key.as_slice()).collect();
            let found = self.below().get(&keys)?;
            for ((at, key), found) in asked.iter().zip(found) {
                if let Some(place) = tombstones.get_mut(*at) {
                    *place = found.map(|_| tombstone(key));
                }
            }
        }
        Ok(tombstones)
    }

    /// Returns whether a layer below the top one may have a record of this inode.
    pub(crate) fn may_have_below(&self, ino: InodeNo) -> bool {
        self.keys.layers_below() > 0 && ino.0 < self.first_inode
    }

    /// The number of the top layer, 0 for the one under the volume's name.
    pub(crate) fn top_number(&self) -> u64 {
        self.committed.layers.map_or(0, |layers| layers.top)
    }

    /// Returns whether a layer below the top one may have a record under this key.
    fn may_be_below(&self, key: &[u8]) -> bool {
        let ino = self.keys.split(key).and_then(|(_, rest)| rest.first_chunk::<8>());
        ino.is_some_and(|ino| u64::from_be_bytes(*ino) < self.first_inode)
    }

    /// The layers below the top one.
    fn below(&mut self) -> Layers<'_> {
        Layers { first_layer: 1, ..self.layers(true) }
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
        if let Some(known) = self.known.as_mut().filter(|known| known.notes()) {
            // Before they are applied: afterwards it may not be known whether they are.
            let keys = mutations.iter().map(Mutation::key);
            keys.filter_map(KeySpace::inner_of_any).for_each(|inner| known.note(inner));
        }
        if let Some(superblock) = superblock.as_mut()
            && !mutations.is_empty()
        {
            superblock.set_top_written();
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
                    self.committed.copy_from(superblock);
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
            Err(StoreError::Conflict) => self.find_who_came(),
            Err(error) => Err(error.into()),
        }
    }

    /// The image below, if there is one.
    pub(crate) fn image(&self) -> Option<Image> {
        self.lower.as_ref().map(Lower::image)
    }

    /// Whether this is an image alone, without a store.
    pub(crate) fn is_image(&self) -> bool {
        self.lower.is_some() && self.committed.lower.is_none()
    }

    /// Reads and writes in these layers from now on.
    pub(crate) fn set_chain(&mut self, chain: &Chain) {
        chain.set_in(&mut self.keys);
        self.first_inode = chain.first_inode;
    }

    /// Keeps the completion of a commit whose last apply is in doubt.
    pub(crate) fn complete_if_applied(&mut self, completion: Completion) {
        if let State::InDoubt(doubt) = &mut self.state {
            doubt.completes = Some(completion);
        }
    }
}

/// The error of a read that tools keep away.
fn moving() -> Error {
    Error::Store(StoreError::Unavailable("the volume is being moved between layers all the time".to_owned()))
}
