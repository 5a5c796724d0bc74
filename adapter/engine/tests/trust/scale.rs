//! Counts what an operation asks of the store as files and directories grow: the cost of an
//! operation may not depend on how large they are.
//!
//! The seconds of the same operations are measured by `make bench`, which no test could hold.

use crate::fixture::{WRITE, create, open_volume, write};
use crate::rng::Rng;
use crate::store::{LARGE, TestStore};
use kvfs::{Access, At, CacheLimits, Descriptor, Follow, Mode, OpenFlags, Options, Volume};

const MIB: u64 = 1 << 20;
const PAGE_BYTES: u64 = 4096;

/// A cache that the middle and the largest size leave far behind.
const SMALL_CACHE: CacheLimits = CacheLimits::of_bytes(256 << 10);
/// How much the largest size may cost above the middle one: for the little that a small cache holds.
const MAX_GROWTH: f64 = 1.15;
/// Operations at random.
const SCATTERED: u64 = 2000;

/// What an operation acts on.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Of {
    /// The files of the directory `many`.
    Files,
    /// The bytes of the file `large`.
    Bytes,
}

impl Of {
    const fn sizes(self) -> [u64; 3] {
        match self {
            Self::Files => [1000, 10_000, 100_000],
            Self::Bytes => [4 * MIB, 64 * MIB, 256 * MIB],
        }
    }
}

/// An operation, with the most that one of it may ask of the store at any size.
struct Row {
    name: &'static str,
    of: Of,
    /// Calls, of any kind.
    max_calls: f64,
    /// Records read by `get` and `scan`.
    max_records: f64,
    /// Bytes handed over by `apply`.
    max_bytes: f64,
    /// Runs the operation on a volume that was opened a moment before, and returns how often.
    act: fn(&mut Scene) -> u64,
}

const fn row(
    name: &'static str,
    of: Of,
    (max_calls, max_records, max_bytes): (f64, f64, f64),
    act: fn(&mut Scene) -> u64,
) -> Row {
    Row { name, of, max_calls, max_records, max_bytes, act }
}

/// All operations. A new one is a row.
const ROWS: [Row; 14] = [
    row("readdir, per entry", Of::Files, (0.01, 1.1, 1.0), |scene| scene.list(|_, _| ())),
    row("readdir + stat, per entry", Of::Files, (0.03, 2.2, 1.0), |scene| {
        scene.list(|scene, name| scene.stat(name))
    }),
    row("stat in order", Of::Files, (1.1, 2.2, 1.0), |scene| scene.each(Scene::stat)),
    row("stat at random", Of::Files, (2.1, 2.2, 1.0), |scene| scene.scattered(Scene::stat)),
    row("missing name", Of::Files, (1.1, 1.2, 1.0), |scene| {
        scene.scattered(|scene, name| {
            let missing = name.replace("file", "none");
            scene.volume.stat_at(&scene.dir, &missing, Follow::No).unwrap_err();
        })
    }),
    row("open + read + close at random", Of::Files, (2.1, 2.2, 1.0), |scene| {
        scene.scattered(|scene, name| {
            let flags = OpenFlags::default();
            let file = scene.volume.open_at(&scene.dir, name, Follow::No, flags, Access::default()).unwrap();
            let mut bytes = Vec::new();
            scene.volume.read(&file, 0, PAGE_BYTES as usize, &mut bytes).unwrap();
            assert_eq!(bytes.len(), 100);
            scene.volume.close(file).unwrap();
        })
    }),
    row("create", Of::Files, (2.2, 1.3, 500.0), |scene| {
        scene.scattered(|scene, name| {
            write(&mut scene.volume, &scene.dir, &name.replace("file", "new"), b"new")
        })
    }),
    row("rename", Of::Files, (3.1, 2.2, 400.0), |scene| {
        scene.first(|scene, name| {
            let new = name.replace("file", "moved");
            scene.volume.rename_at(&scene.dir, name, &scene.dir, &new).unwrap();
        })
    }),
    row("unlink", Of::Files, (2.1, 3.0, 60.0), |scene| {
        scene.first(|scene, name| scene.volume.unlink_file_at(&scene.dir, name).unwrap())
    }),
    row("read, per MiB", Of::Bytes, (1.3, 65.0, 1.0), |scene| {
        scene.large(MIB, |volume, file, at| {
            let mut bytes = Vec::new();
            volume.read(file, at, MIB as usize, &mut bytes).unwrap();
        })
    }),
    // The small cache keeps a single extent: nothing is read ahead then.
    row("read by 4 KiB, per MiB", Of::Bytes, (65.0, 65.0, 1.0), |scene| {
        scene.large(MIB, |volume, file, at| {
            for page in 0..MIB / PAGE_BYTES {
                volume.read(file, at + page * PAGE_BYTES, PAGE_BYTES as usize, &mut Vec::new()).unwrap();
            }
        })
    }),
    row("write, per MiB", Of::Bytes, (0.6, 0.3, 1.01 * MIB as f64), |scene| {
        let block = vec![2; MIB as usize];
        scene.large(MIB, |volume, file, at| {
            let mut done = 0;
            while done < block.len() {
                done += volume.write(file, At::Offset(at + done as u64), &block[done..]).unwrap();
            }
        })
    }),
    row("4 KiB read at random", Of::Bytes, (1.1, 1.1, 1.0), |scene| {
        scene.pages(|volume, file, at| {
            let mut bytes = Vec::new();
            volume.read(file, at, PAGE_BYTES as usize, &mut bytes).unwrap();
            assert_eq!(bytes, [1; PAGE_BYTES as usize]);
        })
    }),
    row("4 KiB write at random", Of::Bytes, (1.1, 1.1, 17_500.0), |scene| {
        scene.pages(|volume, file, at| {
            assert_eq!(
                volume.write(file, At::Offset(at), &[3; PAGE_BYTES as usize]),
                Ok(PAGE_BYTES as usize)
            );
        })
    }),
];

/// A volume with one directory or one file of a size.
struct Scene {
    store: TestStore,
    volume: Volume,
    root: Descriptor,
    /// The directory; the root if there is none.
    dir: Descriptor,
    size: u64,
}

fn name(number: u64) -> String {
    format!("file-{number:06}")
}

impl Scene {
    /// Fills a store with what operations act on.
    fn filled(of: Of, size: u64) -> TestStore {
        let store = TestStore::new(LARGE);
        let lazy = Options { mode: Mode::Lazy, ..Options::default() };
        let (mut volume, root) = open_volume(&store, lazy);
        match of {
            Of::Files => {
                volume.create_directory_at(&root, "many").unwrap();
                for number in 0..size {
                    write(&mut volume, &root, &format!("many/{}", name(number)), &[1; 100]);
                }
            }
            Of::Bytes => {
                let file = create(&mut volume, &root, "large");
                let block = vec![1; MIB as usize];
                for mib in 0..size / MIB {
                    let mut done = 0;
                    while done < block.len() {
                        let at = At::Offset(mib * MIB + done as u64);
                        done += volume.write(&file, at, &block[done..]).unwrap();
                    }
                    // The log would hold all bytes once more.
                    store.0.borrow_mut().log.clear();
                }
                volume.close(file).unwrap();
            }
        }
        volume.sync_all().unwrap();
        store
    }

    fn open(filled: &TestStore, size: u64, cache: CacheLimits) -> Self {
        let store = TestStore::from_map(filled.0.borrow().map.clone(), LARGE);
        let options = Options { cache, ..Options::default() };
        let (mut volume, root) = open_volume(&store, options);
        let flags = OpenFlags { directory: true, ..OpenFlags::default() };
        let access = Access { read: true, mutate_directory: true, ..Access::default() };
        let path = if volume.stat_at(&root, "many", Follow::No).is_ok() { "many" } else { "." };
        let dir = volume.open_at(&root, path, Follow::No, flags, access).unwrap();
        Self { store, volume, root, dir, size }
    }

    fn list(&mut self, mut each: impl FnMut(&mut Self, &str)) -> u64 {
        let mut stream = self.volume.read_directory(&self.dir).unwrap();
        let mut entries = 0;
        while let Some(entry) = self.volume.next_entry(&mut stream).unwrap() {
            let name = entry.name.to_string();
            each(self, &name);
            entries += 1;
        }
        self.volume.close_directory(stream).unwrap();
        assert_eq!(entries, self.size);
        entries
    }

    fn stat(&mut self, name: &str) {
        assert_eq!(self.volume.stat_at(&self.dir, name, Follow::No).unwrap().size, 100);
    }

    fn each(&mut self, mut act: impl FnMut(&mut Self, &str)) -> u64 {
        (0..self.size).for_each(|number| act(self, &name(number)));
        self.size
    }

    fn first(&mut self, mut act: impl FnMut(&mut Self, &str)) -> u64 {
        let count = self.size.min(SCATTERED);
        // Far apart, so that no two are neighbours.
        (0..count).for_each(|number| act(self, &name(number * (self.size / count))));
        count
    }

    fn scattered(&mut self, mut act: impl FnMut(&mut Self, &str)) -> u64 {
        let mut rng = Rng::new(1);
        (0..SCATTERED).for_each(|_| act(self, &name(rng.below(self.size))));
        SCATTERED
    }

    fn large(&mut self, step: u64, mut act: impl FnMut(&mut Volume, &Descriptor, u64)) -> u64 {
        let file = self.volume.open_at(&self.root, "large", Follow::No, OpenFlags::default(), WRITE).unwrap();
        (0..self.size / step).for_each(|number| act(&mut self.volume, &file, number * step));
        self.volume.close(file).unwrap();
        self.size / step
    }

    fn pages(&mut self, mut act: impl FnMut(&mut Volume, &Descriptor, u64)) -> u64 {
        let file = self.volume.open_at(&self.root, "large", Follow::No, OpenFlags::default(), WRITE).unwrap();
        let mut rng = Rng::new(2);
        let pages = self.size / PAGE_BYTES;
        (0..SCATTERED).for_each(|_| act(&mut self.volume, &file, rng.below(pages) * PAGE_BYTES));
        self.volume.close(file).unwrap();
        SCATTERED
    }
}

/// Calls, records and bytes of one operation.
type Cost = [f64; 3];

/// Runs a row on a freshly opened volume and returns the cost of one operation.
fn cost(row: &Row, filled: &TestStore, size: u64, cache: CacheLimits) -> Cost {
    let mut scene = Scene::open(filled, size, cache);
    scene.store.reset_calls();
    scene.store.0.borrow_mut().log.clear();
    let count = (row.act)(&mut scene) as f64;
    let calls = scene.store.calls();
    let bytes: usize = scene.store.0.borrow().log.iter().map(|applied| bytes_of(&applied.changes)).sum();
    [
        calls.total() as f64 / count,
        (calls.keys_got + calls.entries_scanned) as f64 / count,
        bytes as f64 / count,
    ]
}

fn bytes_of(changes: &[crate::store::Change]) -> usize {
    changes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, |value| value.len())).sum()
}

/// Checks the rows of a kind at all sizes, with a small cache and with the usual one.
fn check(of: Of) {
    let rows = || ROWS.iter().filter(|row| row.of == of);
    let mut costs = vec![Vec::new(); ROWS.len()];
    for size in of.sizes() {
        let filled = Scene::filled(of, size);
        for (row, costs) in rows().zip(&mut costs) {
            let bounds = [row.max_calls, row.max_records, row.max_bytes];
            for cache in [SMALL_CACHE, CacheLimits::default()] {
                let found = cost(row, &filled, size, cache);
                println!("{:<32}{size:>12} {found:.4?}", row.name);
                assert!(
                    found.iter().zip(bounds).all(|(found, bound)| *found <= bound),
                    "{} at {size} costs {found:?} (calls, records, bytes), at most {bounds:?}",
                    row.name
                );
                costs.push(found);
            }
        }
    }
    for (row, costs) in rows().zip(&costs) {
        // With the small cache, at the middle size and at the largest.
        assert_level(row.name, &costs[2], &costs[4]);
    }
}

/// Fails if the cost at the largest size is more than the middle one's.
fn assert_level(name: &str, middle: &Cost, largest: &Cost) {
    let level = |(middle, largest): (&f64, &f64)| *largest <= middle * MAX_GROWTH + 0.001;
    assert!(
        middle.iter().zip(largest).all(level),
        "{name} costs more the more there is: {middle:?} (calls, records, bytes) grew to {largest:?}"
    );
}

#[test]
fn costs_do_not_grow_with_a_directory() {
    check(Of::Files);
}

#[test]
fn costs_do_not_grow_with_a_file() {
    check(Of::Bytes);
}

#[test]
#[should_panic(expected = "costs more the more there is")]
fn a_cost_that_grows_is_noticed() {
    assert_level("an operation", &[1.0, 1.0, 0.0], &[1.2, 1.0, 0.0]);
}
