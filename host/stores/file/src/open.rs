//! Opens a directory: claims the next epoch, ends the older openers, and reads what they left.

use crate::chain::read_chain;
use crate::compact;
use crate::directory::{Directory, File, IoKind};
use crate::lease::{Lease, names, next_epoch, remove};
use crate::log::{Log, Options, Own, State};
use crate::record::{Builder, FLAG_START};
use crate::reserve;
use crate::segment::{Name, lease_name, segment_name};
use crate::store::FileStore;
use kvfs_contract::StoreError;

/// How often opening starts anew because another program opened the store at the same time.
const MAX_ATTEMPTS: usize = 16;

/// The result of an attempt to open.
enum Attempt<T> {
    Done(T),
    /// A newer opener came between.
    Overtaken,
}

impl<D: Directory + Clone> FileStore<D> {
    /// Opens the store in a directory, or makes one where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if something durable is missing; nothing but leases has changed
    /// then.
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
            if let Attempt::Done(mut log) = attempted? {
                reserve::keep(&directory, options.reserve_bytes);
                compact::after_open(&mut log);
                return Ok(Self(log));
            }
        }
        Err(StoreError::Unavailable("other programs keep opening the store; run one at a time".into()))
    }
}

fn attempt<D: Directory + Clone>(directory: &D, options: Options) -> Result<Attempt<Log<D>>, StoreError> {
    let epoch = next_epoch(directory)?;
    let Some(lease) = Lease::claim(directory, epoch)? else { return Ok(Attempt::Overtaken) };
    let opened = attempt_with(directory, options, lease);
    if opened.is_err() {
        // Nobody misses the lease: it only kept others from this attempt.
        let _ = remove(directory, &lease_name(epoch));
    }
    opened
}

/// Opens with a lease of its own.
fn attempt_with<D: Directory + Clone>(
    directory: &D,
    options: Options,
    lease: Lease<D::File>,
) -> Result<Attempt<Log<D>>, StoreError> {
    let epoch = lease.epoch;
    lease.revoke_older(directory)?;

    // Segments are read only now, when their writers acknowledge nothing any more.
    let mut segments: Vec<u64> = names(directory)?.into_iter().filter_map(Name::segment).collect();
    segments.sort_unstable();
    if segments.last().is_some_and(|&last| last >= epoch) {
        return Ok(Attempt::Overtaken);
    }
    let read = match read_chain(directory, &segments) {
        Ok(read) => read,
        // A newer opener may have removed the missing file.
        Err(_) if !lease.is_held()? => return Ok(Attempt::Overtaken),
        Err(error) => return Err(error),
    };
    if let Some(last) = read.older.last() {
        // The segments below the own one must be durable before it is.
        let name = segment_name(last.epoch);
        last.file.sync().map_err(|error| error.at(&name))?;
        directory.sync().map_err(|error| error.at("the directory"))?;
    }

    let name = segment_name(epoch);
    let file = match directory.create(&name) {
        Ok(file) => file,
        Err(error) if error.kind == IoKind::Exists => return Ok(Attempt::Overtaken),
        Err(error) => return Err(error.at(&name)),
    };
    let mut start = Builder::new();
    for older in &read.older {
        start.push_segment(older.epoch, older.accepted_bytes);
    }
    let start = start.finish(FLAG_START, epoch, 0, 0, 0);
    if let Err(error) = file.write(0, &start) {
        // An opener that found the start whole may build on it, so only one that was cut off may
        // go.
        if file.status().is_ok_and(|status| status.size_bytes < start.len() as u64) {
            let _ = remove(directory, &name);
        }
        return Err(error.at(&name));
    }
    if !lease.is_held()? {
        return Ok(Attempt::Overtaken);
    }
    // Openers from here on find the start above and build on the segments it lists.
    for garbage in segments.iter().filter(|&&epoch| !read.older.iter().any(|older| older.epoch == epoch)) {
        remove(directory, &segment_name(*garbage))?;
    }
    let end = start.len() as u64;
    let own = Own { lease, file, end, sequence: 1, synced_to: 0, name_synced: false, leftover: false };
    Ok(Attempt::Done(Log {
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
