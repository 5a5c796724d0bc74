//! The store as the claims see it. Every call is watched, so that a failed claim is put down to the
//! right cause.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::claim::{Checked, Failure};
use super::report::Verdict;
use crate::{Bytes, Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};

/// Bytes that a store must be able to hold before it may say that it is full. No file system fits
/// into less.
const SMALLEST_STORE_BYTES: u64 = 16 << 10;

/// Most bytes that an entry may cost a store beside its own bytes.
const ENTRY_OVERHEAD_BYTES: u64 = 256;

/// Most characters of a reason: a claim that prints what it found may have found megabytes.
const WHY_CHARS_MAX: usize = 400;

/// A store that is watched.
pub(super) struct Watched<'a> {
    pub(super) store: Box<dyn SyncStore + 'a>,
    pub(super) limits: Limits,
    pub(super) seen: Arc<Seen>,
}

/// Observations since a claim began.
#[derive(Default)]
pub(super) struct Seen(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    /// The claim is about calls over the limits.
    over_allowed: bool,
    /// A call of the suite that the stated limits do not allow.
    over: Option<String>,
    /// The first fault: everything after it in the claim may follow from it.
    fault: Option<String>,
    /// The store has taken at most so much since the claim began on an empty one.
    held_at_most_bytes: u64,
    /// An `apply` that needs no room was refused for lack of room.
    false_quota: Option<String>,
}

impl Seen {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the last claim. The store is empty.
    pub(super) fn begin(&self, over_allowed: bool) {
        *self.notes() = Notes { over_allowed, ..Notes::default() };
    }

    /// Returns whether a call failed by a fault, after which an instance is useless.
    pub(super) fn faulted(&self) -> bool {
        self.notes().fault.is_some()
    }

    /// Returns the verdict for a claim's result.
    pub(super) fn judge(&self, result: Checked) -> Verdict {
        let notes = self.notes();
        let Err(failure) = result else { return Verdict::Holds };
        let fails = |why: String| Verdict::Fails(shortened(&why));
        let not_checked = |why: &str| Verdict::NotChecked(shortened(why));
        if let Some(fault) = &notes.fault {
            return fails(fault.clone());
        }
        match (failure, &notes.over, &notes.false_quota) {
            (_, Some(over), _) => not_checked(over),
            (Failure::Broken(why), ..) => fails(why),
            (Failure::Beyond(why), ..) => not_checked(&why),
            (Failure::Call(StoreError::QuotaExceeded), _, None) => {
                not_checked("the store is too small for it")
            }
            (Failure::Call(StoreError::QuotaExceeded), _, Some(why)) => fails(why.clone()),
            (Failure::Call(error), ..) => fails(format!("a call failed: {error}")),
        }
    }
}

/// Shortens a reason that is too long to read, and puts it on one line.
pub(super) fn shortened(why: &str) -> String {
    let line = why.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WHY_CHARS_MAX) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

impl Watched<'_> {
    /// Notes a fault, and passes on the store's result.
    fn said<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Fault(why)) = &answer {
            self.seen.notes().fault.get_or_insert_with(|| why.clone());
        }
        answer
    }

    /// Keeps a call that is over the limits from the store, unless the claim is about such calls.
    fn within(&self, fits: Result<(), StoreError>, call: &str) -> Result<(), StoreError> {
        let mut notes = self.seen.notes();
        if fits.is_err() && !notes.over_allowed {
            notes.over.get_or_insert_with(|| format!("its {call} is over the store's limits"));
            return fits;
        }
        Ok(())
    }

    /// Counts the bytes that an `apply` may add, and returns whether it only removes.
    fn grow(&self, mutations: &[Mutation<'_>]) -> bool {
        let entry = |mutation: &Mutation<'_>| {
            let value_bytes = mutation.value().map(<[u8]>::len)?;
            Some((mutation.key().len() + value_bytes) as u64 + ENTRY_OVERHEAD_BYTES)
        };
        let bytes: u64 = mutations.iter().filter_map(entry).sum();
        self.seen.notes().held_at_most_bytes += bytes;
        bytes == 0
    }

    fn note_quota(&self, only_removes: bool) {
        let mut notes = self.seen.notes();
        let held = notes.held_at_most_bytes;
        let why = match (only_removes, held) {
            (true, _) => "an apply that only removes was refused with quota-exceeded".into(),
            (false, ..=SMALLEST_STORE_BYTES) => format!(
                "quota-exceeded from a store that would hold {held} bytes at most; no file system fits into \
                 {SMALLEST_STORE_BYTES}"
            ),
            (false, _) => return,
        };
        notes.false_quota.get_or_insert(why);
    }
}

impl SyncStore for Watched<'_> {
    fn limits(&self) -> Result<Limits, StoreError> {
        self.said(self.store.limits())
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.within(self.limits.check_get(keys), "get")?;
        let values = self.said(self.store.get(keys))?;
        if values.len() != keys.len() {
            // Claims may rely on it from here on.
            let why = format!("get of {} keys gave {} values", keys.len(), values.len());
            return self.said(Err(StoreError::Fault(why)));
        }
        Ok(values)
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.said(self.store.scan(start, end, max_entries, max_bytes))
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.within(self.limits.check_apply(guards, mutations), "apply")?;
        let only_removes = self.grow(mutations);
        let answer = self.said(self.store.apply(guards, mutations, level));
        if let Err(StoreError::QuotaExceeded) = answer {
            self.note_quota(only_removes);
        }
        answer
    }
}
