//! The engine's own crash test on a store whose server outlives its programs.

use crate::calls::{Calls, State};
use crate::trial::{DropsApplies, Medium, OnTrial, many, notices};
use kvfs_contract::{Durability, KvStore, StoreError};
use kvfs_test_servers::{Direction, How, Proxy};
use kvfs_trust::cuts::{Cuts, Loss, Mark, Met, within};
use kvfs_trust::moments::Ran;
use kvfs_trust::ops::{Op, Setup};
use kvfs_trust::store::{Map, TestStore};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Opens the store of a name on the server at an address, and makes it if it is not there.
pub type OpenServed<S> = fn(SocketAddr, &str) -> Result<S, StoreError>;

/// Fewer than on simulated media: after each apply a volume is opened on a real server.
const SEQUENCES: u64 = 12;
const OPERATIONS: usize = 30;

/// Every so many applies the connection is cut.
const APPLIES_A_CUT: usize = 4;

/// A store of a server, and what it held after each apply.
struct Watched<S> {
    open: OpenServed<S>,
    name: String,
    server: SocketAddr,
    /// The way of the store on trial.
    proxy: Option<Proxy>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    now: Mark,
    after: Vec<(Mark, State)>,
    /// Why the store could not be looked at.
    failed: Option<StoreError>,
}

impl<S: KvStore> Watched<S> {
    /// Makes a store that no other sweep uses.
    fn new(open: OpenServed<S>, server: SocketAddr, proxy: Option<Proxy>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("sweep{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { open, name, server, proxy, seen: Arc::default() }
    }

    /// Opens it with nothing in between.
    fn directly(&self) -> Result<S, StoreError> {
        (self.open)(self.server, &self.name)
    }
}

impl<S: KvStore> Medium for Watched<S> {
    type Store = S;

    fn open(&self, _opening: u64) -> Result<S, StoreError> {
        let way = self.proxy.as_ref().map_or(self.server, Proxy::address);
        (self.open)(way, &self.name)
    }

    fn mark<T>(&self, change: impl FnOnce(&mut Mark) -> T) -> T {
        change(&mut self.seen.lock().unwrap().now)
    }

    fn level(&self, level: Durability, number: usize) -> Durability {
        if let Some(proxy) = self.proxy.as_ref().filter(|_| number.is_multiple_of(APPLIES_A_CUT)) {
            let is_odd = (number / APPLIES_A_CUT) % 2 == 1;
            let direction = if is_odd { Direction::Down } else { Direction::Up };
            proxy.cut_after(direction, number as u64 * 37 % 300, How::Reset);
        }
        level
    }

    /// Looks with a handle of its own, as the next host would.
    fn applied(&self, _store: &S) {
        if let Some(proxy) = &self.proxy {
            proxy.cancel_cut();
        }
        let found = self.directly().and_then(|mut other| other.entries(b"", b""));
        let seen = &mut *self.seen.lock().unwrap();
        match found {
            Ok(state) => seen.after.push((seen.now, state)),
            Err(error) => seen.failed = Some(error),
        }
    }
}

/// Sweeps random sequences on stores of a server, none of which may fail. Then checks that an apply
/// that is dropped is noticed.
///
/// # Panics
/// If a sequence fails, with the shortest one that does, or if none fails where one must.
pub fn sweep_server<S: KvStore + 'static>(open: OpenServed<S>, server: SocketAddr) {
    let all =
        many(SEQUENCES, OPERATIONS, |setup, ops| sweep((open, server), setup, ops, DropsApplies(false)));
    println!("{all:?}");
    let enough = all.cuts > 120;
    assert!(std::env::var("KVFS_SEED").is_ok() || enough, "these must be among them: {all:?}");
    let drops = DropsApplies(true);
    notices(&drops, OPERATIONS, |setup, ops| sweep((open, server), setup, ops, drops));
}

/// Runs a sequence on a store of a server, with cuts of its connection, and kills its host after each
/// apply: what the server then holds is put into another store, where the volume is opened and
/// checked.
///
/// # Errors
/// What is wrong, for the first such kill.
fn sweep<S: KvStore + 'static>(
    (open, server): (OpenServed<S>, SocketAddr),
    setup: &Setup,
    ops: &[Op],
    drops: DropsApplies,
) -> Result<Met, String> {
    let failed = |what: &'static str| move |error: StoreError| format!("{what}: {error:?}");
    let watched = Watched::new(open, server, Some(Proxy::start(server)));
    let seen = watched.seen.clone();
    let limits = watched.directly().and_then(|mut store| store.limits()).map_err(failed("limits"))?;
    let setup = within(setup, &limits);
    let below = Box::new(OnTrial::open(watched, drops).map_err(failed("opening"))?);
    let ran = Ran::new(&setup, ops, TestStore::over(Map::new(), setup.limits, below))?;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    if let Some(error) = seen.failed {
        return Err(format!("another handle: {error:?}"));
    }
    let mut cuts = Cuts::new(ran);
    for (mark, state) in [(Mark::default(), State::new())].into_iter().chain(seen.after) {
        // The mark was set before the apply was acknowledged.
        let mark = Mark { acknowledged: mark.begun, ..mark };
        let copy = Watched::new(open, server, None);
        let mut store = copy.directly().map_err(failed("opening a copy"))?;
        fill(&mut store, &state).map_err(failed("filling a copy"))?;
        drop(store);
        OnTrial::open(copy, DropsApplies(false))
            .map_err(failed("opening what is left"))
            .and_then(|store| cuts.check(mark, Loss::Nothing, Box::new(store)))
            .map_err(|what| format!("killed after apply {}: {what}", mark.begun))?;
    }
    Ok(cuts.met)
}

/// Puts entries into an empty store, as many at once as it takes.
fn fill(store: &mut impl KvStore, state: &State) -> Result<(), StoreError> {
    let limits = store.limits()?;
    let (mut part, mut bytes) = (Vec::new(), 0);
    for (key, value) in state {
        let more = key.len() + value.len();
        if part.len() >= limits.max_batch_entries as usize || bytes + more > limits.max_batch_bytes as usize {
            store.set(&[], &std::mem::take(&mut part), false)?;
            bytes = 0;
        }
        part.push((&key[..], Some(&value[..])));
        bytes += more;
    }
    store.set(&[], &part, true)
}
