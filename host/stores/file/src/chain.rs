//! Reads the segments that count: the newest one whose list is whole, and those that it lists.

use crate::directory::{Directory, File, IoKind};
use crate::index::{Index, Kept};
use crate::known::{Known, Tail};
use crate::list::{List, ListedSegment, ListedTable, Part};
use crate::mark::Mark;
use crate::names::{segment_name, table_name};
use crate::records::{Records, replay_bytes_of};
use crate::salt::Salt;
use crate::segment::{Head, damaged, open_segment, read_head, salt_left, whole_to_with_values};
use crate::table::{Cache, Table};
use crate::usage::Used;
use kvfs_contract::StoreError;
use std::sync::Arc;

/// A segment that is only read.
#[derive(Debug)]
pub(crate) struct Older<F> {
    pub(crate) epoch: u64,
    pub(crate) file: F,
    /// How much of it counts.
    pub(crate) accepted_bytes: u64,
    /// How much of it is known to be durable.
    pub(crate) durable_bytes: u64,
    pub(crate) salt: Salt,
}

impl<F: File> Older<F> {
    /// Returns what a list says of it.
    pub(crate) fn part(&self) -> Part {
        (self.epoch, self.accepted_bytes, self.durable_bytes, self.salt)
    }

    /// Walks over its records.
    pub(crate) fn records(&self) -> Records<'_, F> {
        Records::new(&self.file, self.epoch, 0, self.accepted_bytes, Some(self.salt))
    }
}

/// The segments that count, read.
pub(crate) struct Read<F> {
    /// Oldest first.
    pub(crate) older: Vec<Older<F>>,
    pub(crate) index: Index<F>,
    /// What the tables cover.
    pub(crate) covered: Covered,
    /// What reading the segments that they do not cover costs.
    pub(crate) replay_bytes: u64,
    /// Segments that were collected of late: epochs and accepted bytes.
    pub(crate) collected: Vec<(u64, u64)>,
    /// A table was not as it must be, so the index was made anew.
    pub(crate) rebuilt: bool,
    /// Changes that others appended to what is known already, oldest first. The index is empty unless there
    /// are none.
    pub(crate) tails: Vec<Tail>,
}

/// What the tables cover of the segments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Covered {
    /// All segments before this epoch; 0 without tables.
    pub(crate) before: u64,
    /// These segments, with the usage that the tables alone make of them.
    pub(crate) segments: Vec<(u64, Used)>,
}

impl Covered {
    /// Returns the usage that the tables make of a segment.
    pub(crate) fn of(&self, epoch: u64) -> Used {
        let found = self.segments.binary_search_by_key(&epoch, |(epoch, _)| *epoch).ok();
        found.and_then(|found| self.segments.get(found)).map(|(_, used)| *used).unwrap_or_default()
    }
}

impl<F> Read<F> {
    /// Returns the epochs that count with their accepted bytes, ascending.
    pub(crate) fn accepted(&self) -> Vec<(u64, u64)> {
        self.older.iter().map(|older| (older.epoch, older.accepted_bytes)).collect()
    }
}

/// Reads the newest segment that has a whole start and whose list is whole, and those that it
/// builds on. `segments` are the epochs in the directory, ascending; `marks` have the salt of one
/// whose start is damaged. Of what is `known` only the rest is read.
pub(crate) fn read_chain<D: Directory>(
    directory: &D,
    segments: &[u64],
    marks: &[Mark],
    cache: &Arc<Cache>,
    known: Option<&Known>,
) -> Result<Read<D::File>, StoreError> {
    for &epoch in segments.iter().rev() {
        let file = open_segment(directory, epoch)?.ok_or_else(|| missing(epoch))?;
        let salt_left = || salt_left(directory, &file, epoch, segments, marks);
        let Some(head) = read_head(&file, epoch, salt_left)? else { continue };
        let Some(mut older) = follow(directory, &head, known)? else { continue };
        let (accepted_bytes, durable_bytes, salt) = (head.end, head.durable_to, head.salt);
        older.push(Older { epoch, file, accepted_bytes, durable_bytes, salt });
        let parts = || older.iter().map(|older| (older.part(), &older.file));
        // An error does not matter: reading all of it finds out.
        let tail = known.and_then(|known| known.tail(&head.list, parts()).ok().flatten());
        if let Some(tail) = tail {
            let index = Index::new(Arc::clone(cache));
            let (covered, collected) = (covered_by(&head.list), head.list.collected);
            let replay_bytes = tail.replay_bytes;
            let tails = vec![tail];
            return Ok(Read { older, index, covered, replay_bytes, collected, rebuilt: false, tails });
        }
        if let Some(read) = through_tables(directory, &head, &mut older, cache)? {
            return Ok(read);
        }
        let rebuilt = !head.list.tables.is_empty();
        let (index, replay_bytes) = from_segments(&older, cache)?;
        let (covered, collected) = (Covered::default(), head.list.collected);
        return Ok(Read { older, index, covered, replay_bytes, collected, rebuilt, tails: Vec::new() });
    }
    let index = Index::new(Arc::clone(cache));
    let (older, covered, collected) = (Vec::new(), Covered::default(), Vec::new());
    Ok(Read { older, index, covered, replay_bytes: 0, collected, rebuilt: false, tails: Vec::new() })
}

/// Opens the segments that a head lists. Returns `None` if one ends early, which makes the head
/// void: a crash lost the end of what was not durable, and so everything behind it.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if something durable is missing.
fn follow<D: Directory>(
    directory: &D,
    head: &Head,
    known: Option<&Known>,
) -> Result<Option<Vec<Older<D::File>>>, StoreError> {
    let mut older = Vec::new();
    for &ListedSegment { epoch, accepted_bytes, durable_bytes, salt, .. } in &head.list.segments {
        // A head that is durable, be it in part, was made so after what it lists.
        let durable_bytes = if head.durable_to > 0 { accepted_bytes } else { durable_bytes };
        let Some(file) = open_segment(directory, epoch)? else {
            if durable_bytes == 0 {
                return Ok(None);
            }
            return Err(missing(epoch));
        };
        if known.is_some_and(|known| known.has(epoch, accepted_bytes, salt)) {
            older.push(Older { epoch, file, accepted_bytes, durable_bytes, salt });
            continue;
        }
        let size = file.status().map_err(|error| error.at(&segment_name(epoch)))?.size_bytes;
        let whole_to = match durable_bytes.min(size) {
            whole_to if whole_to == accepted_bytes || whole_to < durable_bytes => whole_to,
            from => whole_to_with_values(&file, epoch, from, accepted_bytes, salt)?,
        };
        if whole_to < durable_bytes {
            return Err(damaged(epoch, whole_to));
        }
        if whole_to < accepted_bytes {
            return Ok(None);
        }
        older.push(Older { epoch, file, accepted_bytes, durable_bytes, salt });
    }
    Ok(Some(older))
}

/// Makes the index of the tables and of the segments that they do not cover. Returns `None` if
/// there are no tables, or one is not as it must be; `older` is unchanged then.
fn through_tables<D: Directory>(
    directory: &D,
    head: &Head,
    older: &mut Vec<Older<D::File>>,
    cache: &Arc<Cache>,
) -> Result<Option<Read<D::File>>, StoreError> {
    let List { replay_from, tables, collected, .. } = &head.list;
    if tables.is_empty() {
        return Ok(None);
    }
    let mut index = Index::new(Arc::clone(cache));
    for listed in tables {
        let Some(table) = open_table(directory, listed, cache)? else { return Ok(None) };
        index.tables.push(Kept { table, is_durable: head.durable_to > 0 });
    }
    let covered = covered_by(&head.list);
    for (epoch, used) in &covered.segments {
        index.usage.enter(*epoch, *used);
    }
    let mut replay_bytes = 0;
    for segment in older.iter().filter(|segment| segment.epoch >= *replay_from) {
        match replay(segment.epoch, segment.records(), segment.accepted_bytes, &mut index) {
            Ok(bytes) => replay_bytes += bytes,
            Err(_) if index.is_damaged() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let older = std::mem::take(older);
    let collected = collected.clone();
    Ok(Some(Read { older, index, covered, replay_bytes, collected, rebuilt: false, tails: Vec::new() }))
}

/// Returns what the tables of a list cover.
fn covered_by(list: &List) -> Covered {
    let covered = list.segments.iter().take_while(|listed| listed.epoch < list.replay_from);
    let covered = covered.map(|listed| {
        (listed.epoch, Used { live_bytes: listed.live_bytes, removal_bytes: listed.removal_bytes })
    });
    Covered { before: list.replay_from, segments: covered.collect() }
}

/// Opens a table that a list has; `None` if it is not there or cannot be read, or is another.
fn open_table<D: Directory>(
    directory: &D,
    listed: &ListedTable,
    cache: &Arc<Cache>,
) -> Result<Option<Table<D::File>>, StoreError> {
    let name = table_name(listed.epoch);
    let file = match directory.open(&name) {
        Ok(file) => file,
        Err(error) if matches!(error.kind, IoKind::NotFound | IoKind::Other) => return Ok(None),
        Err(error) => return Err(error.at(&name)),
    };
    match Table::open(file, listed.epoch, cache) {
        Ok(table) if table.size_bytes() == listed.size_bytes && table.digest() == listed.hash => {
            Ok(Some(table))
        }
        _ => Ok(None),
    }
}

/// Makes the index of the segments alone, and returns what it cost.
fn from_segments<F: File>(older: &[Older<F>], cache: &Arc<Cache>) -> Result<(Index<F>, u64), StoreError> {
    let mut index = Index::new(Arc::clone(cache));
    let mut replay_bytes = 0;
    for segment in older {
        replay_bytes += replay(segment.epoch, segment.records(), segment.accepted_bytes, &mut index)?;
    }
    Ok((index, replay_bytes))
}

/// Applies the changes of a segment to the index, and returns what it cost.
pub(crate) fn replay<F: File>(
    epoch: u64,
    mut records: Records<'_, F>,
    accepted_bytes: u64,
    index: &mut Index<F>,
) -> Result<u64, StoreError> {
    index.usage.enter(epoch, Used::default());
    let mut bytes = 0;
    while let Some(record) = records.next()? {
        bytes += replay_bytes_of(record.header.record_bytes(), record.index.len());
        if record.has_changes() {
            index.take_in(&record)?;
        }
    }
    match records.offset() {
        end if end == accepted_bytes => Ok(bytes),
        end => Err(damaged(epoch, end)),
    }
}

impl<F: File> Read<F> {
    /// Returns what it makes known of the store; `None` if the index is of no use.
    pub(crate) fn known(&self) -> Option<Known> {
        let parts = self.older.iter().map(Older::part).collect();
        (!self.index.is_damaged()).then(|| Known {
            parts,
            tables: self.tables(),
            covered_before: self.covered.before,
        })
    }

    /// Returns the tables that the newest list has.
    pub(crate) fn tables(&self) -> Vec<ListedTable> {
        match self.tails.last() {
            Some(tail) => tail.tables.clone(),
            None => self.index.listed(),
        }
    }

    /// Takes what is only the rest into what was read before.
    pub(crate) fn behind(mut self, before: Option<Self>) -> Self {
        let Some(before) = before.filter(|_| !self.tails.is_empty()) else { return self };
        let appended = std::mem::replace(&mut self.tails, before.tails);
        self.index = before.index;
        match self.tails.is_empty() {
            true => appended.iter().for_each(|tail| tail.take_into(&mut self.index)),
            false => self.tails.extend(appended),
        }
        self.replay_bytes += before.replay_bytes;
        self.rebuilt |= before.rebuilt;
        self
    }

    /// Makes the index anew, of the segments alone.
    pub(crate) fn rebuild(&mut self) -> Result<(), StoreError> {
        let (index, replay_bytes) = from_segments(&self.older, &self.index.cache)?;
        (self.index, self.replay_bytes) = (index, replay_bytes);
        self.covered = Covered::default();
        self.rebuilt = true;
        Ok(())
    }
}

fn missing(epoch: u64) -> StoreError {
    StoreError::Corrupt(format!("{} is missing", segment_name(epoch)))
}

/// Returns the file of an older segment.
pub(crate) fn older_file<F>(older: &[Older<F>], epoch: u64) -> Option<&F> {
    let found = older.binary_search_by_key(&epoch, |older| older.epoch).ok()?;
    older.get(found).map(|older| &older.file)
}
