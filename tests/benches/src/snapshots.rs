//! A host that takes snapshots of a volume while a guest works on it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use kvfs_host::{FileStore, MemoryStore, Store, SyncStore, Volumes, VolumesError};

use crate::lines::Line;
use crate::way::Keeper;

/// The time from one snapshot to the next.
const EVERY: Duration = Duration::from_millis(10);
/// Snapshots that are kept at a time.
const KEPT: u64 = 10;
/// Records of removed snapshots that are freed after each.
const MAX_FREED_RECORDS: u64 = 10_000;

/// A thread that takes snapshots.
pub(crate) struct Snapshots {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Result<(u64, Duration)>>,
}

impl Snapshots {
    /// Opens a store for a guest, and begins to take snapshots of the volume that guests use.
    ///
    /// # Errors
    /// Those of the store; a kind of store that is not measured so.
    pub(crate) fn beside_a_guest(keeper: Keeper, dir: &Path) -> Result<(Arc<dyn Store>, Self)> {
        Ok(match keeper {
            Keeper::Memory => Self::beside(MemoryStore::new()),
            Keeper::File => Self::beside(FileStore::open(dir.join("state"))?),
            Keeper::Redb | Keeper::Bucket => bail!("no snapshots are taken in this kind of store"),
        })
    }

    fn beside<S: SyncStore + Store + Clone + 'static>(store: S) -> (Arc<dyn Store>, Self) {
        let end = Arc::new(AtomicBool::new(false));
        let (volumes, ends) = (Volumes::new(store.clone()), Arc::clone(&end));
        let thread = thread::spawn(move || take(&volumes, &ends));
        (Arc::new(store), Self { end, thread })
    }

    /// Ends it, and returns what a snapshot took; nothing if there was no time for one.
    ///
    /// # Errors
    /// Those of taking snapshots.
    pub(crate) fn end(self) -> Result<Option<Line>> {
        self.end.store(true, Ordering::Release);
        let (count, took) = self.thread.join().map_err(|_| anyhow!("the thread of snapshots panicked"))??;
        let amount = took.as_nanos() as u64;
        Ok((count > 0).then(|| Line { name: "a snapshot, beside the guest".to_owned(), count, amount }))
    }
}

fn take<S: SyncStore + Clone + 'static>(volumes: &Volumes<S>, end: &AtomicBool) -> Result<(u64, Duration)> {
    let (mut count, mut took, mut next) = (0_u64, Duration::ZERO, Instant::now());
    while !end.load(Ordering::Acquire) {
        let start = Instant::now();
        match volumes.snapshot(kvfs::DEFAULT_VOLUME, &format!("snapshot {count}")) {
            Ok(()) => {
                took += start.elapsed();
                count += 1;
                if let Some(old) = count.checked_sub(KEPT + 1) {
                    volumes.remove(&format!("snapshot {old}"))?;
                    volumes.collect(MAX_FREED_RECORDS)?;
                }
            }
            // The guest has not made it yet.
            Err(VolumesError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        next = Instant::now().max(next + EVERY);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok((count, took))
}
