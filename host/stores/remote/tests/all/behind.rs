//! Writing behind: what the server gets, and what becomes of what it does not.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_remote::testing::{Delayed, Memory, Rounds};
use kvfs_remote::{Pace, Remote, WriteBehind};
use kvfs_store_rig::Calls;

use crate::near::{EAGER, LAZY, Near};
use crate::server::{Fate, Map, Server};

/// Time of a call that takes long.
const WAY: Duration = Duration::from_secs(1);

fn near(pace: Pace) -> (Server, Near<Server>) {
    let server = Server::new(Map::new());
    (server.clone(), Near::new(server, pace))
}

fn put(store: &mut impl KvStore, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    store.set(&[], &[(key, Some(value))], false)
}

/// Counts up under a guard, as the engine does with its superblock.
fn step(store: &mut impl KvStore, to: u8, durable: bool) -> Result<(), StoreError> {
    let old = [to - 1];
    let expected = (to > 1).then_some(&old[..]);
    let mark = [b'm', to];
    store.set(&[(b"s", expected)], &[(b"s", Some(&[to])), (&mark, Some(b"made"))], durable)
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn many_buffered_applies_are_one_of_the_server_and_the_caller_waits_for_none() {
    let rounds = Rounds::new(Delayed::new(Memory::new(), WAY));
    let mut store = Near::new(rounds, Pace { max_age: WAY / 4, ..Pace::DEFAULT });
    let begin = Instant::now();
    for number in 0..=200_u8 {
        put(&mut store, b"counter", &[number]).unwrap();
        put(&mut store, &[b'k', number], b"value").unwrap();
    }
    assert_eq!(store.value_of(b"counter").unwrap(), Some(vec![200]));
    assert!(begin.elapsed() < WAY, "{:?}", begin.elapsed());
    // Age alone sends it.
    wait_until("nothing was sent", || store.inner().inner().inner().dump().len() == 202);
    assert!(store.inner().calls() <= 2, "{} calls", store.inner().calls());
}

#[test]
fn so_many_bytes_are_sent_at_once() {
    let pace = Pace { max_age: Duration::from_secs(3600), min_bytes: 4096 };
    let (server, mut store) = near(pace);
    put(&mut store, b"small", b"x").unwrap();
    thread::sleep(Duration::from_millis(20));
    assert!(server.look(|contents| contents.live.is_empty()));
    put(&mut store, b"large", &[7; 4096]).unwrap();
    wait_until("nothing was sent", || server.look(|contents| contents.live.len() == 2));
}

#[test]
fn more_than_a_batch_is_sent_in_several_and_in_order() {
    for pace in [LAZY, EAGER] {
        let limits = Limits { max_batch_entries: 3, ..Limits::standard(true) };
        let server = Server { limits, ..Server::new(Map::new()) };
        let mut store = Near::new(server.clone(), pace);
        for to in 1..=100 {
            step(&mut store, to, false).unwrap();
        }
        assert_eq!(store.value_of(b"s").unwrap(), Some(vec![100]));
        assert_eq!(store.entries(b"m", b"n").unwrap().len(), 100);
        step(&mut store, 101, true).unwrap();
        // At each moment the server had all steps up to one.
        server.look(|contents| {
            assert!(contents.log.len() >= 50, "{}", contents.log.len());
            for (live, _) in &contents.log {
                assert_eq!(live.len(), 1 + usize::from(live[&b"s"[..]][0]));
            }
            assert_eq!(contents.durable.len(), 102);
        });
    }
}

#[test]
fn a_durable_apply_takes_everything_with_it_in_one_call() {
    let (server, mut store) = near(LAZY);
    step(&mut store, 1, false).unwrap();
    assert_eq!(server.look(|contents| contents.log.len()), 1, "the first guard is the server's to check");
    step(&mut store, 2, false).unwrap();
    step(&mut store, 3, false).unwrap();
    assert_eq!(server.look(|contents| contents.log.len()), 1);
    step(&mut store, 4, true).unwrap();
    server.look(|contents| assert_eq!((contents.log.len(), contents.durable.len()), (2, 5)));
    step(&mut store, 5, false).unwrap();
    store.apply(&[], &[], Durability::Durable).unwrap();
    server.look(|contents| assert_eq!((contents.log.len(), contents.durable.len()), (3, 6)));
}

#[test]
fn guards_are_checked_against_what_is_held_and_what_the_server_has() {
    let (server, mut store) = near(LAZY);
    server.look(|contents| contents.live.insert(b"old".to_vec(), b"1".to_vec()));
    let conflict = Err(StoreError::Conflict);
    assert_eq!(store.set(&[(b"old", None)], &[(b"x", Some(b"1"))], false), conflict);
    assert_eq!(store.set(&[(b"old", Some(b"2"))], &[(b"x", Some(b"1"))], false), conflict);
    store.set(&[(b"old", Some(b"1"))], &[(b"old", Some(b"2"))], false).unwrap();
    assert_eq!(store.set(&[(b"old", Some(b"1"))], &[(b"x", Some(b"1"))], false), conflict);
    assert_eq!(store.set(&[(b"old", Some(b"1"))], &[(b"x", Some(b"1"))], true), conflict);
    store.set(&[(b"old", Some(b"2"))], &[(b"old", None)], false).unwrap();
    store.set(&[(b"old", None)], &[(b"x", Some(b"1"))], true).unwrap();
    assert_eq!(server.look(|contents| contents.live.clone()), Map::from([(b"x".to_vec(), b"1".to_vec())]));
    // Of one key, in one apply and in two that are sent as one.
    assert_eq!(store.set(&[(b"x", Some(b"1")), (b"x", None)], &[(b"y", Some(b"1"))], true), conflict);
    store.set(&[(b"x", Some(b"1"))], &[(b"y", Some(b"1"))], false).unwrap();
    assert_eq!(store.set(&[(b"x", None)], &[(b"y", Some(b"2"))], true), conflict);
    store.set(&[(b"x", Some(b"1"))], &[(b"y", None)], true).unwrap();
    // Another client may change a key that nothing is held for.
    server.look(|contents| contents.live.insert(b"old".to_vec(), b"3".to_vec()));
    assert_eq!(store.set(&[(b"old", None)], &[(b"x", Some(b"2"))], true), conflict);
    store.set(&[(b"old", Some(b"3"))], &[(b"x", Some(b"2"))], false).unwrap();
}

#[test]
fn a_server_that_is_away_gets_everything_when_it_is_back() {
    for pace in [LAZY, EAGER] {
        let (server, mut store) = near(pace);
        step(&mut store, 1, true).unwrap();
        server.look(|contents| contents.is_away = true);
        let mut made = 1;
        // As long as it is not known that the server is away, applies are acknowledged.
        let refused = loop {
            match step(&mut store, made + 1, made % 20 == 0) {
                Ok(()) => made += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
        assert!(matches!(step(&mut store, made + 1, false), Err(StoreError::Unavailable(_))));
        assert!(matches!(store.0.close(), Err(StoreError::Unavailable(_))));
        assert_eq!(store.value_of(b"s").unwrap(), Some(vec![made]), "it is held");
        server.look(|contents| contents.is_away = false);
        step(&mut store, made + 1, false).unwrap();
        store.0.close().unwrap();
        server.look(|contents| assert_eq!(contents.durable.len(), usize::from(made) + 2));
    }
}

#[test]
fn a_server_that_comes_back_is_found_without_another_apply() {
    let (server, mut store) = near(EAGER);
    server.look(|contents| contents.is_away = true);
    put(&mut store, b"k", b"v").unwrap();
    thread::sleep(Duration::from_millis(50));
    server.look(|contents| contents.is_away = false);
    wait_until("it was not sent again", || server.look(|contents| contents.live.len() == 1));
}

#[test]
fn a_full_server_still_takes_removals() {
    let (server, mut store) = near(LAZY);
    put(&mut store, b"a", &[1; 1000]).unwrap();
    store.apply(&[], &[], Durability::Durable).unwrap();
    server.look(|contents| contents.max_bytes = 1500);
    put(&mut store, b"b", &[2; 1000]).unwrap();
    let full = store.apply(&[], &[], Durability::Durable);
    assert_eq!(full, Err(StoreError::QuotaExceeded));
    assert_eq!(put(&mut store, b"c", &[3; 1000]), Err(StoreError::QuotaExceeded));
    assert_eq!(store.value_of(b"c").unwrap(), None);
    assert_eq!(store.value_of(b"b").unwrap(), Some(vec![2; 1000]));
    // With the removal, all of it has room.
    store.set(&[], &[(b"a", None)], false).unwrap();
    store.apply(&[], &[], Durability::Durable).unwrap();
    server.look(|contents| assert_eq!(contents.durable.keys().collect::<Vec<_>>(), [b"b"]));
}

#[test]
fn what_another_opener_refuses_fails_every_later_call_and_says_so() {
    for pace in [LAZY, EAGER] {
        let (server, mut store) = near(pace);
        step(&mut store, 1, true).unwrap();
        let mut other = Near::new(server.clone(), LAZY);
        other.set(&[(b"s", Some(&[1]))], &[(b"s", Some(b"taken"))], true).unwrap();
        let mut made = 1;
        let refused = loop {
            match step(&mut store, made + 1, made == 100) {
                Ok(()) => made += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, StoreError::Conflict);
        assert_eq!(step(&mut store, 2, false), Err(StoreError::Conflict));
        // The guarded key shows who has taken it; nothing else is answered.
        assert_eq!(store.value_of(b"s").unwrap().as_deref(), Some(&b"taken"[..]));
        for answer in [store.value_of(b"m\x01").map(drop), store.entries(b"", b"").map(drop), store.0.close()]
        {
            let Err(StoreError::Unavailable(why)) = answer else { panic!("{answer:?}") };
            assert!(why.contains("another program") && why.contains("open it anew"), "{why}");
        }
        assert!(matches!(put(&mut store, b"x", b""), Err(StoreError::Unavailable(_))));
        server.look(|contents| assert_eq!(contents.live.len(), 2, "{:?}", contents.live.keys()));
    }
}

#[test]
fn of_two_volumes_the_one_that_is_not_taken_keeps_what_it_was_told_durable() {
    let (server, mut store) = near(LAZY);
    step(&mut store, 1, true).unwrap();
    put(&mut store, b"other volume", b"1").unwrap();
    server.look(|contents| contents.live.insert(b"s".to_vec(), b"taken".to_vec()));
    // Refused is this apply, and not what is held.
    assert_eq!(step(&mut store, 2, true), Err(StoreError::Conflict));
    put(&mut store, b"other volume", b"2").unwrap();
    store.0.close().unwrap();
    server.look(|contents| assert_eq!(contents.durable[&b"other volume"[..]], b"2"));
}

#[test]
fn a_caller_that_gives_up_leaves_all_of_its_apply_or_nothing() {
    let server = Server::new(Map::new());
    let delayed = Delayed::new(server.clone(), Duration::from_millis(20));
    let mut store = Near::new(delayed, LAZY);
    step(&mut store, 1, false).unwrap();
    step(&mut store, 2, false).unwrap();
    let (guards, mutations) = (
        [Guard { key: &b"s"[..], expected: Some(&[2_u8][..]) }],
        [Mutation::Put { key: &b"s"[..], value: &[3][..] }, Mutation::Put { key: &b"m\x03"[..], value: b"" }],
    );
    {
        let mut call = pin!(AsyncKvStore::apply(&store.0, &guards, &mutations, Durability::Durable));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(call.as_mut().poll(&mut cx), Poll::Pending));
    }
    assert_eq!(store.value_of(b"s").unwrap(), Some(vec![3]));
    step(&mut store, 4, true).unwrap();
    server.look(|contents| assert_eq!(contents.durable.len(), 5));
}

#[test]
fn a_reader_sees_all_of_an_apply_or_nothing_while_it_is_sent() {
    let delayed = Delayed::new(Memory::new(), Duration::from_micros(200));
    let open = async { WriteBehind::new(delayed, EAGER).await.map_err(std::io::Error::other) };
    let store = Remote::open("test", open).unwrap();
    let acknowledged = AtomicU32::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1..300_u32 {
                let value = number.to_be_bytes();
                let puts = [b"a", b"b"].map(|key| Mutation::Put { key: &key[..], value: &value[..] });
                store.apply(&[], &puts, Durability::Buffered).unwrap();
                acknowledged.store(number, Ordering::SeqCst);
                if number % 3 == 0 {
                    thread::sleep(Duration::from_micros(150));
                }
            }
        });
        let mut reads = 0;
        while !writer.is_finished() || reads < 20 {
            let values = store.get(&[b"a", b"b", b"absent"]).unwrap();
            assert_eq!(values[0], values[1]);
            // Of what is held, what is sent and what the server has, the latest counts.
            let least = acknowledged.load(Ordering::SeqCst);
            let page = store.scan(b"a", b"c", 10, 1000).unwrap();
            assert!(page.is_empty() || page.len() == 2 && page[0].value == page[1].value);
            let found =
                page.first().map_or(0, |entry| u32::from_be_bytes(entry.value[..].try_into().unwrap()));
            assert!(found >= least, "{found} after {least} was acknowledged");
            reads += 1;
        }
    });
}

#[test]
fn a_change_without_a_guard_is_not_sent_twice() {
    let (server, mut store) = near(LAZY);
    put(&mut store, b"k", b"v").unwrap();
    server.look(|contents| contents.fate = Some(|_| Fate::Lost));
    // It could come late, over a newer value.
    assert_eq!(store.apply(&[], &[], Durability::Durable), Err(StoreError::UnknownOutcome));
    server.look(|contents| {
        assert_eq!(contents.applies, 1);
        contents.fate = None;
    });
    assert!(matches!(store.value_of(b"k"), Err(StoreError::Unavailable(_))));
}

#[test]
fn a_change_that_may_come_again_keeps_others_of_its_keys_waiting() {
    let (server, mut store) = near(LAZY);
    step(&mut store, 1, true).unwrap();
    server
        .look(|contents| contents.fate = Some(|apply| if apply == 2 { Fate::Lost } else { Fate::Answered }));
    // Guarded as an extent that goes ahead of its commit: the guarded key does not change.
    let ahead = |store: &mut Near<Server>, key: &[u8], value: &[u8]| {
        store.set(&[(b"s", Some(&[1]))], &[(key, Some(value))], true)
    };
    ahead(&mut store, b"x", b"1").unwrap();
    ahead(&mut store, b"y", b"1").unwrap();
    assert!(matches!(ahead(&mut store, b"x", b"2"), Err(StoreError::Unavailable(_))));
    assert_eq!(store.value_of(b"x").unwrap().as_deref(), Some(&b"1"[..]));
    // From here on the server refuses the lost call.
    step(&mut store, 2, true).unwrap();
    store.set(&[(b"s", Some(&[2]))], &[(b"x", Some(b"2"))], true).unwrap();
    server.look(|contents| assert_eq!(contents.durable[&b"x"[..]], b"2"));
}

/// A server that takes applies when it is told to, and reads at once.
#[derive(Clone)]
struct Slow {
    memory: Memory,
    takes: Arc<AtomicBool>,
}

impl AsyncKvStore for Slow {
    type Bytes = Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        self.memory.limits().await
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.memory.get(keys).await
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Bytes>>, StoreError> {
        self.memory.scan(start, end, max_entries, max_bytes).await
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        while !self.takes.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.memory.apply(guards, mutations, level).await
    }
}

#[test]
fn of_what_is_held_and_what_is_on_its_way_the_latest_counts() {
    let slow = Slow { memory: Memory::new(), takes: Arc::new(AtomicBool::new(true)) };
    let mut store = Near::new(slow.clone(), EAGER);
    for key in [b"a", b"b", b"c"] {
        put(&mut store, key, b"there").unwrap();
    }
    store.apply(&[], &[], Durability::Durable).unwrap();
    slow.takes.store(false, Ordering::SeqCst);
    store.set(&[], &[(b"a", Some(b"first")), (b"b", None), (b"d", Some(b"first"))], false).unwrap();
    // By then it is on its way, and what follows waits behind it.
    thread::sleep(Duration::from_millis(50));
    store.set(&[], &[(b"a", Some(b"second")), (b"b", Some(b"second")), (b"d", None)], false).unwrap();
    let latest: Vec<(&[u8], &[u8])> = vec![(b"a", b"second"), (b"b", b"second"), (b"c", b"there")];
    for _ in 0..2 {
        let found = store.entries(b"", b"").unwrap();
        let found: Vec<(&[u8], &[u8])> = found.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        assert_eq!(found, latest);
        assert_eq!(store.value_of(b"a").unwrap().as_deref(), Some(&b"second"[..]));
        assert_eq!(store.value_of(b"d").unwrap(), None);
        slow.takes.store(true, Ordering::SeqCst);
        store.apply(&[], &[], Durability::Durable).unwrap();
    }
    assert_eq!(slow.memory.dump().len(), 3);
}
