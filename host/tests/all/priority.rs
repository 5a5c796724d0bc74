//! Tools beside a guest that is always faster, in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Ends, stores::seal};
use kvfs::{Mode, Options};
use kvfs_host::{
    Aliased, BlockOn, Bytes, Durability, EngineStore, Entry, FileOptions, FileStore, Guard, Limited, Limits,
    Marked, MemoryStore, Mutation, Namespaced, Quota, RedbStore, StoreAccess, StoreError, SyncStore, Volumes,
};

/// Applies that are lost before the guest may no longer be faster.
const MOST_LOST: u32 = 8;

/// Longest wait for the guest, and for one that should wait itself.
const PATIENCE: [Duration; 2] = [Duration::from_secs(20), Duration::from_millis(50)];

/// A tool's handle of a store whose guest commits before each of the tool's applies, if it can.
#[derive(Clone)]
struct Overtaken<S> {
    store: S,
    commits: Arc<AtomicU64>,
    overtaken: Arc<AtomicU32>,
    guest_waits: Arc<AtomicBool>,
}

impl<S: SyncStore> SyncStore for Overtaken<S> {
    fn limits(&self) -> Result<Limits, StoreError> {
        SyncStore::limits(&self.store)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        SyncStore::get(&self.store, keys)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        SyncStore::scan(&self.store, start, end, entries, bytes)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let (before, start) = (self.commits.load(Ordering::SeqCst), Instant::now());
        let patience = PATIENCE[usize::from(self.guest_waits.load(Ordering::SeqCst))];
        // The first one may have been under way.
        while self.commits.load(Ordering::SeqCst) < before + 2 && start.elapsed() < patience {
            std::thread::yield_now();
        }
        self.overtaken.fetch_add(u32::from(start.elapsed() < patience), Ordering::SeqCst);
        SyncStore::apply(&self.store, guards, mutations, level)
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        SyncStore::exclusively(&self.store, &mut || {
            self.guest_waits.store(true, Ordering::SeqCst);
            work();
            self.guest_waits.store(false, Ordering::SeqCst);
        })
    }
}

/// Forks a volume through `tools` while a guest commits to it through `guest` all the time.
fn a_fork_beside_a_faster_guest<G, T>(what: &str, guest: G, tools: T)
where
    G: SyncStore + Clone + 'static,
    T: SyncStore + Clone + 'static,
{
    let options = Options { volume: "main".into(), mode: Mode::Close, ..Options::default() };
    let (commits, end) = (Arc::new(AtomicU64::new(0)), AtomicBool::new(false));
    let overtaken = Arc::<AtomicU32>::default();
    let tools = Overtaken {
        store: tools,
        commits: commits.clone(),
        overtaken: overtaken.clone(),
        guest_waits: Arc::default(),
    };
    Volumes::new(guest.clone()).create("main").unwrap();
    std::thread::scope(|scope| {
        let ends = Ends(&end);
        let writer = scope.spawn(|| {
            let mut volume = Volumes::new(guest.clone()).open(options).unwrap();
            let root = volume.root().unwrap();
            while !end.load(Ordering::SeqCst) {
                volume.create_directory_at(&root, "made").unwrap();
                volume.remove_directory_at(&root, "made").unwrap();
                commits.fetch_add(1, Ordering::SeqCst);
            }
            volume.sync_all().unwrap();
        });
        while commits.load(Ordering::SeqCst) == 0 {
            assert!(!writer.is_finished(), "{what}");
            std::thread::yield_now();
        }
        let volumes = Volumes::new(tools);
        volumes.snapshot("main", "then").unwrap_or_else(|error| panic!("{what}: {error}"));
        drop(ends);
        writer.join().unwrap();
    });
    let lost = overtaken.load(Ordering::SeqCst);
    assert!((1..=MOST_LOST).contains(&lost), "{what}: {lost} applies came after one of the guest");
    for volume in ["main", "then"] {
        let report = kvfs::fsck(&mut EngineStore(guest.clone()), volume).unwrap();
        assert!(report.is_clean(), "{what}: {volume}: {:?}", report.findings);
    }
}

fn both<S: SyncStore + Clone + 'static>(what: &str, store: S) {
    a_fork_beside_a_faster_guest(what, store.clone(), store);
}

#[test]
fn a_tool_is_not_kept_out_by_a_guest_of_this_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    both("memory", MemoryStore::new());
    both("file", FileStore::open(path("file")).unwrap());
    both("file, alone", FileOptions::new().access(StoreAccess::Alone).open(path("alone")).unwrap());
    both("redb", RedbStore::open(path("redb")).unwrap());
    let redb = RedbStore::open(path("marked")).unwrap();
    both("marked", Marked::open(redb, "marked", path("mark")).unwrap());
}

#[test]
fn wrappers_let_the_store_within_do_it() {
    both("namespaced", BlockOn(Arc::new(Namespaced::named(MemoryStore::new(), "a").unwrap())));
    both("limited", BlockOn(Limited::new(MemoryStore::new(), Quota::total_bytes(1 << 30))));
    both("aliased", BlockOn(Arc::new(Aliased::new(MemoryStore::new(), "actual", "main").unwrap())));
    both("sealed", BlockOn(seal(MemoryStore::new())));
    // A tool on the whole store, beside a guest in a namespace.
    let store = MemoryStore::new();
    let guest = BlockOn(Namespaced::new(store.clone(), Vec::new()));
    a_fork_beside_a_faster_guest("namespaced and whole", guest, store);
}
