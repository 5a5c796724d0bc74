//! Long streams: they wait for no timer, and cost few requests.

use crate::objects::{Store, open};
use kvfs_contract::{AsyncKvStore, Durability, KvStore};
use kvfs_slatedb_store::{Config, Counts};
use kvfs_store_rig::{Calls, Changes};
use kvfs_test_servers::{SOON, wait_until};
use object_store::memory::InMemory;
use std::sync::Arc;
use std::time::{Duration, Instant};

const VALUE_BYTES: usize = 16 << 10;
const VALUES_A_MIB: u32 = 64;
const VALUES_AN_APPLY: u32 = 16;

fn config(objects: &Arc<InMemory>) -> Config {
    let mut config = Config::over(objects.clone(), "agents", true);
    config.create = true;
    config
}

/// Writes so many MiB in applies of a quarter, the last of them durably. Returns the longest call.
fn stream(store: &mut Store, mib: u32) -> Duration {
    let mut longest = Duration::ZERO;
    let applies = mib * VALUES_A_MIB / VALUES_AN_APPLY;
    for part in 0..applies {
        let values = part * VALUES_AN_APPLY..(part + 1) * VALUES_AN_APPLY;
        let changes: Changes = values
            .map(|number| (number.to_be_bytes().to_vec(), Some(vec![number as u8; VALUE_BYTES])))
            .collect();
        let begun = Instant::now();
        store.make(&changes, part + 1 == applies).unwrap();
        longest = longest.max(begun.elapsed());
    }
    longest
}

fn total(counts: &Counts) -> u64 {
    counts.puts + counts.gets + counts.lists + counts.deletes
}

/// Returns the requests of the next seconds.
fn requests(store: &Store, time: Duration) -> u64 {
    let before = total(&store.store.counts());
    std::thread::sleep(time);
    total(&store.store.counts()) - before
}

#[test]
fn a_stream_of_many_tables_is_merged_as_it_comes_and_waits_for_no_look() {
    let objects = Arc::new(InMemory::new());
    let mut config = config(&objects);
    // More new tables than there may be at once, several times.
    config.table_bytes = 128 << 10;
    let mut store = open(config);
    let begun = Instant::now();
    let longest = stream(&mut store, 24);
    let took = begun.elapsed();
    println!("24 MiB in {took:?}, the longest call {longest:?}");
    // A look comes every 30 seconds.
    assert!(longest < SOON && took < 3 * SOON, "{took:?}, {longest:?}");
    // What is left to merge is merged; then it is idle.
    wait_until("all is merged", || requests(&store, Duration::from_secs(1)) == 0);
    let idle = requests(&store, Duration::from_secs(5));
    assert!(idle <= 8, "{idle} requests in 5 s");
    assert_eq!(store.entries(b"", b"").unwrap().len(), 24 * VALUES_A_MIB as usize);
}

#[test]
fn a_stream_costs_less_than_a_put_for_each_two_mib() {
    const MIB: u32 = 64;
    let objects = Arc::new(InMemory::new());
    let mut store = open(config(&objects));
    let before = store.store.counts();
    stream(&mut store, MIB);
    // The last table.
    store.wait(store.store.close()).unwrap();
    let after = store.store.counts();
    let (puts, lists) = (after.puts - before.puts, after.lists - before.lists);
    println!("{puts} puts and {lists} lists for {MIB} MiB");
    assert!(puts <= u64::from(MIB / 2) && lists <= 16, "{puts} puts, {lists} lists");
    // A new program reads it in order, a MiB at once.
    let mut store = open(config(&objects));
    store.apply(&[], &[], Durability::Durable).unwrap();
    let before = store.store.counts();
    for part in 0..MIB {
        let keys: Vec<_> = (part * VALUES_A_MIB..(part + 1) * VALUES_A_MIB).map(u32::to_be_bytes).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
        assert!(store.get(&keys).unwrap().iter().all(Option::is_some));
    }
    let gets = store.store.counts().gets - before.gets;
    println!("{gets} gets to read {MIB} MiB");
    assert!(gets <= u64::from(MIB) * 4, "{gets} gets");
}
