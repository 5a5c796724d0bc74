//! Connections that are cut, at every place of an apply.

use std::time::{Duration, Instant};

use kvfs_contract::{KvStore, StoreError};
use kvfs_store_rig::{Calls, number};
use kvfs_test_servers::{Direction, How, Proxy};

use crate::common::{Store, config, own_url, server};

/// Counts up under a guard, with a mark for each step.
fn step(store: &mut Store, durable: bool) -> (u64, Result<(), StoreError>) {
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

fn counted(store: &mut Store) -> u64 {
    let count = store.value_of(b"count").unwrap().as_deref().map_or(0, number);
    assert_eq!(store.entries(b"mark", b"marl").unwrap().len() as u64, count, "marks");
    count
}

/// Returns the bytes of one durable apply in each direction.
fn apply_bytes(proxy: &Proxy, store: &mut Store) -> (u64, u64) {
    step(store, true).1.unwrap();
    store.value_of(b"count").unwrap();
    let before = store.value_of(b"count").unwrap();
    proxy.reset_counts();
    store.set(&[(b"count", before.as_deref())], &[(b"other", Some(&[7; 300]))], true).unwrap();
    (proxy.counts().up_bytes + 100, proxy.counts().down_bytes)
}

#[test]
fn an_apply_that_is_cut_anywhere_is_made_once() {
    let proxy = Proxy::start(server().address());
    let mut store = Store::make(&own_url(proxy.address()));
    let (up, down) = apply_bytes(&proxy, &mut store);
    assert!(up > 500 && down > 60, "{up} {down}");
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
    assert!(cuts > 200, "{cuts} cuts");
}

#[test]
fn an_apply_that_is_cut_off_for_good_is_unknown_or_unavailable_and_the_content_agrees() {
    let proxy = Proxy::start(server().address());
    let url = own_url(proxy.address());
    drop(Store::make(&url));
    let mut config = config(&url);
    config.patience = Duration::from_millis(150);
    let mut store = Store::open(config).unwrap();
    let (up, down) = apply_bytes(&proxy, &mut store);
    let (mut unknown, mut made) = (0, 0);
    let places = (0..up).step_by(60).map(|place| (Direction::Up, place));
    let places = places.chain((0..down).step_by(11).map(|place| (Direction::Down, place)));
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

#[test]
fn an_apply_that_stands_still_in_the_middle_is_made_once_and_holds_up_nobody() {
    let proxy = Proxy::start(server().address());
    let url = own_url(proxy.address());
    let mut other = Store::make(&url.replace(&proxy.address().to_string(), &server().address().to_string()));
    let mut config = config(&url);
    config.patience = Duration::from_secs(1);
    let mut store = Store::open(config).unwrap();
    let (up, _) = apply_bytes(&proxy, &mut store);
    let mut steps = counted(&mut store);
    for place in [0, up / 3, up / 2, up - 150] {
        proxy.cut_after(Direction::Up, place, How::Stall);
        let begun = Instant::now();
        let (_, outcome) = step(&mut store, true);
        // The read may meet the place instead, and is repeated.
        outcome.unwrap_or_else(|error| panic!("{place}: {error}"));
        assert!(begun.elapsed() < Duration::from_secs(6), "{place}: {:?}", begun.elapsed());
        steps += 1;
        assert_eq!(counted(&mut store), steps, "{place}");
        other.set(&[], &[(b"elsewhere", Some(b""))], true).unwrap();
    }
}

#[test]
fn reads_are_repeated_and_end_in_one_line_without_a_password() {
    let proxy = Proxy::start(server().address());
    let url = own_url(proxy.address()).replace("postgres@", "postgres:secret@");
    let mut store = Store::make(&url);
    let value = vec![1; 400_000];
    store.set(&[], &[(b"a", Some(&value))], true).unwrap();
    for place in [0, 3, 100, 70_000, 399_000] {
        for how in [How::Reset, How::Close] {
            proxy.cut_after(Direction::Down, place, how);
            assert_eq!(store.value_of(b"a").unwrap().as_ref(), Some(&value), "{place}");
            assert!(!proxy.cancel_cut(), "{place}");
            proxy.cut_after(Direction::Down, place, how);
            assert_eq!(store.scan(b"", b"", 9, 1 << 20).unwrap().len(), 1, "{place}");
            assert!(!proxy.cancel_cut(), "{place}");
        }
    }
    let mut config = config(&url);
    config.patience = Duration::from_millis(400);
    let mut store = Store::open(config).unwrap();
    store.value_of(b"a").unwrap();
    proxy.set_refusing(true);
    proxy.reset_all();
    let begun = Instant::now();
    for outcome in [store.value_of(b"a").map(drop), store.set(&[], &[(b"a", None)], false)] {
        let Err(StoreError::Unavailable(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains(&proxy.address().to_string()) && why.contains("check"), "{why}");
        assert!(!why.contains("secret") && !why.contains('\n'), "{why}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    proxy.set_refusing(false);
    assert_eq!(store.value_of(b"a").unwrap(), Some(value));
}
