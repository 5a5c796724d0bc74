//! The volumes of a table hold no more together than one of them may.

use crate::fixture::{CREATE, WRITE};
use crate::run::TestClock;
use crate::store::{Fault, LARGE, TestStore};
use kvfs::limits::MAX_WRITE_BYTES;
use kvfs::{
    At, CacheLimits, Code, Descriptor, Error, Follow, Mode, MountNo, MountSpec, Mounted, Mounts, Options,
    Result, Volume, fsck,
};
use std::cell::Cell;

const VOLUMES: u32 = 16;

/// A table of volumes of one store, each with the same options, and the roots of all.
fn table(options: Options) -> (TestStore, Mounts, Vec<Descriptor>) {
    table_of(move |_| options.clone())
}

/// The same, with options for each volume.
fn table_of(options: impl Fn(usize) -> Options + 'static) -> (TestStore, Mounts, Vec<Descriptor>) {
    let store = TestStore::new(LARGE);
    let path = |number| if number == 0 { "/".to_owned() } else { format!("/{number:02}") };
    let mounted = |number| Mounted::Volume(number as usize);
    let spec =
        |number| MountSpec { path: path(number), mounted: mounted(number), read_only: false, policy: None };
    let given = store.clone();
    let open = move |number: usize| {
        let options = Options { volume: format!("v{number}"), ..options(number) };
        Volume::open(Box::new(given.clone()), Box::new(TestClock::default()), options)
    };
    let mut mounts = Mounts::new((0..VOLUMES).map(spec).collect(), Box::new(open)).unwrap();
    let roots = (0..VOLUMES).map(|number| volume(&mut mounts, number).root().unwrap()).collect();
    (store, mounts, roots)
}

fn volume(mounts: &mut Mounts, number: u32) -> &mut Volume {
    mounts.volume(MountNo(number)).unwrap()
}

fn make(mounts: &mut Mounts, roots: &[Descriptor], number: u32, name: &str) -> Result<Descriptor> {
    volume(mounts, number).open_at(&roots[number as usize], name, Follow::No, CREATE, WRITE)
}

/// What all volumes hold in memory: inodes, entries, bytes.
fn memory(mounts: &mut Mounts) -> (usize, usize, usize) {
    let all = (0..VOLUMES).map(|number| mounts.opened(MountNo(number)).unwrap().memory());
    all.fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2))
}

#[test]
fn descriptors_are_counted_over_all_volumes() {
    let most = 50;
    let (_, mut mounts, roots) = table(Options { max_open_descriptors: most, ..Options::default() });
    let mut held = Vec::new();
    for number in (0..VOLUMES).cycle() {
        match make(&mut mounts, &roots, number, "a") {
            Ok(file) => held.push((number, file)),
            Err(error) => {
                assert_eq!((error.code(), held.len() as u32), (Code::InsufficientMemory, most - VOLUMES));
                break;
            }
        }
    }
    // Whoever closes one lets any other volume open one, whether it is closed in use or in a drop.
    for turn in 0..100 {
        let (number, file) = held.swap_remove(turn % held.len());
        let volume =
            if turn % 2 == 0 { mounts.opened(MountNo(number)) } else { mounts.volume(MountNo(number)).ok() };
        volume.unwrap().close(file).unwrap();
        let other = (number + 1 + turn as u32) % VOLUMES;
        held.push((other, make(&mut mounts, &roots, other, "b").unwrap()));
        let refused = make(&mut mounts, &roots, (other + 1) % VOLUMES, "c");
        assert_eq!(refused.err(), Some(Error::TooManyOpen), "turn {turn}");
    }
}

thread_local! {
    static OUTSIDE: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn what_is_open_outside_counts_in_the_sum_from_one_call_to_the_next() {
    let (_store, mut mounts, roots) = table(Options { max_open_descriptors: 40, ..Options::default() });
    mounts.count_outside(|| OUTSIDE.get());
    let mut held = Vec::new();
    // The same volume again and again: it is told of each change.
    for outside in [0, 25, 3, 0, 40, 10, 33] {
        OUTSIDE.set(outside);
        let before = mounts.open_descriptors();
        let made = loop {
            match make(&mut mounts, &roots, 0, "a") {
                Ok(file) => held.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(made, Error::TooManyOpen);
        assert_eq!(mounts.open_descriptors(), before.max(40_u32.saturating_sub(outside)), "{outside}");
        for file in held.drain(..) {
            volume(&mut mounts, 0).close(file).unwrap();
        }
    }
    assert_eq!(mounts.open_descriptors(), VOLUMES, "the roots");
    OUTSIDE.set(0);
    make(&mut mounts, &roots, 1, "b").map(|file| volume(&mut mounts, 1).close(file)).unwrap().unwrap();
}

#[test]
fn the_cache_is_bounded_over_all_volumes_and_each_gets_its_share() {
    let cache = CacheLimits::of_bytes(4 << 20);
    let (store, mut mounts, roots) = table(Options { cache, ..Options::default() });
    let data = vec![7; 400 << 10];
    for number in 0..VOLUMES {
        let file = make(&mut mounts, &roots, number, "large").unwrap();
        volume(&mut mounts, number).write(&file, At::Offset(0), &data).unwrap();
        volume(&mut mounts, number).close(file).unwrap();
        for small in 0..100 {
            let file = make(&mut mounts, &roots, number, &format!("f{small}")).unwrap();
            volume(&mut mounts, number).write(&file, At::Offset(0), &data[..3000]).unwrap();
            volume(&mut mounts, number).close(file).unwrap();
        }
    }
    // Uses volumes, and tells each time what all hold in memory then.
    let use_all =
        |mounts: &mut Mounts, order: &mut dyn Iterator<Item = u32>, tell: &mut dyn FnMut(&mut Mounts)| {
            let mut bytes = Vec::new();
            for number in order {
                let file = make(mounts, &roots, number, "large").unwrap();
                bytes.clear();
                volume(mounts, number).read(&file, 0, data.len(), &mut bytes).unwrap();
                assert!(bytes == data);
                for small in 0..100 {
                    let name = format!("f{small}");
                    volume(mounts, number).stat_at(&roots[number as usize], &name, Follow::No).unwrap();
                }
                volume(mounts, number).close(file).unwrap();
                tell(mounts);
            }
        };
    let mut most = (0, 0, 0);
    use_all(&mut mounts, &mut (0..VOLUMES).chain((0..VOLUMES).rev()), &mut |mounts| {
        let (inodes, entries, bytes) = memory(mounts);
        most = (most.0.max(inodes), most.1.max(entries), most.2.max(bytes));
    });
    // The last volume may be over its limit until its next operation.
    assert!(most.2 <= cache.extent_bytes + cache.inode_bytes + data.len(), "{most:?}");
    assert!(most.0 <= cache.inodes + 102 && most.1 <= cache.dentries + 102, "{most:?}");
    // Two that take turns keep what fits their half: the others are idle, and give all back.
    use_all(&mut mounts, &mut [3, 4].into_iter().cycle().take(40), &mut |_| {});
    store.reset_calls();
    use_all(&mut mounts, &mut [3, 4, 3, 4].into_iter(), &mut |_| {});
    assert_eq!(store.calls().total(), 0, "{:?}", store.calls());
    mounts.sync_all().unwrap();
    for number in 0..VOLUMES {
        assert!(fsck(&mut store.clone(), &format!("v{number}")).unwrap().is_clean());
    }
}

const WORKS: u32 = 1;
const STREAMS: u32 = 2;

/// Reads a working set in one volume between the pieces of a stream of `streamed` bytes through
/// another, which has a ceiling or not. Returns the store calls for reading the working set again,
/// and the most that the streaming volume held.
fn calls_beside_a_stream(own_cache: Option<CacheLimits>, streamed: u64) -> (u64, usize) {
    const PIECE: usize = 1 << 20;
    // More than an equal share of the extents, which are a quarter of the cache.
    const SET_PIECES: u64 = 5;
    let cache = CacheLimits::of_bytes(32 << 20);
    let (store, mut mounts, roots) = table_of(move |number| Options {
        cache,
        own_cache: own_cache.filter(|_| number == STREAMS as usize),
        ..Options::default()
    });
    let piece = vec![7; PIECE];
    let set = make(&mut mounts, &roots, WORKS, "set").unwrap();
    for at in 0..SET_PIECES {
        volume(&mut mounts, WORKS).write(&set, At::Offset(at * PIECE as u64), &piece).unwrap();
    }
    volume(&mut mounts, WORKS).sync(&set).unwrap();
    let read_set = |mounts: &mut Mounts| {
        let mut bytes = Vec::new();
        for at in 0..SET_PIECES {
            bytes.clear();
            volume(mounts, WORKS).read(&set, at * PIECE as u64, PIECE, &mut bytes).unwrap();
            assert!(bytes == piece);
        }
    };
    read_set(&mut mounts);
    let stream = make(&mut mounts, &roots, STREAMS, "stream").unwrap();
    let mut held = 0;
    let mut bytes = Vec::new();
    for at in (0..streamed).step_by(PIECE) {
        volume(&mut mounts, STREAMS).write(&stream, At::Offset(at), &piece).unwrap();
        volume(&mut mounts, WORKS).stat(&set).unwrap();
        held = held.max(volume(&mut mounts, STREAMS).memory().2);
    }
    for at in (0..streamed).step_by(PIECE) {
        bytes.clear();
        volume(&mut mounts, STREAMS).read(&stream, at, PIECE, &mut bytes).unwrap();
        assert!(bytes == piece);
        volume(&mut mounts, WORKS).stat(&set).unwrap();
        held = held.max(volume(&mut mounts, STREAMS).memory().2);
    }
    store.reset_calls();
    read_set(&mut mounts);
    (store.calls().total(), held)
}

#[test]
fn a_stream_through_a_volume_with_a_ceiling_evicts_nothing_of_another_one() {
    let ceiling = CacheLimits::of_bytes(1 << 20);
    let (calls, held) = calls_beside_a_stream(Some(ceiling), 64 << 20);
    assert_eq!(calls, 0);
    // The last write, and the one before it, which was stored meanwhile.
    let most = (1 << 20) + 2 * MAX_WRITE_BYTES;
    assert!(held <= most, "{held}");
    let (calls, held) = calls_beside_a_stream(None, 64 << 20);
    assert!(calls > 0, "without a ceiling the stream takes its share");
    assert!(held > most, "{held}");
}

fn lazy(max_dirty_bytes: usize) -> Options {
    Options { mode: Mode::Lazy, max_dirty_bytes, max_dirty_age_nanoseconds: u64::MAX, ..Options::default() }
}

#[test]
fn dirty_bytes_are_bounded_over_all_volumes_and_nothing_fails() {
    let most = 1 << 20;
    let (store, mut mounts, roots) = table(lazy(most));
    let data = vec![7; 64 << 10];
    let (mut written, mut waiting) = (0, 0);
    for turn in 0..10 {
        for number in 0..VOLUMES {
            let file = make(&mut mounts, &roots, number, &format!("f{turn}")).unwrap();
            assert_eq!(volume(&mut mounts, number).write(&file, At::Offset(0), &data), Ok(data.len()));
            volume(&mut mounts, number).close(file).unwrap();
            written += data.len();
            waiting = waiting.max(written.saturating_sub(store.bytes()));
        }
    }
    assert!(waiting <= most + MAX_WRITE_BYTES, "{waiting} bytes waited");
    assert!(waiting >= most / 2, "they may wait: {waiting}");
    mounts.sync_all().unwrap();
    for number in 0..VOLUMES {
        let report = fsck(&mut store.clone(), &format!("v{number}")).unwrap();
        assert!(report.is_clean() && report.content_bytes >= 10 * data.len() as u64, "{report:?}");
    }
}

#[test]
fn changed_names_are_bounded_over_all_volumes() {
    let (store, mut mounts, roots) = table(lazy(1 << 20));
    let (mut made, mut waiting) = (0_usize, 0);
    for number in 0..VOLUMES {
        for name in 0..2000 {
            let root = &roots[number as usize];
            volume(&mut mounts, number).create_directory_at(root, &format!("d{name}")).unwrap();
            made += 2;
            if name % 100 == 0 {
                waiting = waiting.max(made.saturating_sub(store.0.borrow().map.len()));
            }
        }
    }
    // One volume alone may have 10,000: what the store takes at once.
    assert!(waiting <= kvfs::limits::MAX_DIRTY_ENTRIES + 10_000, "{waiting} records waited");
}

#[test]
fn a_volume_that_cannot_store_what_it_gives_back_tells_so_itself() {
    let (store, mut mounts, roots) = table(lazy(64 << 10));
    let data = vec![7; 63 << 10];
    let file = make(&mut mounts, &roots, 1, "a").unwrap();
    volume(&mut mounts, 1).write(&file, At::Offset(0), &data).unwrap();
    volume(&mut mounts, 2).stat_at(&roots[2], "b", Follow::No).unwrap_err();
    volume(&mut mounts, 1).write(&file, At::Offset(0), &data).unwrap();
    store.set_fault(Fault::Unavailable, 0, 100);
    let other = make(&mut mounts, &roots, 2, "b").unwrap();
    volume(&mut mounts, 2).write(&other, At::Offset(0), &data[..100]).unwrap();
    assert!(store.0.borrow().faults_injected > 0, "nothing was to be stored");
    let told = volume(&mut mounts, 1).create_directory_at(&roots[1], "c");
    assert!(matches!(told, Err(Error::Store(_))), "{told:?}");
    assert_eq!(volume(&mut mounts, 2).write(&other, At::End, &data[..100]), Ok(100), "it is none of its own");
    store.clear_fault();
    mounts.sync_all().unwrap();
    assert!(fsck(&mut store.clone(), "v1").unwrap().is_clean());
    let mut bytes = Vec::new();
    volume(&mut mounts, 1).read(&file, 0, data.len(), &mut bytes).unwrap();
    assert!(bytes == data);
}
