//! Times forks of volumes, reading through layers, and differences, on the memory store:
//! `cargo bench -p kvfs --bench forks`. An argument names the number of files of the largest volume.

use kvfs::volumes::{self, Taken};
use kvfs::{Access, At, Clock, Error, Follow, MemoryStore, Mode, OpenFlags, Options, Timestamp, Volume};
use std::hint::black_box;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Error>;

/// Each look at it is a nanosecond later, so that no two layers are of one moment.
#[derive(Clone, Default)]
struct Ticking(std::rc::Rc<std::cell::Cell<u32>>);

impl Clock for Ticking {
    fn now(&mut self) -> Timestamp {
        self.0.set(self.0.get() + 1);
        Timestamp { seconds: 0, nanoseconds: self.0.get() % 1_000_000_000 }
    }
}

/// Files in each directory of a tree.
const FILES_IN_DIRECTORY: usize = 1_000;

fn open(store: &MemoryStore, clock: &Ticking, volume: &str) -> Outcome<Volume> {
    let options = Options { volume: volume.to_owned(), ..Options::default() };
    Volume::open(Box::new(store.clone()), Box::new(clock.clone()), options)
}

fn write(volume: &mut Volume, path: &str, bytes: &[u8]) -> Outcome<()> {
    let root = volume.root()?;
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { read: true, write: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::No, create, access)?;
    volume.write(&file, At::Offset(0), bytes)?;
    volume.close(file)?;
    volume.close(root)
}

fn path(file: usize) -> String {
    format!("d{}/f{}", file / FILES_IN_DIRECTORY, file % FILES_IN_DIRECTORY)
}

/// Makes the volume `main` with so many files.
fn tree(files: usize) -> Outcome<(MemoryStore, Ticking)> {
    let (store, clock) = (MemoryStore::default(), Ticking::default());
    let mut volume = open(&store, &clock, "main")?;
    let root = volume.root()?;
    for directory in 0..files.div_ceil(FILES_IN_DIRECTORY) {
        volume.create_directory_at(&root, &format!("d{directory}"))?;
    }
    for file in 0..files {
        write(&mut volume, &path(file), b"one")?;
    }
    volume.close(root)?;
    volume.sync_all()?;
    Ok((store, clock))
}

fn micros(time: Duration, times: usize) -> f64 {
    time.as_secs_f64() * 1e6 / times as f64
}

/// Forks of a volume that changes between them, and of one that does not.
fn forks(files: usize) -> Outcome<()> {
    const TIMES: usize = 200;
    let (mut store, mut clock) = tree(files)?;
    let mut writer = open(&store, &clock, "main")?;
    let (mut spent, mut longest) = (Duration::ZERO, Duration::ZERO);
    for number in 0..TIMES {
        write(&mut writer, "changed", &number.to_be_bytes())?;
        let start = Instant::now();
        volumes::fork(&mut store, &mut clock, "main", &format!("s{number}"), Taken::ReadOnly)?;
        let time = start.elapsed();
        spent += time;
        longest = longest.max(time);
        if number >= 10 {
            volumes::remove(&mut store, &format!("s{}", number - 10))?;
            volumes::collect_garbage(&mut store, 100)?;
        }
    }
    let start = Instant::now();
    for number in 0..TIMES {
        volumes::fork(&mut store, &mut clock, "s199", &format!("f{number}"), Taken::Writable)?;
    }
    let unchanged = micros(start.elapsed(), TIMES);
    let start = Instant::now();
    let mut fork = open(&store, &clock, "f7")?;
    let opening = micros(start.elapsed(), 1);
    let start = Instant::now();
    write(&mut fork, &path(files / 2), b"two")?;
    fork.sync_all()?;
    let changing = micros(start.elapsed(), 1);
    println!(
        "{files:>9} files: a snapshot of a changed volume {:.1} µs (longest {:.0}), a fork of an unchanged one \
         {unchanged:.1}, opening it {opening:.0}, changing a file of it {changing:.0}",
        micros(spent, TIMES),
        micros(longest, 1),
    );
    Ok(())
}

/// Many forks in one store, and a list of them.
fn many(count: usize) -> Outcome<()> {
    let (mut store, mut clock) = tree(10)?;
    volumes::fork(&mut store, &mut clock, "main", "base", Taken::ReadOnly)?;
    let bytes = |store: &MemoryStore| -> usize {
        store.dump().iter().map(|(key, value)| key.len() + value.len()).sum()
    };
    let before = bytes(&store);
    let mut last = Duration::ZERO;
    let first = Instant::now();
    for number in 0..count {
        let start = Instant::now();
        volumes::fork(&mut store, &mut clock, "base", &format!("fork {number:07}"), Taken::Writable)?;
        last = start.elapsed();
    }
    let each = micros(first.elapsed(), count);
    let size = (bytes(&store) - before) / count;
    let start = Instant::now();
    let mut listed = 0;
    volumes::list(&mut store, &mut |_, info| {
        listed += 1;
        info.map(drop)
    })?;
    println!(
        "{count:>9} forks of one volume: {each:.1} µs each, the last {:.1}, {size} bytes each; a list of {listed} in \
         {:.0} ms",
        micros(last, 1),
        micros(start.elapsed(), 1) / 1e3
    );
    Ok(())
}

/// Cold and warm reads through layers.
fn depth(layers: usize) -> Outcome<()> {
    const FILES: usize = 500;
    let (mut store, mut clock) = tree(FILES)?;
    let mut writer = open(&store, &clock, "main")?;
    for number in 0..layers {
        write(&mut writer, &path(number), b"changed")?;
        volumes::fork(&mut store, &mut clock, "main", &format!("s{number}"), Taken::ReadOnly)?;
    }
    drop(writer);
    let mut volume = open(&store, &clock, "main")?;
    let root = volume.root()?;
    let mut stats = || -> Outcome<f64> {
        let start = Instant::now();
        for file in 0..FILES {
            black_box(volume.stat_at(&root, &path(file), Follow::No)?);
        }
        Ok(micros(start.elapsed(), FILES))
    };
    let (cold, warm) = (stats()?, stats()?);
    println!("{layers:>9} layers below: stat cold {cold:.2} µs, warm {warm:.2}");
    Ok(())
}

/// A writer with a snapshot after each so many operations, or none, of which the last ten are kept.
fn beside(files: usize, every: Option<usize>) -> Outcome<()> {
    const KEPT: usize = 10;
    let (store, clock) = (MemoryStore::default(), Ticking::default());
    let options = Options { volume: "main".to_owned(), mode: Mode::Close, ..Options::default() };
    let mut volume = Volume::open(Box::new(store.clone()), Box::new(clock.clone()), options)?;
    let root = volume.root()?;
    let mut taken = 0;
    let mut times = Vec::new();
    let mut snapshots = Duration::ZERO;
    let mut pass =
        |volume: &mut Volume, work: &mut dyn FnMut(&mut Volume, usize) -> Outcome<()>| -> Outcome<()> {
            let mut spent = Duration::ZERO;
            let mut start = Instant::now();
            for file in 0..files {
                work(volume, file)?;
                if every.is_some_and(|every| file % every == every - 1) {
                    spent += start.elapsed();
                    let (mut store, mut clock) = (store.clone(), clock.clone());
                    let began = Instant::now();
                    volumes::fork(&mut store, &mut clock, "main", &format!("s{taken}"), Taken::ReadOnly)?;
                    snapshots += began.elapsed();
                    taken += 1;
                    if taken > KEPT {
                        volumes::remove(&mut store, &format!("s{}", taken - 1 - KEPT))?;
                        volumes::collect_garbage(&mut store, 10_000)?;
                    }
                    start = Instant::now();
                }
            }
            times.push(micros(spent + start.elapsed(), files));
            Ok(())
        };
    pass(&mut volume, &mut |volume, file| write(volume, &format!("f{file}"), b"one"))?;
    pass(&mut volume, &mut |volume, file| {
        volume
            .stat_at(&root, &format!("f{}", file * 7919 % files), Follow::No)
            .map(|stat| _ = black_box(stat))
    })?;
    pass(&mut volume, &mut |volume, file| write(volume, &format!("f{}", file * 7919 % files), b"two"))?;
    pass(&mut volume, &mut |volume, file| {
        volume.unlink_file_at(&root, &format!("f{}", file * 7919 % files))
    })?;
    println!(
        "{files:>9} files, {taken} snapshots of {:.0} µs beside: create {:.2} µs, stat {:.2}, write again {:.2}, unlink {:.2}",
        micros(snapshots, taken.max(1)),
        times[0],
        times[1],
        times[2],
        times[3],
    );
    Ok(())
}

/// Ten files of many are changed, and found.
fn differences(files: usize) -> Outcome<()> {
    let (mut store, mut clock) = tree(files)?;
    volumes::fork(&mut store, &mut clock, "main", "fork", Taken::Writable)?;
    let mut fork = open(&store, &clock, "fork")?;
    for number in 0..10 {
        let file = number * files / 10;
        match number % 2 {
            0 => write(&mut fork, &format!("{}.new", path(file)), b"two")?,
            _ => {
                let root = fork.root()?;
                fork.unlink_file_at(&root, &path(file))?;
                fork.close(root)?;
            }
        }
    }
    fork.sync_all()?;
    let start = Instant::now();
    let found = volumes::diff(&mut store, "main", "fork", None)?;
    let names = micros(start.elapsed(), 1);
    write(&mut fork, &path(3), b"two")?;
    fork.sync_all()?;
    let start = Instant::now();
    volumes::diff(&mut store, "main", "fork", None)?;
    println!(
        "{files:>9} files: {} differences of names in {names:.0} µs; with one of a file's bytes {:.0}",
        found.len(),
        micros(start.elapsed(), 1)
    );
    Ok(())
}

/// A hundred files of many are changed in a fork, and merged.
fn merges(files: usize) -> Outcome<()> {
    const CHANGED: usize = 100;
    const TIMES: usize = 20;
    let (mut store, mut clock) = tree(files)?;
    let mut shortest = Duration::MAX;
    for number in 0..TIMES {
        let name = format!("fork {number}");
        volumes::fork(&mut store, &mut clock, "main", &name, Taken::Writable)?;
        let mut fork = open(&store, &clock, &name)?;
        for changed in 0..CHANGED {
            write(&mut fork, &path(changed * files / CHANGED), &number.to_be_bytes())?;
        }
        fork.sync_all()?;
        drop(fork);
        let start = Instant::now();
        let done =
            volumes::merge(&mut store, &mut clock, &name, "main", None, volumes::Doing::Merge, &mut |_| {
                None
            })?;
        shortest = shortest.min(start.elapsed());
        let is_whole = matches!(done, volumes::Outcome::Merged(merged) if merged.changed == CHANGED as u64);
        assert!(is_whole, "not what was changed: {done:?}");
        volumes::remove(&mut store, &name)?;
        while !volumes::collect_garbage(&mut store, 10_000)?.done {}
    }
    println!("{files:>9} files: a merge of {CHANGED} changed ones {:.0} µs", micros(shortest, 1));
    Ok(())
}

fn main() -> Outcome<()> {
    // Cargo passes `--bench`.
    let largest = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let sizes = || [10, 10_000, 100_000, 1_000_000].into_iter().filter(|files| *files <= largest);
    for files in sizes().skip(1) {
        beside(files, None)?;
        beside(files, Some(2_500))?;
    }
    if std::env::args().any(|argument| argument == "beside") {
        return Ok(());
    }
    sizes().try_for_each(forks)?;
    many(largest)?;
    [0, 1, 4, 16, 31].into_iter().try_for_each(depth)?;
    sizes().skip(1).try_for_each(differences)?;
    sizes().skip(1).try_for_each(merges)
}
