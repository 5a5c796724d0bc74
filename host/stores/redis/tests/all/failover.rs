//! A replica that takes over at the address that the store knows, as behind an address that moves.

use kvfs_contract::{KvStore, StoreError};
use kvfs_store_rig::{Calls, counted, step};
use kvfs_test_servers::{Proxy, Redis, wait_until};

use crate::common::{make, own_url};

type Start = fn(&[(&str, &str)]) -> Redis;

const PROGRAMS: [(&str, Start); 2] =
    [("Redis", |settings| Redis::start_with(settings)), ("Valkey", |settings| Redis::start_valkey(settings))];

/// A primary and a replica, each with a log that is always synced.
struct Pair {
    primary: Redis,
    replica: Redis,
    /// Lies between them.
    replication: Proxy,
    /// Clients find the server in charge here.
    moving: Proxy,
}

impl Pair {
    fn start(start: Start) -> Self {
        let durable = [("appendonly", "yes"), ("appendfsync", "always")];
        let primary = start(&durable);
        let replication = Proxy::start(primary.address());
        let of = format!("127.0.0.1 {}", replication.address().port());
        let replica = start(&[&durable[..], &[("replicaof", &of)]].concat());
        let pair = Self { moving: Proxy::start(primary.address()), primary, replica, replication };
        wait_until("the replica follows", || {
            pair.replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
        });
        pair
    }

    /// Waits until the replica has all that the primary has.
    fn catch_up(&self) {
        let offset = |server: &Redis| {
            let info = server.cli(&["INFO", "replication"]);
            let line = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
            line.unwrap_or_else(|| panic!("{info}")).trim().to_owned()
        };
        wait_until("the replica has everything", || offset(&self.primary) == offset(&self.replica));
    }

    /// Kills the primary, and puts the replica in its place.
    fn fail_over(&mut self) {
        self.primary.server().kill();
        self.replica.cli(&["REPLICAOF", "NO", "ONE"]);
        self.moving.set_target(self.replica.address());
        self.moving.reset_all();
    }
}

#[test]
fn a_replica_that_has_everything_takes_over_and_nobody_notices() {
    for (program, start) in PROGRAMS {
        let mut pair = Pair::start(start);
        let url = own_url(pair.moving.address());
        let mut store = make(&url);
        for number in 0..20 {
            step(&mut store, number % 3 == 0).1.unwrap();
        }
        pair.catch_up();
        pair.fail_over();
        let (next, outcome) = step(&mut store, true);
        outcome.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert_eq!((next, counted(&mut store)), (21, 21), "{program}");
        assert!(store.limits().unwrap().durable, "{program}");
        assert_eq!(counted(&mut make(&url)), 21, "{program}");
    }
}

#[test]
fn a_replica_that_was_behind_takes_over_and_the_loss_is_told() {
    for (program, start) in PROGRAMS {
        let mut pair = Pair::start(start);
        let url = own_url(pair.moving.address());
        let mut store = make(&url);
        for _ in 0..10 {
            step(&mut store, true).1.unwrap();
        }
        pair.catch_up();
        pair.replication.set_stalled(true);
        for _ in 0..5 {
            step(&mut store, true).1.unwrap();
        }
        pair.fail_over();
        for _ in 0..2 {
            for outcome in [
                store.value_of(b"count").map(drop),
                store.set(&[], &[(b"k", Some(b"v"))], true),
                store.set(&[], &[], true),
            ] {
                let Err(StoreError::Other(why)) = outcome else { panic!("{program}: {outcome:?}") };
                assert!(why.contains("lost changes"), "{program}: {why}");
            }
        }
        // Opened again, it goes on from the moment that the replica has.
        let mut store = make(&url);
        assert_eq!(counted(&mut store), 10, "{program}");
        step(&mut store, true).1.unwrap();
        assert_eq!(counted(&mut store), 11, "{program}");
    }
}
