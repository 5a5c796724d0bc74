//! Lines as records of the store, beside the volumes.

use super::run::{MAX_RACES, begin_other_run, begin_run};
use crate::store::ImportedStore;
use kvfs::{Durability, Guard, KvStore, Mutation, StoreError};
use kvfs_audit::record::{self, Record};
use kvfs_audit::{BUFFER_BYTES, KEY_BYTES, Key, Log, first_key};

/// The records of this run.
pub(super) struct Records {
    /// The key of the next record; `None` before the first.
    next: Option<Key>,
    /// The value of that record, if it is made. It stays the same until the store has taken it, so
    /// that it can be sent again after an unknown outcome.
    value: Vec<u8>,
    /// Whether the record before ended in the middle of a line.
    continues: bool,
    /// The longest value that the store takes.
    max_value_bytes: Option<usize>,
    /// Whether records were put that no durable call has followed.
    is_unsynced: bool,
}

impl Records {
    /// Takes all memory now: later there may be none.
    pub(super) fn new() -> Self {
        Self {
            next: None,
            value: Vec::with_capacity(BUFFER_BYTES + record::HEADER_BYTES),
            continues: false,
            max_value_bytes: None,
            is_unsynced: false,
        }
    }

    /// Stores all lines that wait. The last call is made at this level, and there is one at
    /// [`Durability::Durable`] if anything before is not durable.
    pub(super) fn put(&mut self, log: &mut Log, level: Durability) -> Result<(), StoreError> {
        while !self.value.is_empty() || !log.is_empty() {
            if self.value.is_empty() {
                self.make_record(log)?;
            }
            let level = if log.is_empty() { level } else { Durability::Buffered };
            self.send(level)?;
            self.value.clear();
            self.is_unsynced = level == Durability::Buffered;
        }
        if self.is_unsynced && level == Durability::Durable {
            ImportedStore.apply(&[], &[], level)?;
            self.is_unsynced = false;
        }
        Ok(())
    }

    /// Notes that a durable call of a volume has followed.
    pub(super) fn synced(&mut self) {
        self.is_unsynced = false;
    }

    /// Bytes that wait here.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.value.len().saturating_sub(record::HEADER_BYTES)
    }

    /// Takes lines from the log into the next record.
    fn make_record(&mut self, log: &mut Log) -> Result<(), StoreError> {
        let max_value_bytes = match self.max_value_bytes {
            Some(known) => known,
            None => {
                let limits = ImportedStore.limits()?;
                let in_batch = limits.max_batch_bytes.saturating_sub(KEY_BYTES as u32);
                *self.max_value_bytes.insert(limits.max_value_bytes.min(in_batch) as usize)
            }
        };
        let key = *self.next.get_or_insert_with(|| Key { run: begin_run(), seq: 0 });
        let lines = log.lines();
        let bytes = record::next_bytes(lines, max_value_bytes);
        let lines = lines.get(..bytes).unwrap_or_default();
        let ends = lines.ends_with(b"\n");
        Record { continues: self.continues, lines }.write(key, &mut self.value);
        log.forget(bytes);
        self.continues = !ends;
        Ok(())
    }

    /// Puts the record that is made. The first one must be the first of its run, so that two
    /// instances never share one.
    fn send(&mut self, level: Durability) -> Result<(), StoreError> {
        let Some(mut key) = self.next else { return Ok(()) };
        for _ in 0..MAX_RACES {
            let bytes = key.to_bytes();
            let guard = [Guard { key: &bytes[..], expected: None }];
            let guards = if key.seq == 0 { &guard[..] } else { &[] };
            match ImportedStore.apply(guards, &[Mutation::Put { key: &bytes, value: &self.value }], level) {
                Err(StoreError::Conflict) if !self.is_stored(&bytes)? => {
                    let is_taken = |run| {
                        let found = ImportedStore.get(&[&first_key(run)])?;
                        Ok(found.iter().any(Option::is_some))
                    };
                    let run = begin_other_run(is_taken)?;
                    // Its checksum covers the key, so it is written again for the next one.
                    let old = std::mem::take(&mut self.value);
                    let lines = Record::read(key, &old).map_or(&[][..], |record| record.lines);
                    key = Key { run, seq: 0 };
                    Record { continues: false, lines }.write(key, &mut self.value);
                    self.next = Some(key);
                }
                Err(StoreError::Conflict) | Ok(()) => {
                    self.next = Some(Key { seq: key.seq.saturating_add(1), ..key });
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Returns whether the store has this very record: an earlier attempt has put it.
    fn is_stored(&self, key: &[u8]) -> Result<bool, StoreError> {
        let found = ImportedStore.get(&[key])?;
        Ok(matches!(found.as_slice(), [Some(value)] if *value == self.value))
    }
}
