//! Counts of calls: what a second instance on the same host asks a store for.

use std::rc::Rc;
use std::time::Duration;

use kvfs::volumes::{self, Taken};
use kvfs::{Access, At, Clock, Error, Follow, KvStore, OpenFlags, Options, Timestamp, Volume};
use kvfs_contract::Limits;
use kvfs_layer_cache::LayerCache;

use crate::server::{Calls, Server};
use crate::viewed::Viewed;

/// A clock that never tells one time twice.
#[derive(Clone, Default)]
pub(crate) struct Ticks(Rc<std::cell::Cell<i64>>);

impl Ticks {
    /// A clock that begins after `seconds`.
    pub(crate) fn after(seconds: i64) -> Self {
        Self(Rc::new(std::cell::Cell::new(seconds)))
    }
}

impl Clock for Ticks {
    fn now(&mut self) -> Timestamp {
        self.0.set(self.0.get() + 1);
        Timestamp { seconds: self.0.get(), nanoseconds: 0 }
    }
}

pub(crate) fn open(store: impl KvStore + 'static, clock: &Ticks, volume: &str) -> Volume {
    let options = Options { volume: volume.to_owned(), ..Options::default() };
    Volume::open(Box::new(store), Box::new(clock.clone()), options).unwrap()
}

pub(crate) fn write(volume: &mut Volume, path: &str, bytes: &[u8]) {
    let root = volume.root().unwrap();
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::Yes, create, access).unwrap();
    volume.write(&file, At::Offset(0), bytes).unwrap();
    volume.close(file).unwrap();
    volume.close(root).unwrap();
}

pub(crate) fn read(volume: &mut Volume, path: &str) -> Result<Vec<u8>, Error> {
    let root = volume.root()?;
    let access = Access { read: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::Yes, OpenFlags::default(), access)?;
    let mut bytes = Vec::new();
    while volume.read(&file, bytes.len() as u64, 1 << 20, &mut bytes)? > 0 {}
    volume.close(file)?;
    volume.close(root)?;
    Ok(bytes)
}

pub(crate) fn make(server: &Server, clock: &Ticks, modules: usize, depth: usize) {
    // Made without a view, as on another host.
    let cache = LayerCache::new(1 << 20);
    let mut store = Viewed::checked_after(server, &cache, Duration::ZERO);
    let mut volume = open(store.clone(), clock, "main");
    let root = volume.root().unwrap();
    volume.create_directory_at(&root, "lib").unwrap();
    volume.close(root).unwrap();
    for number in 0..modules {
        write(&mut volume, &format!("lib/m{number}.py"), &vec![b'x'; 20_000]);
    }
    for layer in 0..depth {
        volumes::fork(&mut store, &mut clock.clone(), "main", &format!("snap{layer}"), Taken::ReadOnly)
            .unwrap();
        write(&mut volume, &format!("layer{layer}"), b"changed");
    }
    volumes::fork(&mut store, &mut clock.clone(), "main", "prepared", Taken::ReadOnly).unwrap();
}

/// Forks the volume, lists it, looks for what is not there, and reads all modules, as an interpreter
/// does. Returns the calls of all this.
pub(crate) fn start(server: &Server, cache: &LayerCache, clock: &Ticks, modules: usize, name: &str) -> Calls {
    start_on(Viewed::new(server, cache), server, clock, modules, name)
}

fn start_on(mut store: Viewed, server: &Server, clock: &Ticks, modules: usize, name: &str) -> Calls {
    server.take_calls();
    volumes::fork(&mut store, &mut clock.clone(), "prepared", name, Taken::Writable).unwrap();
    let mut volume = open(store, clock, name);
    let root = volume.root().unwrap();
    let listed = Access { read: true, ..Access::default() };
    let library = volume.open_at(&root, "lib", Follow::Yes, OpenFlags::default(), listed).unwrap();
    let mut listing = volume.read_directory(&library).unwrap();
    let mut names = 0;
    while volume.next_entry(&mut listing).unwrap().is_some() {
        names += 1;
    }
    assert_eq!(names, modules);
    volume.close_directory(listing).unwrap();
    volume.close(library).unwrap();
    volume.close(root).unwrap();
    for number in 0..modules {
        assert!(read(&mut volume, &format!("lib/m{number}.so")).is_err());
        assert_eq!(read(&mut volume, &format!("lib/m{number}.py")).unwrap(), vec![b'x'; 20_000]);
    }
    // What it writes stays what it reads.
    write(&mut volume, "lib/cache", name.as_bytes());
    assert_eq!(read(&mut volume, "lib/cache").unwrap(), name.as_bytes());
    volume.sync_all().unwrap();
    server.take_calls()
}

#[test]
fn a_second_instance_asks_for_superblock_and_top_alone_however_much_it_reads() {
    for depth in [1, 8] {
        let mut counts = Vec::new();
        for modules in [10, 100] {
            let (server, clock) = (Server::new(Limits::standard(true)), Ticks::default());
            make(&server, &clock, modules, depth);
            let cache = LayerCache::new(64 << 20);
            let first = start(&server, &cache, &clock, modules, "one");
            let second = start(&server, &cache, &clock, modules, "two");
            println!("depth {depth}, {modules} modules: first {first:?}, second {second:?}");
            assert!(first.gets > modules as u64 && first.frozen_keys > modules as u64);
            // It asks for the root, whose layers it does not know yet, and for their headers with it.
            assert!(
                second.frozen_keys <= 3 * depth as u64,
                "the second instance asks frozen layers: {second:?}"
            );
            counts.push(second);
        }
        assert_eq!(counts[0], counts[1], "depth {depth}: the second start grows with what it reads");
        // Opening scans all layers once.
        let scans = depth as u64 + 2;
        assert!(counts[0].gets <= 10 && counts[0].scans <= scans && counts[0].applies <= 4, "{counts:?}");
    }
}

#[test]
fn with_nothing_believed_reads_ask_for_the_superblock_and_for_no_frozen_layer() {
    let (server, clock) = (Server::new(Limits::standard(true)), Ticks::default());
    make(&server, &clock, 10, 4);
    let cache = LayerCache::new(64 << 20);
    start(&server, &cache, &clock, 10, "one");
    let view = Viewed::checked_after(&server, &cache, Duration::ZERO);
    let second = start_on(view, &server, &clock, 10, "two");
    assert!(second.gets > 20 && second.frozen_keys <= 12, "{second:?}");
}
