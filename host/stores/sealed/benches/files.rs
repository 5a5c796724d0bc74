//! The cost of sealing for the file system: the engine on a store in memory, as it is and sealed, in one
//! run.
//!
//! ```sh
//! cargo bench -p kvfs-sealed-store
//! ```

use kvfs::{Access, At, Clock, Error, Follow, Mode, OpenFlags, Options, Timestamp, Volume};
use kvfs_contract::{
    Durability, Entries, Entry, Guard, KvStore, Limits, Mutation, ScanBudget, StoreError, gather, key_range,
};
use kvfs_sealed_store::{Blocking, Cost, Random, Seal, SealedStore, UserKey, now};
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Instant;

const DIRECTORIES: usize = 20;
const FILES: usize = 100;
const LARGE: usize = 20_000;
const ROUNDS: usize = 9;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Entries<Vec<u8>>>>);

impl KvStore for Memory {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        Ok(Limits::standard(false))
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let entries = self.0.lock().unwrap();
        gather(keys, |key| Ok(entries.get(key).cloned()))
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let (entries, mut budget) = (self.0.lock().unwrap(), ScanBudget::new(max_entries, max_bytes));
        let range = key_range(start, end).into_iter().flat_map(|range| entries.range(range));
        let page = range.take_while(|(key, value)| budget.take(key.len() + value.len()));
        Ok(page.map(|(key, value)| Entry { key: key.to_vec(), value: value.clone() }).collect())
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        _: Durability,
    ) -> Result<(), StoreError> {
        let mut entries = self.0.lock().unwrap();
        entries.check(guards, mutations, u64::MAX)?;
        mutations.iter().for_each(|change| entries.set(change.key(), change.value().map(<[u8]>::to_vec)));
        Ok(())
    }
}

struct System;

impl Random for System {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        getrandom::fill(bytes).map_err(|error| StoreError::Fault(error.to_string()))
    }
}

struct Noon;

impl Clock for Noon {
    fn now(&mut self) -> Timestamp {
        Timestamp { seconds: 43_200, nanoseconds: 0 }
    }
}

fn open(memory: &Memory, sealed: bool) -> Result<Volume, Error> {
    let options = Options { mode: Mode::Close, ..Options::default() };
    if !sealed {
        return Volume::open(Box::new(memory.clone()), Box::new(Noon), options);
    }
    let key = UserKey::from_key_file(vec![7; 32]).expect("a key");
    let seal = Seal { key: &key, cost: Cost::DEFAULT, create: true };
    let store = now(SealedStore::open(Blocking::new(memory.clone()), seal, System)).expect("a sealed store");
    Volume::open(Box::new(store), Box::new(Noon), options)
}

/// Microseconds for each operation: name and time.
type Times = Vec<(&'static str, f64)>;

fn timed(
    times: &mut Times,
    name: &'static str,
    count: usize,
    run: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let start = Instant::now();
    run()?;
    times.push((name, start.elapsed().as_secs_f64() * 1e6 / count as f64));
    Ok(())
}

fn write(volume: &mut Volume, path: &str, bytes: &[u8]) -> Result<(), Error> {
    let root = volume.root()?;
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::Yes, create, access)?;
    volume.write(&file, At::End, bytes)?;
    volume.close(file)?;
    volume.close(root)
}

fn read(volume: &mut Volume, path: &str) -> Result<usize, Error> {
    let root = volume.root()?;
    let access = Access { read: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::Yes, OpenFlags::default(), access)?;
    let mut bytes = Vec::new();
    while volume.read(&file, bytes.len() as u64, 64 << 10, &mut bytes)? > 0 {}
    volume.close(file)?;
    volume.close(root)?;
    Ok(bytes.len())
}

fn list(volume: &mut Volume, path: &str) -> Result<usize, Error> {
    let root = volume.root()?;
    let access = Access { read: true, ..Access::default() };
    let flags = OpenFlags { directory: true, ..OpenFlags::default() };
    let directory = volume.open_at(&root, path, Follow::Yes, flags, access)?;
    let mut listing = volume.read_directory(&directory)?;
    let mut names = 0;
    while volume.next_entry(&mut listing)?.is_some() {
        names += 1;
    }
    volume.close_directory(listing)?;
    volume.close(directory)?;
    volume.close(root)?;
    Ok(names)
}

fn round(sealed: bool) -> Result<Times, Error> {
    let (memory, mut times) = (Memory::default(), Times::new());
    let all = DIRECTORIES * FILES;
    let paths: Vec<String> = (0..all)
        .map(|file| format!("directory-{}/file-{}.txt", file % DIRECTORIES, file / DIRECTORIES))
        .collect();
    let mut volume = open(&memory, sealed)?;
    for directory in 0..DIRECTORIES {
        let root = volume.root()?;
        volume.create_directory_at(&root, &format!("directory-{directory}"))?;
        volume.close(root)?;
    }
    timed(&mut times, "create + write 1 KiB + close", all, || {
        paths.iter().try_for_each(|path| write(&mut volume, path, &[7; 1024]))
    })?;
    timed(&mut times, "write 64 KiB + close", 200, || {
        (0..200).try_for_each(|file| write(&mut volume, &format!("large-{file}"), &[7; 64 << 10]))
    })?;
    timed(&mut times, "open + read 1 KiB + close, in memory", all, || {
        paths.iter().try_for_each(|path| read(&mut volume, path).map(discard))
    })?;
    let mut volume = open(&memory, sealed)?;
    timed(&mut times, "open + read 1 KiB + close, cold", all, || {
        paths.iter().try_for_each(|path| read(&mut volume, path).map(discard))
    })?;
    timed(&mut times, "open + read 64 KiB + close, cold", 200, || {
        (0..200).try_for_each(|file| read(&mut volume, &format!("large-{file}")).map(discard))
    })?;
    let mut volume = open(&memory, sealed)?;
    timed(&mut times, "readdir of 100, cold, per entry", all, || {
        (0..DIRECTORIES).try_for_each(|directory| {
            assert_eq!(list(&mut volume, &format!("directory-{directory}"))?, FILES);
            Ok(())
        })
    })?;
    let root = volume.root()?;
    timed(&mut times, "unlink", all, || {
        paths.iter().try_for_each(|path| volume.unlink_file_at(&root, path))
    })?;
    volume.create_directory_at(&root, "many")?;
    volume.close(root)?;
    for file in 0..LARGE {
        write(&mut volume, &format!("many/{}", file * 7919 % LARGE), b"")?;
    }
    let mut volume = open(&memory, sealed)?;
    timed(&mut times, "readdir of 20,000, cold, per entry", LARGE, || {
        assert_eq!(list(&mut volume, "many")?, LARGE);
        Ok(())
    })?;
    Ok(times)
}

/// Keeps a read from being left out.
fn discard(bytes: usize) {
    black_box(bytes);
}

/// The best time: what other programs take from this one only makes times longer.
fn best(times: impl Iterator<Item = f64>) -> f64 {
    times.fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), Error> {
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (sealed, rounds) in [false, true].into_iter().zip(&mut rounds) {
            rounds.push(round(sealed)?);
        }
    }
    println!("{:<38} {:>8} {:>8} {:>6}", "µs per operation", "plain", "sealed", "times");
    for (number, (name, _)) in rounds[0][0].iter().enumerate() {
        let [plain, sealed] =
            [&rounds[0], &rounds[1]].map(|all| best(all.iter().map(|times| times[number].1)));
        println!("{name:<38} {plain:>8.2} {sealed:>8.2} {:>6.2}", sealed / plain);
    }
    Ok(())
}
