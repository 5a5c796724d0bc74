//! A store on a server behind a proxy that cuts connections.

use std::time::Duration;

use kvfs_contract::{KvStore, StoreError};
use kvfs_test_servers::{Direction, How, Proxy, wait_until};

use crate::{Calls, Pair, number};

/// Counts up under a guard, with a mark for each step. Returns the number of the step.
///
/// # Panics
/// If the count cannot be read.
pub fn step(store: &mut impl KvStore, durable: bool) -> (u64, Result<(), StoreError>) {
    let before = store.value_of(b"count").unwrap();
    let next = before.as_deref().map_or(0, number) + 1;
    let mark = format!("mark {next}").into_bytes();
    let outcome = store.set(
        &[(b"count", before.as_deref()), (&mark, None)],
        &[(b"count", Some(&next.to_be_bytes())), (&mark, Some(&[7; 300]))],
        durable,
    );
    (next, outcome)
}

/// Returns the number of steps that were made.
///
/// # Panics
/// If it is not the number of marks.
pub fn counted(store: &mut impl KvStore) -> u64 {
    let count = store.value_of(b"count").unwrap().as_deref().map_or(0, number);
    assert_eq!(store.entries(b"mark", b"marl").unwrap().len() as u64, count, "marks");
    count
}

/// Returns about how many bytes a durable step takes in each direction.
///
/// # Panics
/// If a call fails.
pub fn apply_bytes(proxy: &Proxy, store: &mut impl KvStore) -> (u64, u64) {
    step(store, true).1.unwrap();
    store.value_of(b"count").unwrap();
    let before = store.value_of(b"count").unwrap();
    proxy.reset_counts();
    store.set(&[(b"count", before.as_deref())], &[(b"other", Some(&[7; 300]))], true).unwrap();
    (proxy.counts().up_bytes + 100, proxy.counts().down_bytes)
}

/// Cuts connections at every place of an apply, and lets the store connect again: each apply must be
/// made once. Returns the number of cuts.
///
/// # Panics
/// If one is not made, or is made twice.
pub fn an_apply_that_is_cut_anywhere_is_made_once(proxy: &Proxy, mut store: impl KvStore) -> u32 {
    let (up, down) = apply_bytes(proxy, &mut store);
    let mut steps = counted(&mut store);
    let mut cuts = 0;
    // No message is as short as a stride, but for the last ones of the statements.
    let places = (0..up).step_by(5).map(|place| (Direction::Up, place));
    let places = places.chain((0..down).step_by(3).map(|place| (Direction::Down, place)));
    for (direction, place) in places {
        for how in [How::Reset, How::Close] {
            let durable = place % 2 == 0;
            let before = store.value_of(b"count").unwrap().as_deref().map_or(0, number);
            proxy.cut_after(direction, place, how);
            let next = before + 1;
            let mark = format!("mark {next}").into_bytes();
            let outcome = store.set(
                &[(b"count", Some(&before.to_be_bytes())), (&mark, None)],
                &[(b"count", Some(&next.to_be_bytes())), (&mark, Some(&[7; 300]))],
                durable,
            );
            cuts += u32::from(!proxy.cancel_cut());
            outcome.unwrap_or_else(|error| panic!("{direction:?} {place} {how:?}: {error}"));
            steps += 1;
            assert_eq!(counted(&mut store), steps, "{direction:?} {place} {how:?}");
        }
    }
    cuts
}

/// Cuts connections at many places of an apply, and keeps the store from connecting again until its
/// patience is at an end: what it then says of the apply must be so.
///
/// # Panics
/// If it is not, or if no apply is unknown.
pub fn an_apply_that_is_cut_off_for_good_is_unknown_or_unavailable(proxy: &Proxy, mut store: impl KvStore) {
    let (up, down) = apply_bytes(proxy, &mut store);
    let (mut unknown, mut made) = (0, 0);
    let places = (0..up).step_by(100).map(|place| (Direction::Up, place));
    let places = places.chain((0..down).step_by(20).map(|place| (Direction::Down, place)));
    for (direction, place) in places {
        let before = counted(&mut store);
        let mark = format!("mark {}", before + 1).into_bytes();
        proxy.cut_after(direction, place, How::Reset);
        proxy.set_refusing(true);
        let outcome = store.set(
            &[(b"count", Some(&before.to_be_bytes()))],
            &[(b"count", Some(&(before + 1).to_be_bytes())), (&mark, Some(b""))],
            true,
        );
        let was_cut = !proxy.cancel_cut();
        let read = store.value_of(b"count");
        proxy.set_refusing(false);
        // Its patience is short, and a loaded machine may need more of it to connect.
        wait_until("the store answers again", || store.value_of(b"count").is_ok());
        let what = format!("{direction:?} {place}: {outcome:?}");
        match outcome {
            Ok(()) => assert_eq!(counted(&mut store), before + 1, "{what}"),
            Err(StoreError::Unavailable(_)) => assert_eq!(counted(&mut store), before, "{what}"),
            Err(StoreError::UnknownOutcome) => {
                assert!(was_cut, "{what}");
                // No read answers before it is known.
                assert!(matches!(read, Err(StoreError::Unavailable(_))), "{what}, {read:?}");
                let after = counted(&mut store);
                assert!(after == before || after == before + 1, "{what}");
                made += u32::from(after > before);
                unknown += 1;
            }
            other => panic!("{direction:?} {place}: {other:?}"),
        }
        // And it stays so.
        let now = counted(&mut store);
        step(&mut store, false).1.unwrap();
        assert_eq!(counted(&mut store), now + 1, "{what}");
    }
    assert!(made > 0 && unknown > made, "{unknown} unknown, {made} made");
}

/// Counts at the proxy that each call of an empty store is one round, whatever it carries.
///
/// # Panics
/// If one takes more.
pub fn each_call_is_one_round<S: KvStore>(proxy: &Proxy, mut store: S) {
    let value = vec![1; 100_000];
    store.set(&[], &[(b"a", Some(&value))], true).unwrap();
    // Opens the connection for reads.
    store.value_of(b"a").unwrap();
    proxy.set_delay(Duration::from_millis(30));
    let mut rounds = |what: &str, call: &mut dyn FnMut(&mut S)| {
        // A library may take a connection back beside its caller: a call right after another may find
        // none that is free, and open a second one.
        std::thread::sleep(Duration::from_millis(100));
        proxy.reset_counts();
        call(&mut store);
        let counts = proxy.counts();
        assert_eq!((counts.turns, counts.connections), (1, 0), "{what}");
        println!("{what}: {} bytes up, {} down", counts.up_bytes, counts.down_bytes);
    };
    rounds("get", &mut |store| drop(store.get(&[b"a", b"b"]).unwrap()));
    rounds("scan", &mut |store| drop(store.scan(b"", b"", 100, 1 << 20).unwrap()));
    let guard: Pair<'_> = (b"b", None);
    rounds("buffered", &mut |store| store.set(&[guard], &[(b"a", Some(b"1"))], false).unwrap());
    rounds("durable", &mut |store| store.set(&[guard], &[(b"a", Some(&value))], true).unwrap());
    rounds("barrier", &mut |store| store.set(&[], &[], true).unwrap());
    rounds("conflict", &mut |store| assert!(store.set(&[(b"a", None)], &[(b"c", None)], true).is_err()));
}
