//! A store that one opener has alone: buffered applies are gathered in memory in front of it.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use bytes::Bytes;
use kvfs_contract::{ScanBudget, gather, key_range};
use kvfs_gathered::Changes;

use crate::room::{DiskRoom, grows};
use crate::{Durability, Entry, Guard, Limits, Mutation, StoreError};

/// Bytes from which on an apply goes to the store at once: beside writing so much, a call costs
/// nothing, and waiting would copy it.
const MIN_DIRECT_BYTES: usize = 256 << 10;

/// Least entries to ask the store behind for: the first ones may all be removed by what waits.
const MIN_PAGE_ENTRIES: u32 = 32;

/// The store behind, which never takes the right to write back from another opener.
pub(crate) trait Behind {
    /// Returns the value of a key.
    fn value(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Returns entries from `start` to before `end`; an empty `end` is the end of the store.
    fn page(&mut self, start: &[u8], end: &[u8], budget: ScanBudget) -> Result<Vec<Entry>, StoreError>;

    /// Applies all mutations at once, which may be more than a batch. Of two on one key the later
    /// counts.
    fn change(&mut self, mutations: &[Mutation<'_>], level: Durability) -> Result<(), StoreError>;

    /// Returns whether no other opener has taken the store.
    fn is_held(&self) -> Result<bool, StoreError>;
}

/// A store, and what waits in front of it.
#[derive(Debug)]
pub(crate) struct Alone<B> {
    behind: B,
    waiting: Changes,
    /// Where the store is.
    path: PathBuf,
    room: DiskRoom,
    /// Another opener took the store: nothing is answered any more.
    is_taken: bool,
    /// The last commit failed, and its caller was told.
    is_failing: bool,
}

impl<B: Behind> Alone<B> {
    pub(crate) fn new(behind: B, path: PathBuf) -> Self {
        let (waiting, room) = Default::default();
        Self { behind, waiting, path, room, is_taken: false, is_failing: false }
    }

    pub(crate) fn behind(&mut self) -> &mut B {
        &mut self.behind
    }

    pub(crate) fn get(&mut self, limits: &Limits, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        limits.check_get(keys)?;
        self.check_taken()?;
        gather(keys, |key| self.waiting.value(key, || self.behind.value(key)))
    }

    pub(crate) fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.check_taken()?;
        let Some(range) = key_range(start, end) else { return Ok(Vec::new()) };
        let budget = ScanBudget::new(max_entries, max_bytes);
        if self.waiting.is_unchanged(range) {
            return self.behind.page(start, end, budget);
        }
        let stored = Stored {
            behind: &mut self.behind,
            end,
            most: (max_entries.max(MIN_PAGE_ENTRIES), max_bytes),
            next: Some(start.to_vec()),
            page: Vec::new().into_iter(),
        };
        self.waiting.merge(range, stored, budget)
    }

    pub(crate) fn apply(
        &mut self,
        limits: &Limits,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        limits.check_apply(guards, mutations)?;
        // Before a guard is checked: without the store, what it is compared with means nothing.
        self.check_held()?;
        for guard in guards {
            let found = self.waiting.value(guard.key, || self.behind.value(guard.key))?;
            if !guard.holds(found.as_deref()) {
                return Err(StoreError::Conflict);
            }
        }
        let new_bytes: usize = mutations.iter().map(Mutation::size_bytes).sum();
        // An acknowledged change must find room later. Removals may always wait: they make room.
        let is_short = !self.room.is_plenty(&self.path, self.waiting.size_bytes() + new_bytes)
            && grows(mutations, |key| self.waiting.value(key, || self.behind.value(key)))?;
        if self.waiting.must_commit(new_bytes, level) || is_short || new_bytes >= MIN_DIRECT_BYTES {
            let committed = self.commit(mutations, level);
            self.is_failing = committed.is_err();
            return committed;
        }
        self.waiting.extend(mutations);
        Ok(())
    }

    /// Hands everything that waits to the store, durably.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        if self.waiting.size_bytes() > 0 {
            self.check_held()?;
        }
        let committed = self.commit(&[], Durability::Durable);
        self.is_failing = committed.is_err();
        committed
    }

    /// Returns whether something waits.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting.size_bytes() > 0
    }

    /// Returns whether the last commit failed, which its caller was told.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Hands what waits and then `mutations` to the store: as one record if a record holds both.
    fn commit(&mut self, mutations: &[Mutation<'_>], level: Durability) -> Result<(), StoreError> {
        self.room = DiskRoom::default();
        let new_bytes = mutations.iter().map(Mutation::size_bytes).sum();
        if !self.waiting.has_room(new_bytes) && self.waiting.size_bytes() > 0 {
            self.hand_over(&[], Durability::Buffered)?;
        }
        self.hand_over(mutations, level)
    }

    fn hand_over(&mut self, mutations: &[Mutation<'_>], level: Durability) -> Result<(), StoreError> {
        let replaced: HashSet<&[u8]> = mutations.iter().map(Mutation::key).collect();
        let waiting = self.waiting.mutations();
        let waiting = waiting.iter().filter(|change| !replaced.contains(change.key()));
        let all: Vec<Mutation<'_>> = waiting.chain(mutations).copied().collect();
        match self.behind.change(&all, level) {
            Ok(()) => {
                drop(all);
                self.waiting.clear();
                Ok(())
            }
            Err(error) => {
                // A record is there whole or not at all. If it is there, what waits would hide a part
                // of it.
                let is_there = error == StoreError::UnknownOutcome && has_all(&mut self.behind, &all);
                drop(all);
                if is_there {
                    self.waiting.clear();
                }
                // Another opener may be the reason, and a record in doubt stays one.
                self.is_taken = self.is_taken || self.behind.is_held().is_ok_and(|is_held| !is_held);
                if error != StoreError::UnknownOutcome {
                    self.check_taken()?;
                }
                Err(error)
            }
        }
    }

    fn check_held(&mut self) -> Result<(), StoreError> {
        self.is_taken = self.is_taken || !self.behind.is_held()?;
        // Whoever calls is told.
        self.is_failing = self.is_failing || self.is_taken;
        self.check_taken()
    }

    fn check_taken(&self) -> Result<(), StoreError> {
        if !self.is_taken {
            return Ok(());
        }
        let path = self.path.display();
        Err(StoreError::Unavailable(format!(
            "another program has opened {path}, which this one had for itself alone; what this one stored after \
             its last durable apply may be lost: open it anew, together with others"
        )))
    }
}

fn has_all(behind: &mut impl Behind, mutations: &[Mutation<'_>]) -> bool {
    // The later of two on one key replaces the earlier.
    let left: HashMap<&[u8], Option<&[u8]>> =
        mutations.iter().map(|mutation| (mutation.key(), mutation.value())).collect();
    left.iter().all(|(key, value)| behind.value(key).is_ok_and(|found| found.as_deref() == *value))
}

/// The entries of the store behind, one after another.
struct Stored<'b, B> {
    behind: &'b mut B,
    end: &'b [u8],
    /// Entries and bytes of a page.
    most: (u32, u32),
    /// Where the next page begins; `None` behind the last one.
    next: Option<Vec<u8>>,
    page: std::vec::IntoIter<Entry>,
}

impl<B: Behind> Iterator for Stored<'_, B> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.page.next() {
            return Some(Ok(entry));
        }
        let start = self.next.take()?;
        match self.behind.page(&start, self.end, ScanBudget::new(self.most.0, self.most.1)) {
            Ok(page) => {
                let last = page.last()?;
                self.next = Some([&last.key[..], b"\0"].concat());
                self.page = page.into_iter();
                self.page.next().map(Ok)
            }
            Err(error) => Some(Err(error)),
        }
    }
}
