//! Reads the segments that count: the newest one that is whole, and those that it lists.

use crate::directory::{Directory, IoKind};
use crate::index::Index;
use crate::log::Older;
use crate::record::{FLAG_START, changes};
use crate::segment::{Segment, Start, read_closed, read_open, segment_name};
use kvfs_contract::StoreError;

/// The segments that count, read.
pub(crate) struct Read<F> {
    pub(crate) older: Vec<Older<F>>,
    pub(crate) index: Index,
}

/// Reads the newest segment that has a whole start, and those that it builds on.
pub(crate) fn read_chain<D: Directory>(directory: &D, segments: &[u64]) -> Result<Read<D::File>, StoreError> {
    let open = |epoch: u64| {
        let name = segment_name(epoch);
        directory.open(&name).map_err(|error| match error.kind {
            IoKind::NotFound => StoreError::Corrupt(format!("{name} is missing")),
            _ => error.at(&name),
        })
    };
    let mut chain = Vec::new();
    for &epoch in segments.iter().rev() {
        let file = open(epoch)?;
        if let Some(segment) = read_open(&file, epoch)? {
            if let Start::After(before) = &segment.start {
                for &(epoch, accepted) in before {
                    let file = open(epoch)?;
                    let segment = read_closed(&file, epoch, accepted)?;
                    chain.push((epoch, file, segment));
                }
            }
            chain.push((epoch, file, segment));
            break;
        }
    }
    let mut index = Index::default();
    let mut older = Vec::new();
    for (epoch, file, segment) in chain {
        take_in(&mut index, epoch, &segment)?;
        older.push(Older { epoch, file, accepted_bytes: segment.accepted_bytes() });
    }
    if !older.is_sorted_by(|a, b| a.epoch < b.epoch) {
        return Err(StoreError::Corrupt("segments are listed out of order".into()));
    }
    Ok(Read { older, index })
}

/// Applies the changes of a segment to the index.
fn take_in(index: &mut Index, epoch: u64, segment: &Segment) -> Result<(), StoreError> {
    for record in segment.records.iter().filter(|record| record.header.flags & FLAG_START == 0) {
        let changes = changes(&record.index, record.header.values_bytes).ok_or_else(|| {
            StoreError::Corrupt(format!(
                "{}: the index at byte {} is none",
                segment_name(epoch),
                record.offset
            ))
        })?;
        let mut offset = record.values_at();
        for (key, length) in changes {
            match length {
                Some(length) => {
                    index.put(key, epoch, offset, length);
                    offset += u64::from(length);
                }
                None => index.delete(key),
            }
        }
    }
    Ok(())
}
