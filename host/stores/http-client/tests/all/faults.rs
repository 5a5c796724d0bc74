//! Servers that lose requests and answers, and that say something else.

use std::time::{Duration, Instant};

use kvfs_contract::{KvStore, StoreError};
use kvfs_store_rig::{Calls, apply_bytes, counted, step};
use kvfs_test_servers::{Direction, How, Proxy, SOON};

use crate::server::{Fault, Server, Store, at, open};

const OURS: &str = kvfs_http_wire::CONTENT_TYPE;

/// Makes the step after `before` by one request.
fn advance(store: &mut Store, before: u64) -> Result<(), StoreError> {
    let next = before + 1;
    let mark = format!("mark {next}").into_bytes();
    store.set(&[], &[(b"count", Some(&next.to_be_bytes())), (&mark, Some(b""))], true)
}

fn says(status: u16, text: &str) -> Fault {
    Fault::Says(status, "text/html", text.as_bytes().to_vec())
}

#[test]
fn an_apply_without_an_answer_is_unknown_and_is_not_sent_again() {
    let server = Server::start();
    let mut store = server.open();
    for (fault, is_made) in [
        (Fault::LosesAnswer, 1),
        (Fault::Cuts, 1),
        (Fault::LosesRequest, 0),
        (says(500, "broken"), 0),
        (says(502, "a proxy"), 0),
        (says(504, "a proxy"), 0),
        (Fault::Says(200, OURS, vec![0, 0]), 0),
        (Fault::Says(200, OURS, Vec::new()), 0),
    ] {
        let before = counted(&mut store);
        server.order([fault]);
        server.requests();
        let outcome = advance(&mut store, before);
        assert_eq!(outcome, Err(StoreError::UnknownOutcome));
        assert_eq!(server.requests(), 1);
        assert_eq!(counted(&mut store), before + is_made);
    }
}

#[test]
fn what_was_not_done_and_what_only_reads_is_sent_again() {
    let server = Server::start();
    let mut store = server.open();
    for status in [503, 408, 429] {
        server.order([says(status, "later"), says(status, "later")]);
        let (next, outcome) = step(&mut store, true);
        outcome.unwrap();
        assert_eq!(counted(&mut store), next);
    }
    for fault in [Fault::LosesAnswer, Fault::LosesRequest, Fault::Cuts, says(500, ""), says(502, "")] {
        server.order([fault.clone()]);
        assert_eq!(counted(&mut store), 3);
        server.order([fault.clone()]);
        assert_eq!(store.scan(b"", b"", 9, 1 << 20).unwrap().len(), 4);
        // A barrier changes nothing.
        server.order([fault]);
        store.set(&[], &[], true).unwrap();
    }
}

#[test]
fn an_apply_that_was_not_done_is_sent_again() {
    let server = Server::start();
    let mut store = server.open();
    for status in [503, 408, 429] {
        let before = counted(&mut store);
        server.order([says(status, "later"), says(status, "later")]);
        server.requests();
        advance(&mut store, before).unwrap();
        assert_eq!(server.requests(), 3, "{status}");
        assert_eq!(counted(&mut store), before + 1, "{status}");
    }
}

#[test]
fn an_answer_that_is_longer_than_a_store_gives_is_not_read() {
    let server = Server::start();
    let mut store = server.open();
    let (next, outcome) = step(&mut store, true);
    outcome.unwrap();
    server.requests();
    assert_eq!(counted(&mut store), next);
    let requests = server.requests();
    let too_long = || Fault::Says(200, OURS, vec![0; kvfs_http_wire::MAX_ANSWER_BYTES + 1]);
    server.order([too_long()]);
    assert_eq!(counted(&mut store), next);
    assert_eq!(server.requests(), requests + 1);
    server.order([too_long()]);
    assert_eq!(advance(&mut store, next), Err(StoreError::UnknownOutcome));
}

#[test]
fn what_is_no_answer_of_a_store_is_an_error_in_a_line() {
    let server = Server::start();
    let mut store = server.open();
    for (fault, part) in [
        (says(404, "<html>\nno such page\u{1b}[31m"), "no such page"),
        (says(200, "<html>a page of a proxy"), "a page of a proxy"),
        // One that would be read as an answer.
        (Fault::Says(200, "text/html", vec![0, 1, 0, 0, 0, 0]), "no store server"),
        // A redirection would carry the token elsewhere.
        (says(302, ""), "302"),
        (Fault::Says(200, OURS, vec![0, 9, 0, 0, 0]), "cannot be read"),
        (Fault::Says(200, OURS, vec![9, b'w', b'h', b'y']), "why"),
    ] {
        server.order([fault]);
        let Err(StoreError::Other(why)) = store.value_of(b"k") else { panic!("{part}") };
        assert!(why.contains(part) && !why.contains(['\n', '\u{1b}']) && why.len() < 500, "{why}");
    }
    for (number, error) in [
        (1, StoreError::Conflict),
        (2, StoreError::UnknownOutcome),
        (5, StoreError::QuotaExceeded),
        (7, StoreError::AccessDenied),
    ] {
        server.order([Fault::Says(200, OURS, vec![number])]);
        assert_eq!(store.set(&[], &[(b"k", None)], true), Err(error));
    }
    server.order([says(401, "")]);
    assert_eq!(store.value_of(b"k"), Err(StoreError::AccessDenied));
}

#[test]
fn an_apply_that_is_cut_anywhere_is_made_once_or_told() {
    let server = Server::start();
    let proxy = Proxy::start(server.address);
    let mut store = open(at(proxy.address())).unwrap();
    let (up, down) = apply_bytes(&proxy, &mut store);
    let places = (0..up).step_by(40).map(|place| (Direction::Up, place));
    let places = places.chain((0..down).step_by(20).map(|place| (Direction::Down, place)));
    let (mut unknown, mut made) = (0, 0);
    for (direction, place) in places {
        for how in [How::Reset, How::Close] {
            let before = counted(&mut store);
            proxy.cut_after(direction, place, how);
            let outcome = advance(&mut store, before);
            proxy.cancel_cut();
            let after = counted(&mut store);
            match outcome {
                Ok(()) => assert_eq!(after, before + 1, "{direction:?} {place}"),
                Err(StoreError::UnknownOutcome) => {
                    assert!(after == before || after == before + 1, "{direction:?} {place}: {after}");
                    (unknown, made) = (unknown + 1, made + after - before);
                }
                other => panic!("{direction:?} {place}: {other:?}"),
            }
        }
    }
    assert!(unknown > 5 && made > 0 && made < unknown, "{unknown} unknown, {made} made");
}

#[test]
fn a_server_that_is_away_is_waited_for_and_named() {
    let server = Server::start();
    let proxy = Proxy::start(server.address);
    step(&mut open(at(proxy.address())).unwrap(), true).1.unwrap();
    let mut config = at(proxy.address());
    config.patience = Duration::from_secs(2);
    let mut store = open(config).unwrap();
    proxy.set_refusing(true);
    proxy.reset_all();
    let begun = Instant::now();
    let Err(StoreError::Unavailable(why)) = store.value_of(b"count") else { panic!("it answers") };
    assert!(why.contains(&proxy.address().to_string()) && why.contains("check that"), "{why}");
    assert!(!why.contains('\n') && !why.contains("secret"), "{why}");
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1500) && took < SOON, "{took:?}");
    let back = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            proxy.set_refusing(false);
        });
        let mut patient = open(at(proxy.address())).unwrap();
        counted(&mut patient)
    });
    assert_eq!(back, 1);
    assert_eq!(counted(&mut store), 1);
}
