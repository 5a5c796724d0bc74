//! Writes what is live into a new segment and removes the others.
//!
//! The new segment has an epoch of its own, claimed like an opener's, so that readers find it by the same
//! rules: a snapshot counts from its last record on, and before that as nothing.

use crate::directory::{Directory, File};
use crate::error::StoreError;
use crate::lease::{Lease, remove};
use crate::record::{Builder, FLAG_END, FLAG_SNAPSHOT, FLAG_START};
use crate::reserve;
use crate::segment::{MAX_EPOCH, lease_name, segment_name};
use crate::store::{FileStore, Own, State, read_value};
use kvfs_key::Key;

/// Most bytes of a snapshot's record: what compaction holds in memory.
const RECORD_BYTES: usize = 1 << 20;

/// How many segments there may be, and one more for so many live bytes: each open file costs something,
/// and so does copying what is live.
const MIN_SEGMENTS: u64 = 16;
const MAX_SEGMENTS: u64 = 256;
const LIVE_BYTES_PER_SEGMENT: u64 = 64 << 20;

/// Compacts if more than half of the files, and not little, is garbage.
///
/// What fails leaves the store as it was, or takes its right to write: then the next call says so.
pub(crate) fn if_due<D: Directory>(store: &mut FileStore<D>) {
    if store.full_until_live_bytes.is_some() {
        return if_due_when_full(store);
    }
    let size = store.size_bytes();
    if size < store.compact_at_bytes || size < 2 * store.index.live_bytes + store.options.min_garbage_bytes {
        return;
    }
    if compact(store).is_err() {
        store.compact_at_bytes = size + store.options.min_garbage_bytes;
    }
}

/// As [`if_due`], where garbage is in the way however little it is. Tried again each time that half of what
/// was live is gone.
fn if_due_when_full<D: Directory>(store: &mut FileStore<D>) {
    let live = store.index.live_bytes;
    let due = store.full_until_live_bytes.is_some_and(|at_most| live <= at_most);
    if !due || store.size_bytes() < 2 * live {
        return;
    }
    reserve::give_up(&store.directory);
    let compacted = compact(store);
    reserve::keep(&store.directory, store.options.reserve_bytes);
    store.full_until_live_bytes = compacted.is_err().then_some(live / 2);
}

/// Compacts if there are many segments: every opener leaves one.
pub(crate) fn after_open<D: Directory>(store: &mut FileStore<D>) {
    let allowed = MIN_SEGMENTS + store.index.live_bytes / LIVE_BYTES_PER_SEGMENT;
    if store.older.len() as u64 > allowed.min(MAX_SEGMENTS) {
        // The store is as usable as before if this fails.
        let _ = compact(store);
    }
    if_due(store);
}

/// Writes the snapshot and changes over to it.
pub(crate) fn compact<D: Directory>(store: &mut FileStore<D>) -> Result<(), StoreError> {
    let epoch = store.own.lease.epoch + 1;
    if epoch > MAX_EPOCH {
        return Err(StoreError::Unavailable("there are no more numbers for segments".into()));
    }
    let name = segment_name(epoch);
    let io = |error| StoreError::io(&name, &error);
    let Some(lease) = Lease::claim(&store.directory, epoch)? else {
        store.state = State::Fenced;
        return Err(StoreError::Fenced);
    };
    let file = match store.directory.create(&name) {
        Ok(file) => file,
        Err(error) => {
            let _ = remove(&store.directory, &lease_name(epoch));
            return Err(io(error));
        }
    };
    let mut snapshot = match write_all(store, lease, file) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            // Without its end the snapshot is nothing to anybody.
            let _ = remove(&store.directory, &name);
            let _ = remove(&store.directory, &lease_name(epoch));
            return Err(error);
        }
    };

    // From here on whoever opens the store may take it for the truth, so there is no way back.
    let own = &mut snapshot.own;
    let end = Builder::new().finish(FLAG_END, epoch, own.sequence, own.end, 0);
    let ended =
        own.file.write(own.end, &end).and_then(|()| own.file.sync()).and_then(|()| store.directory.sync());
    if let Err(error) = ended {
        store.state = State::Broken(format!("compaction failed at its end ({error}); open the store anew"));
        return Err(io(error));
    }
    own.end += end.len() as u64;
    own.sequence += 1;
    own.name_synced = true;
    own.note_synced();
    match own.lease.is_held() {
        Ok(true) => {}
        Ok(false) => {
            store.state = State::Fenced;
            return Err(StoreError::Fenced);
        }
        Err(error) => {
            store.state =
                State::Broken(format!("compaction failed at its end ({error}); open the store anew"));
            return Err(error);
        }
    }
    let mut garbage: Vec<u64> = store.older.iter().map(|older| older.epoch).collect();
    garbage.push(store.own.lease.epoch);
    store.own = snapshot.own;
    store.older.clear();
    for (place, (at, length)) in store.index.places.values_mut().zip(snapshot.places) {
        debug_assert_eq!(place.length, length);
        (place.epoch, place.offset) = (epoch, at);
    }
    for old in garbage {
        // What stays is removed by the next opener.
        let _ = remove(&store.directory, &segment_name(old));
        let _ = remove(&store.directory, &lease_name(old));
    }
    Ok(())
}

struct Snapshot<F> {
    own: Own<F>,
    /// Where each value lies, in the order of the index.
    places: Vec<(u64, u32)>,
}

/// Writes everything but the end.
fn write_all<D: Directory>(
    store: &FileStore<D>,
    lease: Lease<D::File>,
    file: D::File,
) -> Result<Snapshot<D::File>, StoreError> {
    let own = Own { lease, file, end: 0, sequence: 0, synced_to: 0, name_synced: false, leftover: false };
    let mut snapshot = Snapshot { own, places: Vec::with_capacity(store.index.places.len()) };
    snapshot.append(Builder::new(), FLAG_START | FLAG_SNAPSHOT, &[])?;
    let mut builder = Builder::new();
    let mut pending = Vec::new();
    for (key, place) in &store.index.places {
        let value = read_value(&store.own, &store.older, place)?;
        pending.push((builder.push(&Key::to_vec(key), Some(&value)), place.length));
        if builder.size_bytes() >= RECORD_BYTES {
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
        own.file
            .write(own.end, &record)
            .map_err(|error| StoreError::io(&segment_name(own.lease.epoch), &error))?;
        own.end += record.len() as u64;
        own.sequence += 1;
        self.places.extend(values.iter().map(|(at, length)| (values_at + u64::from(*at), *length)));
        Ok(())
    }
}
