//! What operations cost in requests, which is what an object store bills.

use crate::objects::{Objects, Store, open, over};
use kvfs_contract::{AsyncKvStore, Durability, KvStore};
use kvfs_slatedb_store::Counts;
use kvfs_store_rig::{Calls, Changes};
use kvfs_test_servers::wait_until;
use std::time::Duration;

/// Returns the requests that `work` makes.
fn cost(store: &mut Store, work: impl FnOnce(&mut Store)) -> Counts {
    let before = store.store.counts();
    work(store);
    let after = store.store.counts();
    Counts {
        puts: after.puts - before.puts,
        gets: after.gets - before.gets,
        lists: after.lists - before.lists,
        deletes: after.deletes - before.deletes,
    }
}

/// Returns the requests that `work` makes, without those of the background: the fewest of three times.
fn least(store: &mut Store, work: impl Fn(&mut Store)) -> Counts {
    (0..3).map(|_| cost(store, &work)).min_by_key(total).unwrap()
}

fn total(counts: &Counts) -> u64 {
    counts.puts + counts.gets + counts.lists + counts.deletes
}

/// Waits until the background's first looks are over.
fn settle(store: &mut Store) {
    let look = Duration::from_millis(500);
    wait_until("it is idle", || total(&cost(store, |_| std::thread::sleep(look))) == 0);
}

fn puts(puts: u64) -> Counts {
    Counts { puts, ..Counts::default() }
}

#[test]
fn a_durable_apply_is_one_put_and_a_buffered_one_none() {
    let mut store = open(over(&Objects::new()));
    settle(&mut store);
    let set = |store: &mut Store, durable| {
        store.set(&[(b"zz", None)], &[(b"a", Some(&[1; 1000]))], durable).unwrap();
    };
    assert_eq!(least(&mut store, |store| set(store, false)), puts(0));
    assert_eq!(least(&mut store, |store| set(store, true)), puts(1));
    let large: Changes = (0..200).map(|number| (vec![number], Some(vec![number; 32 << 10]))).collect();
    assert_eq!(least(&mut store, |store| store.make(&large, true).unwrap()), puts(1));
    let barrier = |store: &mut Store| store.apply(&[], &[], Durability::Durable).unwrap();
    assert_eq!(least(&mut store, barrier), puts(0), "nothing waits");
    let many = |store: &mut Store| (0..100).for_each(|_| set(store, false));
    assert_eq!(least(&mut store, many), puts(0));
    let many_and_a_barrier = |store: &mut Store| {
        many(store);
        barrier(store);
    };
    assert_eq!(least(&mut store, many_and_a_barrier), puts(1));
    // What was written lately is in memory.
    let read = |store: &mut Store| assert_eq!(store.entries(b"", b"").unwrap().len(), 200);
    assert_eq!(least(&mut store, read), puts(0));
}

#[test]
fn reading_cold_costs_few_gets_and_reading_again_none() {
    let objects = Objects::new();
    let mut store = open(over(&objects));
    let files: Changes =
        (0..2000u32).map(|number| (number.to_be_bytes().to_vec(), Some(vec![1; 1000]))).collect();
    store.make(&files, true).unwrap();
    store.wait(store.store.close()).unwrap();
    drop(store);
    let mut store = open(over(&objects));
    settle(&mut store);
    let one = |store: &mut Store| assert!(store.value_of(&1000u32.to_be_bytes()).unwrap().is_some());
    let cold = cost(&mut store, one);
    assert!(cold.gets <= 4 && cold.puts + cold.lists == 0, "{cold:?}: filter, index, block");
    assert_eq!(cost(&mut store, one), puts(0));
    let absent = |store: &mut Store| assert!(store.value_of(b"nobody").unwrap().is_none());
    assert_eq!(cost(&mut store, absent), puts(0), "the filter knows");
    // 2 MB, at most 1 MiB a request.
    let all = |store: &mut Store| assert_eq!(store.entries(b"", b"").unwrap().len(), 2000);
    let cold = cost(&mut store, all);
    assert!(cold.gets <= 8 && cold.puts + cold.lists == 0, "{cold:?}");
    assert_eq!(cost(&mut store, all), puts(0));
}

#[test]
fn opening_costs_the_same_whatever_there_is() {
    let objects = Objects::new();
    let mut costs = Vec::new();
    for round in 0..8u32 {
        let mut store = open(over(&objects));
        costs.push(store.store.counts());
        for number in 0..50 * round {
            store.set(&[], &[(&number.to_be_bytes(), Some(&[1; 1000]))], true).unwrap();
        }
        store.wait(store.store.close()).unwrap();
    }
    // What the background does at once may be counted or not: a look for work, on a busy machine a merge.
    let least = |costs: &[Counts]| costs.iter().copied().min_by_key(total).unwrap();
    let (small, large) = (least(&costs[1..4]), least(&costs[4..]));
    assert!(small.puts <= 6 && small.lists <= 3 && small.gets <= 26, "{costs:?}");
    assert!(total(&large) <= total(&small) + 2, "{costs:?}");
}

#[test]
fn an_idle_store_costs_little() {
    let mut store = open(over(&Objects::new()));
    store.set(&[], &[(b"a", Some(b"1"))], true).unwrap();
    settle(&mut store);
    let idle = cost(&mut store, |_| std::thread::sleep(Duration::from_secs(20)));
    println!("{idle:?}");
    assert!(idle.puts == 0 && idle.gets + idle.lists <= 8, "{idle:?} in 20 s");
}
