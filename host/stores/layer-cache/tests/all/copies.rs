//! Layers whose names were there before: in a copy of the store that was put back, and under a name of
//! a volume that was removed.

use kvfs::volumes::{self, Taken};
use kvfs_contract::Limits;
use kvfs_layer_cache::LayerCache;

use crate::rounds::{Ticks, open, read, write};
use crate::server::{Lie, Server};
use crate::viewed::Viewed;

/// Writes `text` to `file` in the top layer of `main`, forks that, and reads the fork.
fn write_and_fork(server: &Server, cache: &LayerCache, clock: &Ticks, text: &[u8]) -> Vec<u8> {
    let mut store = Viewed::new(server, cache);
    write(&mut open(store.clone(), clock, "main"), "file", text);
    volumes::fork(&mut store, &mut clock.clone(), "main", "fork", Taken::Writable).unwrap();
    read(&mut open(Viewed::new(server, cache), clock, "fork"), "file").unwrap()
}

/// The same layer is frozen twice, in a store and in a copy of it from before.
fn freeze_twice(lie: Option<Lie>) -> (Vec<u8>, u64) {
    let (server, clock) = (Server::new(Limits::standard(true)), Ticks::default());
    server.look().lie = lie;
    let cache = LayerCache::new(1 << 20);
    let mut store = Viewed::new(&server, &cache);
    write(&mut open(store.clone(), &clock, "main"), "other", b"1");
    volumes::fork(&mut store, &mut clock.clone(), "main", "first", Taken::ReadOnly).unwrap();
    let copy = server.copy();
    assert_eq!(write_and_fork(&server, &cache, &clock, b"before"), b"before");
    server.put_back(&copy);
    let found = write_and_fork(&server, &cache, &clock, b"behind");
    (found, cache.counts().hits)
}

#[test]
fn a_store_put_back_from_a_copy_is_not_mixed_with_what_it_was() {
    let (found, _) = freeze_twice(None);
    assert_eq!(found, b"behind");
    let (found, hits) = freeze_twice(Some(Lie::OneStamp));
    assert!(hits > 0 && found == b"before", "without stamps, the test must notice: {found:?}");
}

/// A volume of the same name is made again, after the layer under its name was freed.
fn make_twice(lie: Option<Lie>) -> Vec<u8> {
    let (server, clock) = (Server::new(Limits::standard(true)), Ticks::default());
    server.look().lie = lie;
    let cache = LayerCache::new(1 << 20);
    assert_eq!(write_and_fork(&server, &cache, &clock, b"before"), b"before");
    // One view sees it all.
    let mut store = Viewed::new(&server, &cache);
    for volume in ["main", "fork"] {
        volumes::remove(&mut store, volume).unwrap();
    }
    assert!(volumes::collect_garbage(&mut store, u64::MAX).unwrap().done);
    assert!(server.copy().is_empty(), "all is free");
    write(&mut open(store.clone(), &clock, "main"), "file", b"behind");
    volumes::fork(&mut store, &mut clock.clone(), "main", "fork", Taken::Writable).unwrap();
    read(&mut open(store, &clock, "fork"), "file").unwrap()
}

#[test]
fn a_layer_under_a_name_that_is_used_again_is_another_one() {
    assert_eq!(make_twice(None), b"behind");
    assert_eq!(make_twice(Some(Lie::OneStamp)), b"before", "without stamps, the test must notice");
}

#[test]
fn layers_that_were_frozen_without_stamps_are_read_and_not_kept() {
    let (server, clock) = (Server::new(Limits::standard(true)), Ticks::default());
    server.look().lie = Some(Lie::NoStamps);
    let cache = LayerCache::new(1 << 20);
    assert_eq!(write_and_fork(&server, &cache, &clock, b"text"), b"text");
    assert_eq!(cache.counts().kept, 0);
}
