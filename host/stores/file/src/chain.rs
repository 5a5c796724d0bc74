//! Reads the segments that count: the newest one whose list is whole, and those that it lists.

use crate::directory::{Directory, File, IoKind};
use crate::index::Index;
use crate::list::ListedSegment;
use crate::names::segment_name;
use crate::records::Records;
use crate::segment::{Head, damaged, read_head, whole_to_with_values};
use kvfs_contract::StoreError;

/// A segment that is only read.
#[derive(Debug)]
pub(crate) struct Older<F> {
    pub(crate) epoch: u64,
    pub(crate) file: F,
    /// How much of it counts.
    pub(crate) accepted_bytes: u64,
    /// How much of it is known to be durable.
    pub(crate) durable_bytes: u64,
}

/// The segments that count, read.
pub(crate) struct Read<F> {
    /// Oldest first.
    pub(crate) older: Vec<Older<F>>,
    pub(crate) index: Index,
}

impl<F> Read<F> {
    /// Returns the epochs that count with their accepted bytes, ascending.
    pub(crate) fn accepted(&self) -> Vec<(u64, u64)> {
        self.older.iter().map(|older| (older.epoch, older.accepted_bytes)).collect()
    }
}

/// Reads the newest segment that has a whole start and whose list is whole, and those that it
/// builds on. `segments` are the epochs in the directory, ascending.
pub(crate) fn read_chain<D: Directory>(directory: &D, segments: &[u64]) -> Result<Read<D::File>, StoreError> {
    for &epoch in segments.iter().rev() {
        let file = open(directory, epoch)?.ok_or_else(|| missing(epoch))?;
        let Some(head) = read_head(&file, epoch)? else { continue };
        let Some(mut older) = follow(directory, &head)? else { continue };
        older.push(Older { epoch, file, accepted_bytes: head.end, durable_bytes: head.durable_to });
        let mut index = Index::default();
        for segment in &older {
            replay(segment, &mut index)?;
        }
        return Ok(Read { older, index });
    }
    Ok(Read { older: Vec::new(), index: Index::default() })
}

/// Opens the segments that a head lists. Returns `None` if one ends early, which makes the head
/// void: a crash lost the end of what was not durable, and so everything behind it.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if something durable is missing.
fn follow<D: Directory>(directory: &D, head: &Head) -> Result<Option<Vec<Older<D::File>>>, StoreError> {
    let mut older = Vec::new();
    for &ListedSegment { epoch, accepted_bytes, durable_bytes, .. } in &head.list.segments {
        // A head that is durable, be it in part, was made so after what it lists.
        let durable_bytes = if head.durable_to > 0 { accepted_bytes } else { durable_bytes };
        let Some(file) = open(directory, epoch)? else {
            if durable_bytes == 0 {
                return Ok(None);
            }
            return Err(missing(epoch));
        };
        let size = file.status().map_err(|error| error.at(&segment_name(epoch)))?.size_bytes;
        let whole_to = match durable_bytes.min(size) {
            whole_to if whole_to == accepted_bytes || whole_to < durable_bytes => whole_to,
            from => whole_to_with_values(&file, epoch, from, accepted_bytes)?,
        };
        if whole_to < durable_bytes {
            return Err(damaged(epoch, whole_to));
        }
        if whole_to < accepted_bytes {
            return Ok(None);
        }
        older.push(Older { epoch, file, accepted_bytes, durable_bytes });
    }
    Ok(Some(older))
}

/// Applies the changes of a segment to the index.
fn replay<F: File>(segment: &Older<F>, index: &mut Index) -> Result<(), StoreError> {
    let mut records = Records::new(&segment.file, segment.epoch, 0, segment.accepted_bytes);
    while let Some(record) = records.next()? {
        if record.has_changes() {
            index.take_in(&record)?;
        }
    }
    match records.offset() {
        end if end == segment.accepted_bytes => Ok(()),
        end => Err(damaged(segment.epoch, end)),
    }
}

fn open<D: Directory>(directory: &D, epoch: u64) -> Result<Option<D::File>, StoreError> {
    let name = segment_name(epoch);
    match directory.open(&name) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind == IoKind::NotFound => Ok(None),
        Err(error) => Err(error.at(&name)),
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
