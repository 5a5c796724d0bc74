//! A host that takes snapshots of a volume while a guest works on it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use kvfs::{Error, StoreError};
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
    thread: JoinHandle<Result<Taken>>,
}

/// Snapshots, and what they took together.
#[derive(Default)]
struct Timed {
    count: u64,
    took: Duration,
}

impl Timed {
    fn add(&mut self, start: Instant) {
        self.count += 1;
        self.took += start.elapsed();
    }

    fn line(&self, name: &str) -> Option<Line> {
        let amount = self.took.as_nanos() as u64;
        (self.count > 0).then(|| Line { name: name.to_owned(), count: self.count, amount })
    }
}

#[derive(Default)]
struct Taken {
    done: Timed,
    /// The guest committed so fast that the library gave up.
    refused: Timed,
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

    /// Ends it, and returns what snapshots took, and those that were refused: nothing if there was no time
    /// for one.
    ///
    /// # Errors
    /// Those of taking snapshots.
    pub(crate) fn end(self) -> Result<Vec<Line>> {
        self.end.store(true, Ordering::Release);
        let taken = self.thread.join().map_err(|_| anyhow!("the thread of snapshots panicked"))??;
        let lines = [
            taken.done.line("a snapshot, beside the guest"),
            taken.refused.line("a snapshot that is refused, beside the guest"),
        ];
        Ok(lines.into_iter().flatten().collect())
    }
}

fn take<S: SyncStore + Clone + 'static>(volumes: &Volumes<S>, end: &AtomicBool) -> Result<Taken> {
    let (mut taken, mut next) = (Taken::default(), Instant::now());
    while !end.load(Ordering::Acquire) {
        let (start, count) = (Instant::now(), taken.done.count);
        match volumes.snapshot(kvfs::DEFAULT_VOLUME, &format!("snapshot {count}")) {
            Ok(()) => {
                taken.done.add(start);
                if let Some(old) = count.checked_sub(KEPT) {
                    volumes.remove(&format!("snapshot {old}"))?;
                    volumes.collect(MAX_FREED_RECORDS)?;
                }
            }
            // The guest has not made it yet.
            Err(VolumesError::Missing { .. }) => {}
            Err(VolumesError::Failed { source: Error::Store(StoreError::Unavailable(_)), .. }) => {
                taken.refused.add(start);
            }
            Err(error) => return Err(error.into()),
        }
        next = Instant::now().max(next + EVERY);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(taken)
}
