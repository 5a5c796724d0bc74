//! Times names in directories of 1,000 to 1,000,000 files, on the memory store:
//! `cargo bench -p kvfs --bench directories`.
//!
//! Prints nanoseconds and store calls per operation, which must not grow with the directory. An
//! argument names the number of files of the largest directory; a second one, the bytes of each
//! file.

use kvfs::{
    Access, At, Clock, Descriptor, Durability, Entry, Error, Follow, Guard, KvStore, Limits, MemoryStore,
    Mutation, OpenFlags, Options, StoreError, Timestamp, Volume,
};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// The engine under test.
type Outcome<T> = Result<T, Error>;

struct Noon;

impl Clock for Noon {
    fn now(&mut self) -> Timestamp {
        Timestamp::default()
    }
}

/// Counts calls.
#[derive(Clone, Default)]
struct Counting {
    store: MemoryStore,
    calls: Rc<Cell<u64>>,
}

impl Counting {
    fn count(&self) {
        self.calls.set(self.calls.get() + 1);
    }
}

impl KvStore for Counting {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.store.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.count();
        self.store.get(keys)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.count();
        self.store.scan(start, end, max_entries, max_bytes)
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.count();
        self.store.apply(guards, mutations, level)
    }
}

/// One directory of files, and how its operations are measured.
struct Bench {
    store: Counting,
    volume: Volume,
    dir: Descriptor,
    files: u64,
}

const CREATE: OpenFlags = OpenFlags { create: true, directory: false, exclusive: true, truncate: false };
const WRITE: Access = Access { read: false, write: true, mutate_directory: false, sync: false };

impl Bench {
    fn new(files: u64) -> Outcome<Self> {
        let store = Counting::default();
        let (mut volume, root) = open(&store)?;
        volume.create_directory_at(&root, "many")?;
        volume.close(root)?;
        let (volume, dir) = Self::enter(volume)?;
        Ok(Self { store, volume, dir, files })
    }

    fn enter(mut volume: Volume) -> Outcome<(Volume, Descriptor)> {
        let root = volume.root()?;
        let flags = OpenFlags { directory: true, ..OpenFlags::default() };
        let access = Access { read: true, mutate_directory: true, ..Access::default() };
        let dir = volume.open_at(&root, "many", Follow::No, flags, access)?;
        volume.close(root)?;
        Ok((volume, dir))
    }

    /// Opens the volume again, with nothing in memory.
    fn reopen(self) -> Outcome<Self> {
        let Self { store, mut volume, files, .. } = self;
        volume.sync_all()?;
        drop(volume);
        let (volume, dir) = Self::enter(open(&store)?.0)?;
        Ok(Self { store, volume, dir, files })
    }

    /// Does an operation once for each of `count` files, and prints what one costs.
    fn measure(
        &mut self,
        name: &str,
        count: u64,
        mut operation: impl FnMut(&mut Volume, &Descriptor, u64) -> Outcome<()>,
    ) -> Outcome<()> {
        let (calls, start) = (self.store.calls.get(), Instant::now());
        for number in 0..count {
            operation(&mut self.volume, &self.dir, number)?;
        }
        self.tell(name, count, calls, start);
        Ok(())
    }

    fn tell(&self, name: &str, count: u64, calls: u64, start: Instant) {
        let nanoseconds = start.elapsed().as_nanos() as f64 / count as f64;
        let calls = (self.store.calls.get() - calls) as f64 / count as f64;
        println!("{:<34}{:>9}{nanoseconds:>9.0} ns{calls:>9.4} calls", name, self.files);
    }

    /// Lists the directory, with an operation on each entry.
    fn list(
        &mut self,
        name: &str,
        mut each: impl FnMut(&mut Volume, &Descriptor, &str) -> Outcome<()>,
    ) -> Outcome<()> {
        let (calls, start) = (self.store.calls.get(), Instant::now());
        let mut listing = self.volume.read_directory(&self.dir)?;
        let mut found = 0;
        while let Some(entry) = self.volume.next_entry(&mut listing)? {
            each(&mut self.volume, &self.dir, &entry.name)?;
            found += 1;
        }
        self.volume.close_directory(listing)?;
        assert_eq!(found, self.files, "{name}");
        self.tell(name, found, calls, start);
        Ok(())
    }
}

fn open(store: &Counting) -> Outcome<(Volume, Descriptor)> {
    let mut volume = Volume::open(Box::new(store.clone()), Box::new(Noon), Options::default())?;
    let root = volume.root()?;
    Ok((volume, root))
}

fn stat(volume: &mut Volume, dir: &Descriptor, name: &str) -> Outcome<()> {
    volume.stat_at(dir, name, Follow::No).map(drop)
}

fn missing(volume: &mut Volume, dir: &Descriptor, name: &str) -> Outcome<()> {
    match volume.stat_at(dir, name, Follow::No) {
        Err(Error::NoEntry) => Ok(()),
        other => panic!("{name}: {other:?}"),
    }
}

/// Places names so that neither their order in the directory nor that of their creation is the order
/// of use: the multiplier shares no factor with powers of ten.
fn scattered(number: u64, files: u64) -> u64 {
    number * 48_271 % files
}

fn run(files: u64, bytes: usize, name: impl Fn(u64) -> String) -> Outcome<()> {
    let content = vec![b'x'; bytes];
    let names: Vec<String> = (0..files).map(&name).collect();
    let other: Vec<String> = (0..files).map(|number| format!("none-{number:07}")).collect();
    let at = |number: u64| number as usize;

    let mut bench = Bench::new(files)?;
    bench.measure("create + write + close", files, |volume, dir, number| {
        let file = volume.open_at(dir, &names[at(number)], Follow::No, CREATE, WRITE)?;
        volume.write(&file, At::End, &content)?;
        volume.close(file)
    })?;
    bench.measure("stat, in order", files, |volume, dir, number| stat(volume, dir, &names[at(number)]))?;
    bench.list("list", |_, _, _| Ok(()))?;
    bench.list("list + stat each", stat)?;
    bench.list("list + stat each, again", stat)?;
    bench.measure("stat, scattered", files, |volume, dir, number| {
        stat(volume, dir, &names[at(scattered(number, files))])
    })?;

    let mut bench = bench.reopen()?;
    bench.list("cold: list", |_, _, _| Ok(()))?;
    bench = bench.reopen()?;
    bench.list("cold: list + stat each", stat)?;
    bench = bench.reopen()?;
    bench.measure("cold: stat, in order", files, |volume, dir, number| {
        stat(volume, dir, &names[at(number)])
    })?;
    bench = bench.reopen()?;
    bench.measure("cold: stat, scattered", files, |volume, dir, number| {
        stat(volume, dir, &names[at(scattered(number, files))])
    })?;
    bench = bench.reopen()?;
    bench.measure("missing", files, |volume, dir, number| missing(volume, dir, &other[at(number)]))?;
    bench.measure("missing, again", files, |volume, dir, number| missing(volume, dir, &other[at(number)]))?;
    bench.measure("rename", files, |volume, dir, number| {
        volume.rename_at(dir, &names[at(number)], dir, &other[at(number)])
    })?;
    bench.measure("unlink", files, |volume, dir, number| volume.unlink_file_at(dir, &other[at(number)]))?;
    println!("in memory: {:?}\n", bench.volume.memory());
    Ok(())
}

fn main() -> Outcome<()> {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let (most, bytes) = (numbers.next().unwrap_or(1_000_000), numbers.next().unwrap_or(1000));
    let mut files = 1000;
    while files <= most {
        run(files, bytes as usize, |number| format!("file-{number:07}"))?;
        files *= 10;
    }
    Ok(())
}
