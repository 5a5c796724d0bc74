//! A store with its runtime, from threads with and without one of their own.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use kvfs_contract::{AsyncKvStore, Durability, Mutation};
use kvfs_remote::Remote;
use kvfs_remote::testing::{Delayed, Memory, Rounds};

const DELAY: Duration = Duration::from_millis(250);

type Far = Remote<Rounds<Delayed<Memory>>>;

fn far() -> Far {
    let open = async { Ok::<_, io::Error>(Rounds::new(Delayed::new(Memory::new(), DELAY))) };
    Remote::open("test", open).unwrap()
}

fn put(store: &Far, key: &[u8]) {
    store.apply(&[], &[Mutation::Put { key, value: b"value" }], Durability::Buffered).unwrap();
}

#[test]
fn a_store_answers_any_thread() {
    let store = far();
    put(&store, b"a");
    let other = store.clone();
    thread::spawn(move || put(&other, b"b")).join().unwrap();
    // A thread of another runtime, whose own function for waiting would panic.
    let other = store.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async move { put(&other, b"c") });
    assert_eq!(store.scan(b"", b"", 10, 1000).unwrap().len(), 3);
}

#[test]
fn its_futures_need_no_executor_of_a_certain_kind() {
    let store = far();
    put(&store, b"a");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let values = runtime.block_on(AsyncKvStore::get(&store, &[b"a", b"b"])).unwrap();
    assert_eq!(values, [Some("value".into()), None]);
    // The last handle may go on a thread of a runtime, where a runtime must not be dropped.
    runtime.block_on(async move { drop(store) });
}

#[test]
fn calls_at_the_same_time_travel_at_the_same_time_and_count_one_round() {
    let store = far();
    store.store().reset();
    let begin = Instant::now();
    thread::scope(|scope| {
        for key in [b"a", b"b", b"c", b"d"] {
            let store = store.clone();
            scope.spawn(move || put(&store, key));
        }
    });
    assert!(begin.elapsed() >= DELAY && begin.elapsed() < DELAY * 4, "{:?}", begin.elapsed());
    assert_eq!((store.store().calls(), store.store().rounds()), (4, 1));
    store.get(&[b"a", b"b"]).unwrap();
    put(&store, b"e");
    assert_eq!((store.store().calls(), store.store().rounds()), (6, 3));
}

#[test]
fn an_error_of_opening_is_handed_on() {
    let fails = async { Err::<Memory, _>(io::Error::other("no such server")) };
    assert_eq!(Remote::open("test", fails).unwrap_err().to_string(), "no such server");
}
