//! Programs without a guest that use volumes as wholes: forks, snapshots, differences, merges, and
//! reading through layers. They call the host's own library, as an embedder does.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kvfs::volumes::{self, Doing, Outcome};
use kvfs::{Access, At, Follow, Mode, OpenFlags, Options, Volume};
use kvfs_host::{EngineStore, FileStore, MemoryStore, SyncStore, SystemClock, Volumes};

use crate::library;
use crate::lines::Line;
use crate::memory;
use crate::way::Keeper;

/// Files in each directory of a tree.
const FILES_IN_DIRECTORY: u64 = 1_000;
/// Forks or snapshots that a mean is of.
const TIMES: u64 = 200;
/// Snapshots that are kept at a time. Others are removed, as whoever takes many of them does.
const KEPT: u64 = 10;
/// Changes of which a difference consists.
const CHANGES: u64 = 10;
/// Files of which a merge consists.
const MERGED: u64 = 100;
/// Merges that a mean is of.
const MERGES: u64 = 10;
/// Files that are looked up through layers.
const LOOKED_UP: u64 = 500;
/// Forks at the beginning and the end of many that are compared.
const COMPARED: u64 = 100;

/// Returns whether there is a program for a workload.
pub(crate) fn has(workload: &str) -> bool {
    matches!(workload, "forks" | "many-forks" | "layers" | "library-forks")
}

/// Returns whether programs can use a kind of store.
pub(crate) fn can_use(keeper: Keeper) -> bool {
    matches!(keeper, Keeper::Memory | Keeper::File)
}

/// Runs a workload's program on a new store in an empty directory. `python` is the component of CPython,
/// for the program that uses its library.
///
/// # Errors
/// Those of the store; a workload or a kind of store without a program.
pub(crate) fn run(
    workload: &str,
    size: u64,
    keeper: Keeper,
    dir: &Path,
    python: Option<&Path>,
) -> Result<Vec<Line>> {
    match keeper {
        Keeper::Memory => of(workload, size, MemoryStore::new(), dir, python),
        Keeper::File => of(workload, size, FileStore::open(dir.join("state"))?, dir, python),
        Keeper::Redb | Keeper::Bucket => bail!("volumes are not measured on this kind of store"),
    }
}

fn of<S: SyncStore + Clone + 'static>(
    workload: &str,
    size: u64,
    store: S,
    dir: &Path,
    python: Option<&Path>,
) -> Result<Vec<Line>> {
    let volumes = Volumes::new(store.clone());
    let mut program = Program { store, volumes, lines: Vec::new() };
    match workload {
        "forks" => program.forks(size)?,
        "many-forks" => program.many(size)?,
        "layers" => program.layers(size)?,
        "library-forks" => {
            let sources = dir.join("library");
            library::unpack(python.context("there is no component of CPython")?, &sources)?;
            program.library(size, &sources)?;
        }
        _ => bail!("there is no program for the workload {workload}"),
    }
    Ok(program.lines)
}

struct Program<S> {
    store: S,
    volumes: Volumes<S>,
    lines: Vec<Line>,
}

fn path(file: u64) -> String {
    format!("d{}/f{}", file / FILES_IN_DIRECTORY, file % FILES_IN_DIRECTORY)
}

fn write(volume: &mut Volume, path: &str, bytes: &[u8]) -> Result<()> {
    let root = volume.root()?;
    let create = OpenFlags { create: true, truncate: true, ..OpenFlags::default() };
    let access = Access { read: true, write: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::No, create, access)?;
    volume.write(&file, At::Offset(0), bytes)?;
    volume.close(file)?;
    Ok(volume.close(root)?)
}

impl<S: SyncStore + Clone + 'static> Program<S> {
    fn open(&self, volume: &str, mode: Mode) -> Result<Volume> {
        let options = Options { volume: volume.to_owned(), mode, ..Options::default() };
        Ok(Volume::open(Box::new(EngineStore(self.store.clone())), Box::new(SystemClock), options)?)
    }

    fn line(&mut self, name: &str, count: u64, took: Duration) {
        self.lines.push(Line { name: name.to_owned(), count, amount: took.as_nanos() as u64 });
    }

    /// Makes the volume `main` with so many files.
    fn tree(&self, files: u64) -> Result<()> {
        let mut volume = self.open("main", Mode::Lazy)?;
        let root = volume.root()?;
        for directory in 0..files.div_ceil(FILES_IN_DIRECTORY) {
            volume.create_directory_at(&root, &format!("d{directory}"))?;
        }
        for file in 0..files {
            write(&mut volume, &path(file), b"one")?;
        }
        volume.close(root)?;
        Ok(volume.sync_all()?)
    }

    /// Forks of a volume that changes between them, and of one that does not; what a fork changes.
    fn forks(&mut self, files: u64) -> Result<()> {
        self.tree(files)?;
        let mut writer = self.open("main", Mode::Close)?;
        let mut spent = Duration::ZERO;
        for number in 0..TIMES {
            write(&mut writer, "changed", &number.to_be_bytes())?;
            let start = Instant::now();
            self.volumes.snapshot("main", &format!("s{number}"))?;
            spent += start.elapsed();
            if let Some(old) = number.checked_sub(KEPT) {
                self.volumes.remove(&format!("s{old}"))?;
                self.volumes.collect(10_000)?;
            }
        }
        self.line("snapshot of a changed volume", TIMES, spent);
        let last = format!("s{}", TIMES - 1);
        let start = Instant::now();
        for number in 0..TIMES {
            self.volumes.fork(&last, &format!("f{number}"))?;
        }
        self.line("fork of an unchanged volume", TIMES, start.elapsed());
        let (mut opening, mut changing) = (Duration::ZERO, Duration::ZERO);
        for number in 0..COMPARED {
            let start = Instant::now();
            let mut fork = self.open(&format!("f{number}"), Mode::Close)?;
            opening += start.elapsed();
            let start = Instant::now();
            write(&mut fork, &path(number * files / COMPARED), b"two")?;
            changing += start.elapsed();
        }
        self.line("open a fork", COMPARED, opening);
        self.line("change a file of a fork just opened", COMPARED, changing);
        self.volumes.fork(&last, "changed")?;
        let mut fork = self.open("changed", Mode::Close)?;
        for number in 0..CHANGES {
            write(&mut fork, &path(number * files / CHANGES), b"two")?;
        }
        fork.sync_all()?;
        let start = Instant::now();
        for _ in 0..CHANGES {
            let found = self.volumes.diff(&last, "changed", None)?;
            ensure!(found.len() as u64 == CHANGES, "a diff found {found:?}");
        }
        self.line("diff of 10 changed files", CHANGES, start.elapsed());
        self.merges(&last, files)
    }

    /// Merges of forks of volume `base` into another fork of it.
    fn merges(&mut self, base: &str, files: u64) -> Result<()> {
        self.volumes.fork(base, "merged")?;
        let mut spent = Duration::ZERO;
        for number in 0..MERGES {
            self.volumes.fork("merged", "changing")?;
            let mut fork = self.open("changing", Mode::Lazy)?;
            for file in 0..MERGED {
                // Files that a small tree does not have are new ones of its directory.
                write(&mut fork, &path(file * files.max(MERGED) / MERGED), &number.to_be_bytes())?;
            }
            fork.sync_all()?;
            drop(fork);
            let mut store = EngineStore(self.store.clone());
            let start = Instant::now();
            let done = volumes::merge(
                &mut store,
                &mut SystemClock,
                "changing",
                "merged",
                None,
                Doing::Merge,
                &mut |_| None,
            )?;
            spent += start.elapsed();
            let Outcome::Merged(merged) = done else { bail!("a merge found conflicts: {done:?}") };
            // The directory of new files is changed too.
            let count = merged.added + merged.changed;
            ensure!((MERGED..=MERGED + 1).contains(&count), "a merge did {merged:?}");
            self.volumes.remove("changing")?;
            self.volumes.collect(10_000)?;
        }
        self.line("merge of 100 changed files", MERGES, spent);
        Ok(())
    }

    /// Many forks of one volume, and a list of them.
    fn many(&mut self, count: u64) -> Result<()> {
        self.tree(CHANGES)?;
        self.volumes.snapshot("main", "base")?;
        let fork = |from: u64, to: u64| -> Result<Duration> {
            let start = Instant::now();
            (from..to).try_for_each(|number| self.volumes.fork("base", &format!("fork {number:07}")))?;
            Ok(start.elapsed())
        };
        let compared = COMPARED.min(count / 2);
        let first = fork(0, compared)?;
        fork(compared, count - compared)?;
        let last = fork(count - compared, count)?;
        self.line("fork, of the first", compared, first);
        self.line("fork, of the last", compared, last);
        memory::forget_peak();
        let before = memory::now_bytes();
        let (start, mut listed) = (Instant::now(), 0);
        self.volumes.list(|_, info| -> Result<()> {
            listed += 1;
            black_box(info?);
            Ok(())
        })?;
        self.line("list of all", 1, start.elapsed());
        ensure!(listed == count + 2, "a list had {listed} volumes");
        if let (Some(before), Some(peak)) = (before, memory::peak_bytes()) {
            let amount = peak.saturating_sub(before);
            self.lines.push(Line { name: "@list of all".to_owned(), count: 1, amount });
        }
        Ok(())
    }

    /// Look-ups through so many layers below the top one.
    fn layers(&mut self, layers: u64) -> Result<()> {
        self.tree(LOOKED_UP)?;
        let mut writer = self.open("main", Mode::Close)?;
        for number in 0..layers {
            write(&mut writer, &path(number), b"changed")?;
            self.volumes.snapshot("main", &format!("s{number}"))?;
        }
        drop(writer);
        // A volume that was never forked has no layer of a number of its own.
        let below = self.volumes.info("main")?.layers.len().saturating_sub(1) as u64;
        ensure!(below == layers, "{below} layers are below instead of {layers}");
        let mut volume = self.open("main", Mode::Close)?;
        let root = volume.root()?;
        for name in ["stat, cold", "stat, warm"] {
            let start = Instant::now();
            for file in 0..LOOKED_UP {
                black_box(volume.stat_at(&root, &path(file), Follow::No)?);
            }
            self.line(name, LOOKED_UP, start.elapsed());
        }
        Ok(volume.close(root)?)
    }

    /// Forks of a library of which each writes one file anew.
    fn library(&mut self, forks: u64, sources: &Path) -> Result<()> {
        let files = library::files(sources)?;
        let mut main = self.open("main", Mode::Lazy)?;
        let root = main.root()?;
        for directory in &files.directories {
            main.create_directory_at(&root, directory)?;
        }
        for file in &files.files {
            write(&mut main, file, &fs::read(sources.join(file))?)?;
        }
        main.close(root)?;
        main.sync_all()?;
        drop(main);
        self.volumes.snapshot("main", "base")?;
        let (before, mut changed, mut spent) = (self.stored_bytes()?, 0, Duration::ZERO);
        for (number, file) in (0..forks).zip(files.files.iter().cycle()) {
            let mut bytes = fs::read(sources.join(file))?;
            bytes.extend(format!("# fork {number}\n").bytes());
            changed += bytes.len() as u64;
            let name = format!("fork {number}");
            let start = Instant::now();
            self.volumes.fork("base", &name)?;
            let mut fork = self.open(&name, Mode::Close)?;
            write(&mut fork, file, &bytes)?;
            fork.sync_all()?;
            spent += start.elapsed();
        }
        self.line("fork, open, write a file anew, sync", forks, spent);
        let stored = self.stored_bytes()?.saturating_sub(before);
        ensure!(stored > changed, "{stored} bytes hold {changed}");
        let amount = (stored - changed) / forks;
        self.lines.push(Line { name: "@a fork, beside its file's bytes".to_owned(), count: 1, amount });
        Ok(())
    }

    /// The bytes of all keys and values.
    fn stored_bytes(&self) -> Result<u64> {
        let (mut start, mut bytes) = (Vec::new(), 0);
        loop {
            let page = self.store.scan(&start, b"", 1024, 1 << 20)?;
            let Some(last) = page.last() else { return Ok(bytes) };
            start = last.key.to_vec();
            start.push(0);
            bytes += page.iter().map(|entry| (entry.key.len() + entry.value.len()) as u64).sum::<u64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_measure_what_their_workloads_say() {
        for (workload, size, lines) in
            [("forks", 50, 6), ("many-forks", 20, 3), ("layers", 0, 2), ("layers", 32, 2)]
        {
            let dir = tempfile::tempdir().unwrap();
            for keeper in [Keeper::Memory, Keeper::File] {
                let found = run(workload, size, keeper, dir.path(), None).unwrap();
                let times = found.iter().filter(|line| !line.is_memory()).count();
                assert!(times == lines && has(workload), "{workload}: {found:?}");
            }
            assert!(run(workload, size, Keeper::Redb, dir.path(), None).is_err() && !can_use(Keeper::Redb));
        }
        assert!(!has("operations"));
        let dir = tempfile::tempdir().unwrap();
        assert!(run("operations", 1, Keeper::Memory, dir.path(), None).is_err());
        assert!(run("library-forks", 1, Keeper::Memory, dir.path(), None).is_err());
    }
}
