//! The four functions over a database.

use crate::error::meaning;
use crate::requests::{Counts, Requests};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use kvfs_contract::{
    Answer, AsyncKvStore, Durability, Entry, Guard, Limits, MAX_ANSWER_BYTES, MAX_SCAN_BYTES, Mutation,
    ScanBudget, StoreError, key_range,
};
use slatedb::config::ScanOptions;
use slatedb::{CloseReason, Db, DbIterator, DbReader, WriteBatch};
use std::future::Future;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::RwLock;

/// First byte of each key in the database, which takes no empty key.
const FIRST: u8 = b'd';

/// Keys of one `get` that are asked for at the same time.
const MAX_GETS_AT_ONCE: usize = 32;

/// Least keys, each the number after the one before, for which a scan costs fewer requests.
const MIN_NEIGHBOURS: usize = 8;

/// Ranges of a table that one scan asks for at the same time.
const MAX_FETCHES: usize = 4;

/// Most bytes that a scan asks for in one request.
const MAX_READ_AHEAD_BYTES: u32 = 1 << 20;

/// Shorter values are copied: they are parts of a block, which they would keep in memory.
const MIN_SHARED_BYTES: usize = 16 << 10;

/// What a system or a server says when it has no room left.
const FULL: [&str; 3] = ["No space left on device", "Disk quota exceeded", "507 Insufficient Storage"];

/// A database, open for writing or for reading only.
pub(crate) enum Database {
    Writer(Db),
    Reader(Box<DbReader>),
}

/// A store in an object store.
///
/// A buffered apply is in memory when it returns, and in the object store at most about five
/// seconds later, with the next durable apply, or with [`close`](AsyncKvStore::close). Dropping the store
/// loses what waits.
pub struct SlateStore {
    database: Database,
    limits: Limits,
    patience: Duration,
    requests: Arc<Requests>,
    /// When something was last put, and after how long without it a put alone proves nothing.
    last_put: Mutex<SystemTime>,
    idle: Duration,
    /// True once a newer opener is known to have the database. SlateDB itself learns of it in steps.
    overtaken: AtomicBool,
    /// Held for writing from the check of guards until the database has the mutations.
    gate: Arc<RwLock<()>>,
}

impl SlateStore {
    pub(crate) fn new(
        database: Database,
        durable: bool,
        (patience, idle): (Duration, Duration),
        requests: Arc<Requests>,
    ) -> Self {
        Self {
            database,
            limits: Limits::standard(durable),
            patience,
            requests,
            last_put: Mutex::new(SystemTime::now()),
            idle,
            overtaken: AtomicBool::new(false),
            gate: Arc::default(),
        }
    }

    /// Returns the requests made to the object store so far.
    pub fn counts(&self) -> Counts {
        self.requests.counts()
    }

    /// Returns what an error of SlateDB means.
    fn failed(&self, error: &slatedb::Error) -> StoreError {
        let meaning = meaning(error);
        if meaning == StoreError::AccessDenied {
            self.overtaken.store(true, Ordering::Release);
        }
        meaning
    }

    fn check_overtaken(&self) -> Result<(), StoreError> {
        if self.overtaken.load(Ordering::Acquire) { Err(StoreError::AccessDenied) } else { Ok(()) }
    }

    /// Waits for the object store as long as a call may.
    async fn within<T>(&self, call: impl Future<Output = T>) -> Result<T, StoreError> {
        tokio::time::timeout(self.patience, call).await.map_err(|_| self.no_answer())
    }

    fn no_answer(&self) -> StoreError {
        let why = self.requests.failure().unwrap_or_else(|| "the object store does not answer".to_owned());
        if FULL.iter().any(|told| why.contains(told)) {
            return StoreError::QuotaExceeded;
        }
        StoreError::Unavailable(format!("{why} (for {} s)", self.patience.as_secs_f32()))
    }

    /// Returns the value of a key of the database.
    async fn value(&self, key: Vec<u8>) -> Result<Option<Bytes>, StoreError> {
        let value = match &self.database {
            Database::Writer(writer) => self.within(writer.get(&key)).await?,
            Database::Reader(reader) => self.within(reader.get(&key)).await?,
        };
        value.map(|value| value.map(unblocked)).map_err(|error| self.failed(&error))
    }

    async fn values(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let mut answer = Answer::new(keys.len());
        let asked: Vec<_> = parts(keys).map(|part| self.part(part)).collect();
        let mut parts = futures_util::stream::iter(asked).buffered(MAX_GETS_AT_ONCE);
        while let Some(values) = parts.try_next().await? {
            for value in values {
                answer.push(value)?;
            }
        }
        Ok(answer.finish())
    }

    /// Returns the values of a key, or of neighbours.
    async fn part(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let (first, last) = match keys {
            [] => return Ok(Vec::new()),
            [key] => return Ok(vec![self.value(kept(key)).await?]),
            [first, .., last] => (kept(first), kept(last)),
        };
        // The first key behind the last neighbour.
        let end = [&last[..], &[0]].concat();
        let mut found = self.iterate(first..end, MAX_READ_AHEAD_BYTES).await?;
        // The same bound as an answer has, before it is gathered.
        let mut left_bytes = MAX_ANSWER_BYTES;
        let mut values = vec![None; keys.len()];
        let mut wanted = keys.iter().zip(&mut values).peekable();
        while let Some(entry) = self.within(found.next()).await?.map_err(|error| self.failed(&error))? {
            let key = entry.key.get(1..).unwrap_or_default();
            while wanted.next_if(|(wanted, _)| **wanted < key).is_some() {}
            let Some((_, value)) = wanted.next_if(|(wanted, _)| **wanted == key) else { continue };
            left_bytes = left_bytes.checked_sub(entry.value.len()).ok_or(StoreError::TooLarge)?;
            *value = Some(unblocked(entry.value));
        }
        Ok(values)
    }

    async fn iterate(&self, keys: Range<Vec<u8>>, max_bytes: u32) -> Result<DbIterator, StoreError> {
        let options = ScanOptions {
            read_ahead_bytes: max_bytes.clamp(1, MAX_READ_AHEAD_BYTES) as usize,
            cache_blocks: true,
            max_fetch_tasks: MAX_FETCHES,
            ..ScanOptions::default()
        };
        let iterator = match &self.database {
            Database::Writer(writer) => self.within(writer.scan_with_options(keys, &options)).await?,
            Database::Reader(reader) => self.within(reader.scan_with_options(keys, &options)).await?,
        };
        iterator.map_err(|error| self.failed(&error))
    }

    /// Puts everything that waits into the object store.
    ///
    /// A newer opener keeps this one out by an object at the place of its next put, and garbage
    /// collection removes that a week later. Whoever put nothing for long looks whether it still has
    /// the database.
    async fn flush(&self, writer: &Db) -> Result<(), StoreError> {
        self.within(writer.flush()).await?.map_err(|error| self.failed(&error))?;
        let now = SystemTime::now();
        let last = *self.last_put.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(last).is_ok_and(|since| since < self.idle) {
            *self.last_put.lock().unwrap_or_else(PoisonError::into_inner) = now;
            return Ok(());
        }
        self.within(writer.refresh_manifest()).await?.map_err(|error| self.failed(&error))?;
        if writer.status().close_reason == Some(CloseReason::Fenced) {
            self.overtaken.store(true, Ordering::Release);
        }
        self.check_overtaken()?;
        *self.last_put.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(())
    }

    /// Hands mutations to the database, if the guards hold.
    async fn write(
        &self,
        writer: &Db,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
    ) -> Result<(), StoreError> {
        let gate = self.within(self.gate.clone().write_owned()).await?;
        let keys: Vec<&[u8]> = guards.iter().map(|guard| guard.key).collect();
        let values = self.values(&keys).await?;
        let holds = |(guard, value): (&Guard<&[u8]>, &Option<Bytes>)| guard.holds(value.as_deref());
        if !guards.iter().zip(&values).all(holds) {
            return Err(StoreError::Conflict);
        }
        if mutations.is_empty() {
            return Ok(());
        }
        let mut batch = WriteBatch::new();
        for mutation in mutations {
            match mutation {
                Mutation::Put { key, value } => batch.put(kept(key), value),
                Mutation::Delete { key } => batch.delete(kept(key)),
            }
        }
        // A task of its own, so that nobody reads while it is open whether the database takes them.
        let writer = writer.clone();
        let writing = tokio::spawn(async move {
            let written = writer.write(batch).await;
            drop(gate);
            written
        });
        match tokio::time::timeout(self.patience, writing).await {
            Ok(Ok(written)) => written.map(drop).map_err(|error| self.failed(&error)),
            Ok(Err(ended)) => Err(StoreError::Fault(format!("the task that writes ended: {ended}"))),
            Err(_) => Err(StoreError::UnknownOutcome),
        }
    }
}

impl AsyncKvStore for SlateStore {
    type Bytes = Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(self.limits)
    }

    async fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.limits.check_get(keys)?;
        self.check_overtaken()?;
        let _gate = self.within(self.gate.read()).await?;
        self.values(keys).await
    }

    async fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Bytes>>, StoreError> {
        if key_range(start, end).is_none() || max_entries == 0 {
            return Ok(Vec::new());
        }
        self.check_overtaken()?;
        let max_bytes = max_bytes.min(MAX_SCAN_BYTES);
        let last = if end.is_empty() { vec![FIRST + 1] } else { kept(end) };
        let _gate = self.within(self.gate.read()).await?;
        let mut entries = self.iterate(kept(start)..last, max_bytes).await?;
        let mut budget = ScanBudget::new(max_entries, max_bytes);
        let mut page = Vec::new();
        while let Some(found) = self.within(entries.next()).await?.map_err(|error| self.failed(&error))? {
            if found.key.first() != Some(&FIRST) {
                return Err(StoreError::Corrupt(
                    "a key without its first byte; restore the bucket".to_owned(),
                ));
            }
            let key = unblocked(found.key.slice(1..));
            if !budget.take(key.len() + found.value.len()) {
                break;
            }
            page.push(Entry { key, value: unblocked(found.value) });
        }
        Ok(page)
    }

    async fn apply(
        &self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.limits.check_apply(guards, mutations)?;
        let Database::Writer(writer) = &self.database else { return Err(StoreError::ReadOnly) };
        self.check_overtaken()?;
        if !guards.is_empty() || !mutations.is_empty() {
            self.write(writer, guards, mutations).await?;
        }
        if level == Durability::Buffered {
            return Ok(());
        }
        match self.flush(writer).await {
            Ok(()) => Ok(()),
            // They are in memory, and reach the object store if it comes back; or a newer writer's
            // log took their place.
            Err(_) if !mutations.is_empty() => Err(StoreError::UnknownOutcome),
            Err(error) => Err(error),
        }
    }

    /// Puts everything that waits into the object store, as a table that the next opening need not
    /// read, and ends the database's own tasks. Later calls fail with `unavailable`.
    async fn close(&self) -> Result<(), StoreError> {
        let writer = match &self.database {
            Database::Writer(writer) => writer,
            Database::Reader(reader) => {
                // It has nothing to lose.
                let _ = self.within(reader.close()).await;
                return Ok(());
            }
        };
        if writer.status().close_reason != Some(CloseReason::Clean) {
            self.flush(writer).await?;
            // From here on everything is durable, and the table is only to save the next opening
            // time.
            let _ = self.within(writer.close()).await;
        }
        Ok(())
    }
}

/// Splits keys into those to be asked for alone, and runs of neighbours, which one scan brings with a
/// request for each MiB: the extents of a file that is read in order.
fn parts<'k, 'a>(mut keys: &'k [&'a [u8]]) -> impl Iterator<Item = &'k [&'a [u8]]> {
    std::iter::from_fn(move || {
        let neighbours = keys.windows(2).take_while(|pair| are_neighbours(pair[0], pair[1])).count();
        let run = if neighbours + 1 < MIN_NEIGHBOURS { 1 } else { neighbours + 1 };
        let (part, rest) = keys.split_at_checked(run)?;
        keys = rest;
        Some(part)
    })
}

/// Returns whether a key is the number after another one, read as numbers of many bytes.
fn are_neighbours(key: &[u8], next: &[u8]) -> bool {
    let Some(counted) = key.iter().rposition(|byte| *byte != u8::MAX) else { return false };
    key.len() == next.len()
        && key[..counted] == next[..counted]
        && next[counted] == key[counted] + 1
        && next[counted + 1..].iter().all(|byte| *byte == 0)
}

/// Returns a key as the database has it.
fn kept(key: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(1 + key.len());
    kept.push(FIRST);
    kept.extend_from_slice(key);
    kept
}

/// Returns bytes without the block that they are part of, unless they are most of it.
fn unblocked(bytes: Bytes) -> Bytes {
    if bytes.len() < MIN_SHARED_BYTES { Bytes::copy_from_slice(&bytes) } else { bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(keys: &[&[u8]]) -> Vec<usize> {
        parts(keys).map(<[_]>::len).collect()
    }

    #[test]
    fn neighbours_differ_by_one_in_any_byte() {
        assert!(are_neighbours(b"a1", b"a2") && are_neighbours(b"a\xff\xff", b"b\0\0"));
        let others: [(&[u8], &[u8]); 7] = [
            (b"", b""),
            (b"a1", b"a1"),
            (b"a1", b"a3"),
            (b"a2", b"a1"),
            (b"a1", b"b2"),
            (b"\xff", b"\0"),
            (b"a1", b"a20"),
        ];
        assert!(others.iter().all(|(key, next)| !are_neighbours(key, next)));
        assert!(!are_neighbours(b"a\xff", b"b\x01"));
    }

    #[test]
    fn only_runs_of_many_neighbours_are_scanned() {
        let keys: Vec<[u8; 2]> = (250..270u16).map(u16::to_be_bytes).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
        assert_eq!(lengths(&[]), Vec::<usize>::new());
        assert_eq!(lengths(&keys[..7]), [1; 7]);
        assert_eq!(lengths(&keys[..8]), [8]);
        let two_runs = [&keys[..10], &[&b"superblock"[..]], &keys[..9], &keys[..2]].concat();
        assert_eq!(lengths(&two_runs), [10, 1, 9, 1, 1]);
    }
}
