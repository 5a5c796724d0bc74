//! Random sequences of the engine, with tools that fork, restore, flatten, remove and collect, all
//! through views that share a cache. The writer must not notice the view, and every fork must be what
//! it is without one.

use std::cell::Cell;
use std::rc::Rc;

use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_layer_cache::LayerCache;
use kvfs_trust::below::Below;
use kvfs_trust::ops::{Op, Setup};
use kvfs_trust::run::{Check, Runner};
use kvfs_trust::shrink::{first_failure, no_seed_fails};
use kvfs_trust::store::{TestStore, Tool};
use kvfs_trust::tools::{Tools, check_layers};

use crate::server::{Lie, Server};
use crate::viewed::Viewed;

/// The views of one server: the writer's, and one for each act of a tool.
struct Views {
    server: Server,
    cache: LayerCache,
    writers: Viewed,
    tools: Viewed,
    /// The number of the act, while a tool acts.
    act: Rc<Cell<Option<u64>>>,
    last_act: Option<u64>,
}

impl Views {
    fn now(&mut self) -> &mut Viewed {
        let act = self.act.get();
        if act.is_some() && act != self.last_act {
            self.tools = Viewed::new(&self.server, &self.cache);
            self.last_act = act;
        }
        if act.is_some() { &mut self.tools } else { &mut self.writers }
    }
}

impl KvStore for Views {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.now().limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.now().get(keys)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        self.now().scan(start, end, max_entries, max_bytes)
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.now().apply(guards, mutations, level)
    }
}

impl Below for Views {
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.writers = Viewed::new(&self.server, &self.cache);
        Ok(())
    }

    fn is_late(&self) -> bool {
        true
    }
}

/// A tool whose acts are told apart.
#[derive(Debug)]
struct Told {
    tool: Box<dyn Tool>,
    acts: u64,
    act: Rc<Cell<Option<u64>>>,
}

impl Tool for Told {
    fn act(&mut self, store: &TestStore) {
        self.acts += 1;
        self.act.set(Some(self.acts));
        self.tool.act(store);
        self.act.set(None);
    }
}

fn run(setup: &Setup, ops: &[Op], memory_bytes: u64, lie: Option<Lie>) -> Result<LayerCache, String> {
    let setup = &Setup { quota: None, scan_entries_max: u32::MAX, ..setup.clone() };
    let server = Server::new(setup.limits);
    server.look().lie = lie;
    let cache = LayerCache::new(memory_bytes);
    let act = Rc::new(Cell::new(None));
    let views = Views {
        writers: Viewed::new(&server, &cache),
        tools: Viewed::new(&server, &cache),
        server,
        cache: cache.clone(),
        act: act.clone(),
        last_act: None,
    };
    let store = TestStore::over(Default::default(), setup.limits, Box::new(views));
    let seed = format!("{:?}{:?}", setup.limits, ops.first()).bytes().map(u64::from).sum();
    let tools = Tools::on(&store, setup, seed);
    let tool = store.0.borrow_mut().tool.take();
    let told = tool.map(|tool| Box::new(Told { tool, acts: 0, act: act.clone() }) as Box<dyn Tool>);
    store.0.borrow_mut().tool = told;
    let mut runner = Runner::new(setup, store.clone(), false)?;
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op)?;
    }
    runner.finish()?;
    drop(runner);
    act.set(Some(u64::MAX));
    tools.finish(&store)?;
    check_layers(&store)?;
    Ok(cache)
}

#[test]
fn a_writer_and_tools_with_views_between_match_the_reference() {
    let hits = std::sync::atomic::AtomicU64::new(0);
    let check = |setup: &Setup, ops: &[Op]| -> Check {
        // Some of the caches hold everything, others nearly nothing.
        let memory_bytes = if ops.len().is_multiple_of(2) { 4 << 20 } else { 8 << 10 };
        let cache = run(setup, ops, memory_bytes, None)?;
        hits.fetch_add(cache.counts().hits, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    };
    no_seed_fails(200, 60, &check);
    let hits = hits.into_inner();
    println!("{hits} answers from the cache");
    assert!(std::env::var("KVFS_SEED").is_ok() || hits > 1_000, "{hits}");
}

#[test]
fn sequences_of_odd_length_match_with_a_small_cache() {
    no_seed_fails(300, 61, &|setup, ops| run(setup, ops, 8 << 10, None).map(drop));
}

#[test]
fn a_top_layer_in_the_cache_is_noticed() {
    let check = |setup: &Setup, ops: &[Op]| run(setup, ops, 4 << 20, Some(Lie::TopsAreFrozen)).map(drop);
    let story = first_failure(0..200, 60, &check).expect("a top layer was kept, and nobody noticed");
    println!("{}", story.lines().next().unwrap_or_default());
}
