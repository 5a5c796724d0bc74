//! A damaged store on disk, opened for reading what is left of it.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kvfs_contract::{Answer, ScanBudget, key_range};
use redb::StorageError;

use super::file::{self, AnyDatabase, Reading, Table};
use super::holes::{Holes, readable_behind};
use super::quiet::calling;
use super::state::LIMITS;
use super::unverified;
use crate::marked::{Beside, MARK_KEY, Mark, Marked, Rollback};
use crate::{Durability, Entry, Guard, Limits, Mutation, OpenError, StoreError, SyncStore};

/// The file of a [`RedbStore`](crate::RedbStore) that may be damaged, opened for reading only. A
/// clone is another handle.
///
/// Reading goes on around parts of the file that redb cannot read: a key there is absent, and a
/// scan goes on behind them. [`RedbSalvage::damage`] says how much was met. A value may have wrong
/// bytes, since redb checks none while it reads; the file system checks them all.
///
/// Of the states that a file has, the one that redb opens is taken if it is what the store's mark
/// says. Otherwise the newest that can be read at all, without redb's checks.
///
/// Not a byte of the file changes, and no writer opens it meanwhile.
#[derive(Clone)]
pub struct RedbSalvage {
    shared: Arc<Shared>,
}

struct Shared {
    table: Table,
    recovered: bool,
    is_unverified: bool,
    holes: Mutex<Holes>,
    /// Keeps the file open and locked.
    _database: AnyDatabase,
}

/// Damage that was met while a store was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// redb itself opens this state of the store no more, or falls back to an older one.
    pub is_unverified: bool,
    /// Ranges of keys that cannot be read: from the first that may be lost to the first behind
    /// them that was read, or `None` at the end of the store.
    pub ranges: Vec<(Bytes, Option<Bytes>)>,
}

impl Damage {
    /// Returns whether none was met.
    pub fn is_none(&self) -> bool {
        !self.is_unverified && self.ranges.is_empty()
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ranges.len(), self.is_unverified) {
            (0, false) => f.write_str("all of it can be read"),
            (0, true) => f.write_str("a part that no entry needs is damaged, and all entries can be read"),
            (1, _) => f.write_str("the entries of one range of keys cannot be read"),
            (count, _) => write!(f, "the entries of {count} ranges of keys cannot be read"),
        }
    }
}

impl RedbSalvage {
    /// Opens a store, and checks what can be read of it against its mark.
    pub(crate) fn open_marked(beside: Beside) -> Result<Marked<Self>, OpenError> {
        match Self::open(&beside) {
            Ok(salvage) => Marked::with(salvage, beside, false),
            Err(error @ OpenError::NoStore { .. }) => beside.check_missing().and(Err(error)),
            Err(error) => Err(error),
        }
    }

    fn open(beside: &Beside) -> Result<Self, OpenError> {
        let path: &Path = &beside.store;
        let mark = beside.read()?;
        let behind = |table: &Table| match own_mark(table) {
            Ok(own) => Rollback::find(own, mark).is_some(),
            // The mark is behind damage, and the store it is in may be the newest all the same.
            Err(_) => mark.is_some(),
        };
        let usual = match file::open_reading(path) {
            Ok(usual) if !behind(&usual.table) => return Ok(Self::new(usual, false)),
            Ok(usual) => Ok(usual),
            Err(
                error @ (OpenError::Damaged { .. }
                | OpenError::NotAStore { .. }
                | OpenError::OtherRedb { .. }),
            ) => Err(error),
            Err(error) => return Err(error),
        };
        let mut best: Option<(u64, Reading)> = None;
        for (database, table) in unverified::states(path)? {
            let applies = own_mark(&table).ok().flatten().map_or(0, |own: Mark| own.applies);
            // The newest comes first, and wins if nothing tells them apart.
            if first_key(&table).is_ok() && best.as_ref().is_none_or(|(most, _)| applies > *most) {
                best = Some((applies, Reading { database: AnyDatabase::AsIs(database), table }));
            }
        }
        match (usual, best) {
            (Ok(usual), Some((applies, reading))) => {
                let usual_applies = own_mark(&usual.table).ok().flatten().map_or(0, |own| own.applies);
                let is_better = applies > usual_applies;
                Ok(Self::new(if is_better { reading } else { usual }, is_better))
            }
            (Ok(usual), None) => Ok(Self::new(usual, false)),
            (Err(_), Some((_, reading))) => Ok(Self::new(reading, true)),
            (Err(error), None) => Err(error),
        }
    }

    fn new(reading: Reading, is_unverified: bool) -> Self {
        let Reading { database, table } = reading;
        let recovered = matches!(database, AnyDatabase::Recovered(_)) || is_unverified;
        let shared = Shared { table, recovered, is_unverified, holes: Mutex::default(), _database: database };
        Self { shared: Arc::new(shared) }
    }

    /// Returns whether the file was not closed in order, or redb does not open it any more.
    pub fn recovered(&self) -> bool {
        self.shared.recovered
    }

    /// Returns the damage that was met so far.
    pub fn damage(&self) -> Damage {
        let holes = self.holes();
        let ranges = holes.iter().map(|(start, end)| (start.clone(), end.cloned())).collect();
        Damage { is_unverified: self.shared.is_unverified, ranges }
    }

    fn holes(&self) -> MutexGuard<'_, Holes> {
        // A hole is added whole or not at all.
        self.shared.holes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads entries from `start` on until the budget is used up, `end`, or damage. Returns the
    /// place of the damage.
    fn read(
        &self,
        start: &[u8],
        end: &[u8],
        budget: &mut ScanBudget,
        page: &mut Vec<Entry>,
    ) -> Option<Bytes> {
        let before = page.len();
        let read = calling(|| {
            let Some(range) = key_range(start, end) else { return Ok(()) };
            for entry in self.shared.table.range::<&[u8]>(range)? {
                let (key, value) = entry?;
                let (key, value) = (key.value(), value.value());
                let last = page.last().map_or(&b""[..], |last: &Entry| &last.key);
                let is_next = if page.len() == before { key >= start } else { key > last };
                // A pointer to another page of the table.
                if !is_next || (!end.is_empty() && key >= end) {
                    return Err(StorageError::Corrupted("keys out of order".into()));
                }
                if !budget.take(key.len() + value.len()) {
                    return Ok(());
                }
                page.push(Entry { key: Bytes::copy_from_slice(key), value: Bytes::copy_from_slice(value) });
            }
            Ok(())
        });
        match read {
            Ok(()) => None,
            Err(_) if page.len() == before => Some(Bytes::copy_from_slice(start)),
            Err(_) => page.last().map(|last| [&last.key, &b"\0"[..]].concat().into()),
        }
    }

    /// Returns where reading goes on behind damage at `start`.
    fn behind(&self, start: &Bytes) -> Option<Bytes> {
        if let Some(end) = self.holes().end_of(start) {
            return end;
        }
        let probe = |asked: &[u8]| {
            let next = calling(|| {
                let Some(range) = key_range(asked, b"") else { return Ok(None) };
                let next = self.shared.table.range::<&[u8]>(range)?.next().transpose()?;
                match next {
                    Some((key, _)) if key.value() < asked => {
                        Err(StorageError::Corrupted("keys out of order".into()))
                    }
                    next => Ok(next.map(|(key, _)| Bytes::copy_from_slice(key.value()))),
                }
            });
            next.map_err(|_| ())
        };
        let end = readable_behind(start, probe).filter(|end| end > start);
        self.holes().add(start.clone(), end.clone());
        end
    }
}

fn own_mark(table: &Table) -> Result<Option<Mark>, StorageError> {
    calling(|| {
        let found = table.get(MARK_KEY)?;
        Ok(found.as_ref().and_then(|found| Mark::decode(found.value())))
    })
}

/// Fails if not even the way to the first entry can be read.
fn first_key(table: &Table) -> Result<(), StorageError> {
    calling(|| table.range::<&[u8]>(..)?.next().transpose().map(drop)).or_else(|first| {
        // The damage may be there, and the rest readable.
        calling(|| table.range::<&[u8]>(..)?.next_back().transpose().map(drop)).map_err(|_| first)
    })
}

impl fmt::Debug for RedbSalvage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbSalvage").finish_non_exhaustive()
    }
}

impl SyncStore for RedbSalvage {
    fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        LIMITS.check_get(keys)?;
        let mut answer = Answer::new(keys.len());
        for key in keys {
            let value = calling(|| {
                let found = self.shared.table.get(*key)?;
                Ok(found.map(|value| Bytes::copy_from_slice(value.value())))
            });
            let value = value.unwrap_or_else(|_| {
                self.behind(&Bytes::copy_from_slice(key));
                None
            });
            answer.push(value).map_err(|_| StoreError::TooLarge)?;
        }
        Ok(answer.finish())
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut budget = ScanBudget::new(max_entries, max_bytes);
        let mut page = Vec::new();
        let mut at = Bytes::copy_from_slice(start);
        loop {
            let known = self.holes().end_of(&at);
            let next = match known {
                Some(end) => end,
                None => {
                    let hole = self.holes().next_start(&at).filter(|hole| end.is_empty() || &hole[..] < end);
                    let until = hole.as_deref().unwrap_or(end);
                    match (self.read(&at, until, &mut budget, &mut page), hole) {
                        (Some(damage), _) => self.behind(&damage),
                        (None, Some(hole)) if page.is_empty() => Some(hole),
                        (None, _) => return Ok(page),
                    }
                }
            };
            match next {
                Some(next) if page.is_empty() && (end.is_empty() || &next[..] < end) => at = next,
                _ => return Ok(page),
            }
        }
    }

    fn apply(&self, _: &[Guard<'_>], _: &[Mutation<'_>], _: Durability) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}
