//! The index: for each key, the location of its value. Recent changes are in memory, the others in
//! tables on disk.

use crate::directory::File;
use crate::list::ListedTable;
use crate::location::Location;
use crate::names::segment_name;
use crate::record::{Builder, Change, KEY_OVERHEAD_BYTES, changes};
use crate::records::Record;
use crate::small::Small;
use crate::table::{Cache, Caching, Entry, KeyHash, Merge, Place, Table, TableError};
use crate::usage::Usage;
use kvfs_contract::{Key, KeyRef, Mutation, StoreError, key_range};
use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Locations of values, by key.
#[derive(Debug)]
pub(crate) struct Index<F> {
    /// The changes that no table has.
    recent: BTreeMap<Key, Place>,
    /// Changes before those, of which a table is in the making.
    settled: Option<BTreeMap<Key, Place>>,
    /// Changes that a table has now, on their way out of memory.
    spent: Option<IntoIter<Key, Place>>,
    /// The newest first. Like what is recent, they may name segments that do not count any more: then
    /// the key is gone, or there is something newer of it.
    pub(crate) tables: Vec<Kept<F>>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) usage: Usage,
    pub(crate) small: Small,
    /// A table turned out damaged or unreadable.
    damaged: AtomicBool,
}

/// A table in use.
#[derive(Debug)]
pub(crate) struct Kept<F> {
    pub(crate) table: Table<F>,
    /// Its bytes are known to be durable.
    pub(crate) is_durable: bool,
}

impl<F: File> Kept<F> {
    /// Returns what a list says of it.
    pub(crate) fn listed(&self) -> ListedTable {
        let Self { table, .. } = self;
        ListedTable { epoch: table.number(), size_bytes: table.size_bytes(), hash: table.digest() }
    }
}

impl<F: File> Index<F> {
    /// Makes an empty index.
    pub(crate) fn new(cache: Arc<Cache>) -> Self {
        Self {
            recent: BTreeMap::new(),
            settled: None,
            spent: None,
            tables: Vec::new(),
            cache,
            usage: Usage::default(),
            small: Small::default(),
            damaged: AtomicBool::new(false),
        }
    }

    /// Returns whether a table turned out damaged. Everything fails then until the index is made
    /// anew.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Returns what a list says of its tables.
    pub(crate) fn listed(&self) -> Vec<ListedTable> {
        self.tables.iter().map(Kept::listed).collect()
    }

    /// Returns the number of changes that no table has and none in the making will have.
    pub(crate) fn recent_changes(&self) -> usize {
        self.recent.len()
    }

    /// Sets what is recent apart for a table, and returns how many changes that are. Later ones do not
    /// touch them.
    pub(crate) fn settle(&mut self) -> usize {
        self.unsettle();
        let settled = std::mem::take(&mut self.recent);
        self.settled.insert(settled).len()
    }

    /// Makes what was set apart recent again, because there will be no table of it.
    pub(crate) fn unsettle(&mut self) {
        if let Some(mut settled) = self.settled.take() {
            // Later changes count.
            settled.append(&mut self.recent);
            self.recent = settled;
        }
    }

    /// Frees so many changes that a table has now: all of them at once take milliseconds.
    pub(crate) fn free_spent(&mut self, at_most: usize) {
        let is_over = self.spent.as_mut().is_some_and(|spent| spent.by_ref().take(at_most).count() < at_most);
        if is_over {
            self.spent = None;
        }
    }

    /// Notes that a table is damaged, or cannot be read, which comes to the same.
    pub(crate) fn seen(&self, error: TableError) -> StoreError {
        self.damaged.store(true, Ordering::Relaxed);
        error.into()
    }

    /// Returns the location of a key's value.
    ///
    /// # Cost
    ///
    /// One search in memory; for a key without a recent change, also a look at the filter of each
    /// table until one has the key, and a search in that one.
    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<Location>, StoreError> {
        let settled = || self.settled.as_ref()?.get(&KeyRef::new(key));
        if let Some(place) = self.recent.get(&KeyRef::new(key)).or_else(settled) {
            return Ok(self.counting(*place));
        }
        let hash = KeyHash::of(key);
        for Kept { table, .. } in &self.tables {
            if let Some(place) = table.find(key, hash).map_err(|error| self.seen(error))? {
                return Ok(self.counting(place));
            }
        }
        Ok(None)
    }

    /// Returns the locations of the keys of changes, to be handed to [`Self::change`].
    pub(crate) fn find_all(
        &self,
        mutations: &[Mutation<&[u8]>],
    ) -> Result<Vec<Option<Location>>, StoreError> {
        mutations.iter().map(|mutation| self.find(mutation.key())).collect()
    }

    /// Returns the location if its segment counts.
    fn counting(&self, place: Place) -> Option<Location> {
        Location::of(place).filter(|location| self.usage.has(location.epoch))
    }

    /// Returns the locations of `start <= key < end` in order; an empty `end` is the end of the
    /// store.
    pub(crate) fn range<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
    ) -> Result<impl Iterator<Item = Result<(Vec<u8>, Location), StoreError>> + 'a, StoreError> {
        let changes = [Some(&self.recent), self.settled.as_ref()];
        let merged = self.merge(changes, (start, end), self.tables.len(), Caching::Keep)?;
        Ok(merged.filter_map(|entry| match entry {
            Ok((key, place)) => self.counting(place).map(|location| Ok((key, location))),
            Err(error) => Some(Err(self.seen(error))),
        }))
    }

    /// Returns everything recent and in the newest tables, removals included.
    pub(crate) fn newest(&self, tables: usize) -> Result<impl Iterator<Item = Entry> + '_, StoreError> {
        let changes = [Some(&self.recent), self.settled.as_ref()];
        let merged = self.merge(changes, (&[], &[]), tables, Caching::Pass)?;
        Ok(merged.filter_map(move |entry| match entry {
            Ok((key, place)) => self.for_table(place, tables).map(|place| Ok((key, place))),
            error => Some(error),
        }))
    }

    /// Returns what was set apart and what is in the newest tables, from a key on. What a new table has
    /// of each entry, [`Self::for_table`] says.
    pub(crate) fn settled_from<'a>(
        &'a self,
        start: &'a [u8],
        tables: usize,
    ) -> Result<Merge<'a>, StoreError> {
        self.merge([self.settled.as_ref(), None], (start, &[]), tables, Caching::Pass)
    }

    /// Returns what a table in the place of so many of the newest has of an entry; `None` if nothing.
    pub(crate) fn for_table(&self, place: Place, tables: usize) -> Option<Place> {
        match self.counting(place) {
            Some(location) => Some(location.place()),
            // An older table may have the key.
            None => (tables < self.tables.len()).then_some(Place::Gone),
        }
    }

    fn merge<'a>(
        &'a self,
        changes: [Option<&'a BTreeMap<Key, Place>>; 2],
        (start, end): (&'a [u8], &'a [u8]),
        tables: usize,
        caching: Caching,
    ) -> Result<Merge<'a>, StoreError> {
        let changes = changes.into_iter().flatten().map(|changes| {
            let range = key_range(start, end).map(|(start, end)| {
                changes.range::<KeyRef<'_>, _>((start.map(KeyRef::new), end.map(KeyRef::new)))
            });
            let range = range.into_iter().flatten().map(|(key, place)| Ok((key.to_vec(), *place)));
            let range: Box<dyn Iterator<Item = Entry> + 'a> = Box::new(range);
            range
        });
        let tables = self.tables.iter().take(tables).map(|kept| {
            let range: Box<dyn Iterator<Item = Entry> + 'a> = Box::new(kept.table.range(start, end, caching));
            range
        });
        Merge::new(changes.chain(tables)).map_err(|error| self.seen(error))
    }

    /// Takes in the changes of a record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if its index is none, or if a table is damaged.
    pub(crate) fn take_in(&mut self, record: &Record) -> Result<(), StoreError> {
        let epoch = record.header.epoch;
        let mut offset = record.values_at();
        for (key, length) in changes_of(record)? {
            let before = self.find(key)?;
            let location = length.map(|length| Location { epoch, offset, length });
            self.small.forget(key);
            self.change(key, location, epoch, before);
            offset += u64::from(length.unwrap_or(0));
        }
        Ok(())
    }

    /// Changes the location of a key by a record of this epoch; `None` removes it. `before` is the
    /// location before the record. The caller sees to the small value of the key.
    pub(crate) fn change(
        &mut self,
        key: &[u8],
        location: Option<Location>,
        epoch: u64,
        before: Option<Location>,
    ) {
        let replaced = match location {
            Some(location) => {
                self.usage.add(epoch, cost(key.len(), location.length));
                self.recent.insert(Key::new(key), location.place())
            }
            None => {
                self.usage.add_removal(epoch, cost(key.len(), 0));
                // Without tables nothing must be hidden.
                match self.is_all_recent() {
                    true => self.recent.remove(&KeyRef::new(key)),
                    false => self.recent.insert(Key::new(key), Place::Gone),
                }
            }
        };
        // An earlier change of the same record counts more than what was before it. Without tables
        // everything is recent.
        let before = match replaced {
            Some(place) => Location::of(place),
            None if self.is_all_recent() => None,
            None => before,
        };
        if let Some(before) = before {
            self.usage.take(before.epoch, cost(key.len(), before.length));
        }
    }

    /// Returns whether there is nothing below what is recent.
    fn is_all_recent(&self) -> bool {
        self.tables.is_empty() && self.settled.is_none()
    }

    /// Takes in a record of copies of what counted in the segment `from`. It lies at an offset of the
    /// segment of this epoch.
    pub(crate) fn take_copies(&mut self, record: &Builder, at: u64, epoch: u64, from: u64) {
        let mut offset = at + record.values_at();
        // The index was built just now.
        for (key, length) in record.changes().unwrap_or_default() {
            let location = length.map(|length| Location { epoch, offset, length });
            let before = length.map(|length| Location { epoch: from, offset: 0, length });
            self.change(key, location, epoch, before);
            offset += u64::from(length.unwrap_or(0));
        }
    }

    /// Takes in a record of copies. The segments that were copied are forgotten afterwards, with
    /// all that is live in them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if its index is none.
    pub(crate) fn move_to(&mut self, record: &Record) -> Result<(), StoreError> {
        let epoch = record.header.epoch;
        let mut offset = record.values_at();
        for (key, length) in changes_of(record)? {
            let Some(length) = length else {
                self.usage.add_removal(epoch, cost(key.len(), 0));
                continue;
            };
            self.usage.add(epoch, cost(key.len(), length));
            self.recent.insert(Key::new(key), Location { epoch, offset, length }.place());
            offset += u64::from(length);
        }
        Ok(())
    }

    /// Puts a table in the place of what was set apart, if anything was, else of everything recent, and
    /// of the newest tables, which it returns.
    pub(crate) fn adopt(&mut self, table: Table<F>, replaces: usize) -> Vec<Kept<F>> {
        let spent = self.settled.take().unwrap_or_else(|| std::mem::take(&mut self.recent));
        self.spent = Some(spent.into_iter());
        let kept = Kept { table, is_durable: false };
        self.tables.splice(..replaces.min(self.tables.len()), [kept]).collect()
    }
}

/// Returns whether keys and values together have fewer bytes after these changes.
pub(crate) fn shrinks(mutations: &[Mutation<&[u8]>], before: &[Option<Location>]) -> bool {
    let (mut old_bytes, mut new_bytes) = (0, 0);
    for (mutation, before) in mutations.iter().zip(before) {
        let key_bytes = mutation.key().len() as u64;
        old_bytes += before.map_or(0, |old| key_bytes + u64::from(old.length));
        new_bytes += mutation.value().map_or(0, |value| key_bytes + value.len() as u64);
    }
    new_bytes < old_bytes
}

/// Reads the changes of a record.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if its index is none.
pub(crate) fn changes_of(record: &Record) -> Result<Vec<Change<'_>>, StoreError> {
    changes(&record.index, record.header.values_bytes).ok_or_else(|| {
        let name = segment_name(record.header.epoch);
        StoreError::Corrupt(format!("{name}: the index at byte {} is none", record.offset))
    })
}

/// Returns what an entry takes in a segment.
fn cost(key_bytes: usize, length: u32) -> u64 {
    (KEY_OVERHEAD_BYTES + key_bytes) as u64 + u64::from(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{IoError, Status};

    /// No file: an index without tables reads none.
    enum NoFile {}

    impl File for NoFile {
        fn status(&self) -> Result<Status, IoError> {
            match *self {}
        }

        fn read(&self, _: u64, _: usize) -> Result<Vec<u8>, IoError> {
            match *self {}
        }

        fn cut(&self, _: u64) -> Result<(), IoError> {
            match *self {}
        }

        fn write(&self, _: u64, _: &[u8]) -> Result<(), IoError> {
            match *self {}
        }

        fn sync(&self) -> Result<(), IoError> {
            match *self {}
        }
    }

    #[test]
    fn what_a_key_took_is_taken_away_once_however_often_a_record_changes_it() {
        let at = |offset| Some(Location { epoch: 1, offset, length: 100 });
        for changes in [vec![None, None], vec![None, at(900)], vec![at(900), None, at(900), None]] {
            let mut index = Index::<NoFile>::new(Cache::new(0));
            index.change(b"a", at(100), 1, None);
            index.change(b"b", at(300), 1, None);
            let before = index.find(b"a").unwrap();
            for location in &changes {
                index.change(b"a", *location, 1, before);
            }
            let keys = 1 + u64::from(changes.last().is_some_and(Option::is_some));
            assert_eq!(index.usage.live_bytes(), keys * cost(1, 100), "{changes:?}");
        }
    }
}
