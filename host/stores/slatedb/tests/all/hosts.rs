//! Several hosts on one store.

use crate::objects::{Objects, Store, open, over, try_open};
use kvfs_contract::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_store_rig::{Handle, Race, State, the_newer_host_has_the_volume};
use std::sync::Arc;

#[test]
fn of_two_hosts_on_one_volume_the_newer_has_it() {
    let objects = Objects::new();
    the_newer_host_has_the_volume(|| open(over(&objects)));
}

/// A store whose every apply is durable: a newer opener takes away the others.
struct Durable(Store);

impl KvStore for Durable {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.0.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.0.get(keys)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        entries: u32,
        bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        self.0.scan(start, end, entries, bytes)
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        _level: Durability,
    ) -> Result<(), StoreError> {
        self.0.apply(guards, mutations, Durability::Durable)
    }
}

const RACE: Race<Arc<Objects>, Durable> = Race {
    open: |handle, _| {
        try_open(over(&handle.look(|objects| objects.clone()))).map(Durable).map_err(StoreError::from)
    },
    ballast: |step| State::from([(b"ballast".to_vec(), vec![step as u8; 400])]),
    may_be_overtaken: |error| *error == StoreError::AccessDenied,
    takes_turns: false,
};

#[test]
fn hosts_that_race_lose_no_acknowledged_step_and_take_none_twice() {
    let mut acknowledged = 0;
    for seed in 0..10 {
        let objects = Objects::new();
        let hosts: Vec<_> = (0..3).map(|_| Handle::new(objects.clone())).collect();
        acknowledged += RACE.run(&hosts, seed, || Durable(open(over(&objects))));
    }
    assert!(acknowledged > 20, "they only got {acknowledged} steps done");
}
