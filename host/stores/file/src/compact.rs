//! Compaction: copies live entries into a new segment and removes the other segments.
//!
//! The new segment has an epoch of its own, claimed like an opener's, so readers find it by the
//! same rules. A snapshot counts once its last record is there, and does not exist before that.

use crate::directory::{Directory, File, IoError};
use crate::lease::{Lease, remove};
use crate::log::{Log, Own, State};
use crate::record::{Builder, FLAG_END, FLAG_SNAPSHOT, FLAG_START};
use crate::remedy::reason;
use crate::reserve;
use crate::segment::{MAX_EPOCH, lease_name, segment_name};
use kvfs_contract::StoreError;

/// Most bytes of one record of a snapshot: compaction holds one in memory.
const MAX_RECORD_BYTES: usize = 1 << 20;

/// Bounds on the number of segments; between them, live bytes allow one more for each 64 MiB. Each
/// open file costs something, and so does copying live entries.
const MIN_SEGMENTS: u64 = 16;
const MAX_SEGMENTS: u64 = 256;
const LIVE_BYTES_PER_SEGMENT: u64 = 64 << 20;

/// Compacts if garbage is more than half of the files and more than a minimum.
///
/// A failure leaves the store as it was, or takes its right to write; the next call says so.
pub(crate) fn if_due<D: Directory>(log: &mut Log<D>) {
    if log.full_until_live_bytes.is_some() {
        return if_due_when_full(log);
    }
    let size = log.size_bytes();
    if size < log.compact_at_bytes || size < 2 * log.index.live_bytes + log.options.min_garbage_bytes {
        return;
    }
    if compact(log).is_err() {
        log.compact_at_bytes = size + log.options.min_garbage_bytes;
    }
}

/// As [`if_due`] on a full disk, where any garbage is in the way. Tries again each time half of the
/// live bytes is gone.
fn if_due_when_full<D: Directory>(log: &mut Log<D>) {
    let live = log.index.live_bytes;
    let due = log.full_until_live_bytes.is_some_and(|at_most| live <= at_most);
    if !due || log.size_bytes() < 2 * live {
        return;
    }
    reserve::give_up(&log.directory);
    let compacted = compact(log);
    reserve::keep(&log.directory, log.options.reserve_bytes);
    log.full_until_live_bytes = compacted.is_err().then_some(live / 2);
}

/// Compacts if there are many segments: every opener leaves one.
pub(crate) fn after_open<D: Directory>(log: &mut Log<D>) {
    let allowed = MIN_SEGMENTS + log.index.live_bytes / LIVE_BYTES_PER_SEGMENT;
    if log.older.len() as u64 > allowed.min(MAX_SEGMENTS) {
        // A failure leaves the store as usable as it was.
        let _ = compact(log);
    }
    if_due(log);
}

/// Writes the snapshot and switches to it.
pub(crate) fn compact<D: Directory>(log: &mut Log<D>) -> Result<(), StoreError> {
    let epoch = log.own.lease.epoch + 1;
    if epoch > MAX_EPOCH {
        return Err(StoreError::Unavailable("there are no more numbers for segments".into()));
    }
    let name = segment_name(epoch);
    let io = |error: IoError| error.at(&name);
    let Some(lease) = Lease::claim(&log.directory, epoch)? else {
        log.state = State::Fenced;
        return Err(StoreError::AccessDenied);
    };
    let file = match log.directory.create(&name) {
        Ok(file) => file,
        Err(error) => {
            let _ = remove(&log.directory, &lease_name(epoch));
            return Err(io(error));
        }
    };
    let mut snapshot = match write_all(log, lease, file) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            // A snapshot without its end counts for nobody.
            let _ = remove(&log.directory, &name);
            let _ = remove(&log.directory, &lease_name(epoch));
            return Err(error);
        }
    };

    // From here on an opener may find the snapshot whole and build on it, so there is no way back.
    let own = &mut snapshot.own;
    let end = Builder::new().finish(FLAG_END, epoch, own.sequence, own.end, 0);
    let ended =
        own.file.write(own.end, &end).and_then(|()| own.file.sync()).and_then(|()| log.directory.sync());
    if let Err(error) = ended {
        log.state = State::Broken(format!("compaction failed at its end ({error}); open the store anew"));
        return Err(io(error));
    }
    own.end += end.len() as u64;
    own.sequence += 1;
    own.name_synced = true;
    own.note_synced();
    match own.lease.is_held() {
        Ok(true) => {}
        Ok(false) => {
            log.state = State::Fenced;
            return Err(StoreError::AccessDenied);
        }
        Err(error) => {
            let why = reason(error.clone());
            log.state = State::Broken(format!("compaction failed at its end ({why}); open the store anew"));
            return Err(error);
        }
    }
    let mut garbage: Vec<u64> = log.older.iter().map(|older| older.epoch).collect();
    garbage.push(log.own.lease.epoch);
    log.own = snapshot.own;
    log.older.clear();
    for (location, (offset, length)) in log.index.locations.values_mut().zip(snapshot.values) {
        debug_assert_eq!(location.length, length);
        (location.epoch, location.offset) = (epoch, offset);
    }
    for old in garbage {
        // The next opener removes what is left.
        let _ = remove(&log.directory, &segment_name(old));
        let _ = remove(&log.directory, &lease_name(old));
    }
    Ok(())
}

struct Snapshot<F> {
    own: Own<F>,
    /// Offset and length of each value, in the order of the index.
    values: Vec<(u64, u32)>,
}

/// Writes everything but the end of the snapshot.
fn write_all<D: Directory>(
    log: &Log<D>,
    lease: Lease<D::File>,
    file: D::File,
) -> Result<Snapshot<D::File>, StoreError> {
    let own = Own { lease, file, end: 0, sequence: 0, synced_to: 0, name_synced: false, leftover: false };
    let mut snapshot = Snapshot { own, values: Vec::with_capacity(log.index.locations.len()) };
    snapshot.append(Builder::new(), FLAG_START | FLAG_SNAPSHOT, &[])?;
    let mut builder = Builder::new();
    let mut pending = Vec::new();
    for (key, location) in &log.index.locations {
        let value = log.read(location)?;
        pending.push((builder.push(&key.to_vec(), Some(&value)), location.length));
        if builder.size_bytes() >= MAX_RECORD_BYTES {
            snapshot.append(std::mem::replace(&mut builder, Builder::new()), 0, &pending)?;
            pending.clear();
        }
    }
    snapshot.append(builder, 0, &pending)?;
    Ok(snapshot)
}

impl<F: File> Snapshot<F> {
    fn append(&mut self, builder: Builder, flags: u32, values: &[(u32, u32)]) -> Result<(), StoreError> {
        let own = &mut self.own;
        let values_at = own.end + builder.values_at();
        let record = builder.finish(flags, own.lease.epoch, own.sequence, own.end, 0);
        own.file.write(own.end, &record).map_err(|error| error.at(&segment_name(own.lease.epoch)))?;
        own.end += record.len() as u64;
        own.sequence += 1;
        self.values.extend(values.iter().map(|(at, length)| (values_at + u64::from(*at), *length)));
        Ok(())
    }
}
