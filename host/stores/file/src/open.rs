//! Opens a directory: claims the next epoch, ends the older ones, and reads what they left.

use crate::compact;
use crate::directory::{Directory, File, IoKind};
use crate::error::StoreError;
use crate::lease::{Lease, names, next_epoch, remove};
use crate::record::{Builder, FLAG_START, changes};
use crate::reserve;
use crate::segment::{Name, Segment, Start, lease_name, read_closed, read_open, segment_name};
use crate::store::{FileStore, Index, Older, Options, Own, State};

/// How often opening starts anew because another program opened the store at the same time.
const MAX_ATTEMPTS: usize = 16;

/// How far an attempt came.
enum Attempt<T> {
    Done(T),
    /// A newer opener was in between.
    Overtaken,
}

impl<D: Directory + Clone> FileStore<D> {
    /// Opens the store in a directory, or makes one where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if something is missing that was durable; nothing was changed then but leases.
    ///
    /// # Cost
    ///
    /// Reads all keys, and the values that were not durable; two syncs.
    pub fn open(directory: D) -> Result<Self, StoreError> {
        Self::open_with(directory, Options::default())
    }

    /// As [`FileStore::open`], with other options.
    ///
    /// # Errors
    ///
    /// As [`FileStore::open`].
    pub fn open_with(directory: D, options: Options) -> Result<Self, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let mut attempted = attempt(&directory, options);
            if matches!(attempted, Err(StoreError::QuotaExceeded)) {
                attempted =
                    reserve::without(&directory, options.reserve_bytes, || attempt(&directory, options));
            }
            if let Attempt::Done(mut store) = attempted? {
                reserve::keep(&directory, options.reserve_bytes);
                compact::after_open(&mut store);
                return Ok(store);
            }
        }
        Err(StoreError::Unavailable("other programs keep opening the store; run one at a time".into()))
    }
}

fn attempt<D: Directory + Clone>(
    directory: &D,
    options: Options,
) -> Result<Attempt<FileStore<D>>, StoreError> {
    let epoch = next_epoch(directory)?;
    let Some(lease) = Lease::claim(directory, epoch)? else { return Ok(Attempt::Overtaken) };
    let opened = attempt_with(directory, options, lease);
    if opened.is_err() {
        // Nobody misses it: it was to keep others from nothing but this.
        let _ = remove(directory, &lease_name(epoch));
    }
    opened
}

/// Opens with a number of one's own.
fn attempt_with<D: Directory + Clone>(
    directory: &D,
    options: Options,
    lease: Lease<D::File>,
) -> Result<Attempt<FileStore<D>>, StoreError> {
    let epoch = lease.epoch;
    lease.revoke_older(directory)?;

    // Only now are the segments read: their writers acknowledge nothing any more.
    let mut segments: Vec<u64> = names(directory)?.into_iter().filter_map(Name::segment).collect();
    segments.sort_unstable();
    if segments.last().is_some_and(|&last| last >= epoch) {
        return Ok(Attempt::Overtaken);
    }
    let read = match read_chain(directory, &segments) {
        Ok(read) => read,
        // Somebody newer may have removed what was to be read.
        Err(_) if !lease.is_held()? => return Ok(Attempt::Overtaken),
        Err(error) => return Err(error),
    };
    if let Some(last) = read.older.last() {
        // What the own segment builds on must not be lost before it is.
        let name = segment_name(last.epoch);
        last.file.sync().map_err(|error| StoreError::io(&name, &error))?;
        directory.sync().map_err(|error| StoreError::io("the directory", &error))?;
    }

    let name = segment_name(epoch);
    let file = match directory.create(&name) {
        Ok(file) => file,
        Err(error) if error.kind == IoKind::Exists => return Ok(Attempt::Overtaken),
        Err(error) => return Err(StoreError::io(&name, &error)),
    };
    let mut start = Builder::new();
    for older in &read.older {
        start.push_segment(older.epoch, older.accepted_bytes);
    }
    let start = start.finish(FLAG_START, epoch, 0, 0, 0);
    if let Err(error) = file.write(0, &start) {
        // Whoever found it whole may build on it, and only what is cut off may go.
        if file.status().is_ok_and(|status| status.size_bytes < start.len() as u64) {
            let _ = remove(directory, &name);
        }
        return Err(StoreError::io(&name, &error));
    }
    if !lease.is_held()? {
        return Ok(Attempt::Overtaken);
    }
    // Whoever claims a number from here on finds the start above, and builds on what it lists.
    for garbage in segments.iter().filter(|&&epoch| !read.older.iter().any(|older| older.epoch == epoch)) {
        remove(directory, &segment_name(*garbage))?;
    }
    let end = start.len() as u64;
    let own = Own { lease, file, end, sequence: 1, synced_to: 0, name_synced: false, leftover: false };
    Ok(Attempt::Done(FileStore {
        directory: directory.clone(),
        own,
        older: read.older,
        index: read.index,
        state: State::Writable,
        compact_at_bytes: 0,
        full_until_live_bytes: None,
        options,
    }))
}

/// What was read of a store.
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
            _ => StoreError::io(&name, &error),
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

/// Brings the changes of a segment into the index.
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
