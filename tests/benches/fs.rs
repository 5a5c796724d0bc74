//! `make bench`: the cost of file operations on a store, beside wasmtime's own file system, in one
//! run.
//!
//! The same guest runs composed and linked, on a memory store and on a redb file. Linked, it also
//! runs on a store in a directory, together and alone, in mode lazy, with an audit log, and with the
//! store inside the component. Unchanged, it
//! runs on a tmpfs directory, in wasmtime's fastest setting and in the default one for embedders.
//! Then it runs with each provider in the component, beside the same store in the host.
//!
//! Each number is the median of several rounds. A round goes through all ways, so that a busy
//! moment of the machine hits none alone. `KVFS_BENCH_ROUNDS` sets the number of rounds.
//! `KVFS_BENCH_WAY` runs one way alone, for a profiler; `KVFS_PERF_MAP` then makes wasmtime write
//! the map for `perf`.

mod floors;
mod providers;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use kvfs_compose::{Audit, AuditLevel, Compose, Link, Mode, Provider};
use kvfs_host::{FileOptions, MemoryStore, RedbStore, StoreAccess};
use kvfs_tests::{Calling, Output, Program, engine, guests};
use wasmtime::component::Component;

const LOOPS: &str = include_str!("../python/bench.py");

/// The targets of an operation.
struct Row {
    name: &'static str,
    /// Composed, on the memory store. The table's comment gives the unit.
    composed: Option<f64>,
    /// Linked, on the memory store: how many times faster than the host's fastest setting.
    linked: Option<f64>,
}

const fn row(name: &'static str, composed: f64, linked: f64) -> Row {
    Row { name, composed: Some(composed), linked: Some(linked) }
}

const fn told(name: &'static str) -> Row {
    Row { name, composed: None, linked: None }
}

/// Operations of the Rust guest. The composed target is the reference's time in microseconds, to be
/// met within [`SLOWEST`] times.
const OPERATIONS: [Row; 18] = [
    row("create + write 1 KiB + close", 9.7, 4.0),
    row("stat", 1.0, 8.0),
    row("missing name", 0.9, 10.0),
    told("missing name, asked again"),
    row("open + read 1 KiB + close", 4.2, 8.0),
    row("readdir, per entry", 0.7, 10.0),
    row("4 KiB stream write", 7.2, 1.5),
    row("4 KiB pread", 2.8, 2.5),
    told("4 KiB pread, scattered"),
    row("4 KiB pwrite", 1.9, 3.0),
    told("4 KiB pwrite, scattered"),
    row("64 KiB write", 22.0, 3.0),
    row("64 KiB stream read", 35.0, 3.0),
    told("4 KiB pwrite + fsync"),
    row("rename", 1.8, 4.0),
    row("unlink", 1.7, 4.0),
    told("mkdir"),
    told("rmdir"),
];
const SLOWEST: f64 = 1.5;

/// Loops of CPython. Their composed target is a factor too: how many times faster than the host's
/// fastest setting.
const PYTHON_LOOPS: [Row; 7] = [
    row("create", 3.5, 7.0),
    row("stat", 3.0, 5.0),
    row("open + read", 7.0, 18.0),
    row("missing name", 2.0, 2.5),
    row("scandir, per entry", 2.3, 7.0),
    row("unlink", 3.0, 4.0),
    told("sqlite3, 20,000 rows"),
];

/// A way to run a guest.
#[derive(Clone, Copy)]
enum Way {
    Store(Link, Store),
    /// Linked, on the memory store, in mode lazy: the store gets nothing before it must.
    Lazy,
    /// Linked, on the memory store, with an audit log of all calls.
    Audited,
    /// Linked, with the store in the component.
    Inside,
    Host(Calling),
}

#[derive(Clone, Copy)]
enum Store {
    Memory,
    Redb,
    File(StoreAccess),
}

const WAYS: [(&str, Way); 11] = [
    ("composed/memory", Way::Store(Link::Component, Store::Memory)),
    ("composed/redb", Way::Store(Link::Component, Store::Redb)),
    ("linked/memory", Way::Store(Link::Core, Store::Memory)),
    ("linked/redb", Way::Store(Link::Core, Store::Redb)),
    ("linked/lazy", Way::Lazy),
    ("linked/inside", Way::Inside),
    ("host, fastest", Way::Host(Calling::SyncOnThread)),
    ("host, default", Way::Host(Calling::Async)),
    ("linked/audited", Way::Audited),
    ("linked/file", Way::Store(Link::Core, Store::File(StoreAccess::Together))),
    ("linked/alone", Way::Store(Link::Core, Store::File(StoreAccess::Alone))),
];
const COMPOSED: usize = 0;
const LINKED: usize = 2;
const HOST: usize = 6;

fn main() -> anyhow::Result<()> {
    if std::env::var_os("RUST_BACKTRACE").is_some() {
        eprintln!("RUST_BACKTRACE is set: the times include a backtrace by wasmtime for every error code");
    }
    let rounds: usize = match std::env::var("KVFS_BENCH_ROUNDS") {
        Ok(number) => number.parse()?,
        Err(_) => 5,
    };
    let scratch = scratch()?;

    if let Ok(way) = std::env::var("KVFS_BENCH_WAY") {
        return one_way(&way, &Guest::new(guests::rust()?)?, rounds, scratch.path());
    }
    // First, so that the peak memory is that of composing.
    let python = composing()?;
    println!("{rounds} rounds, medians, files and redb store in {}", scratch.path().display());
    floors::print()?;

    let rust = Guest::new(guests::rust()?)?;
    let empty = |program: Program| program.args(["nothing"]);
    println!("\ninstantiation, µs          composed linked   bare");
    instantiation("Rust guest", &rust, empty, rounds)?;
    instantiation("CPython", &python, |program| program.args(["-c", "pass"]), rounds)?;

    let times = measure(rounds, WAYS.len(), |number| {
        let (program, files) = rust.way(WAYS[number].1, scratch.path())?;
        Ok((program.args(["bench"]), files))
    })?;
    println!("\nraw WASI guest, µs per operation");
    table(&times, &OPERATIONS, |times, reference| {
        let ratio = times[COMPOSED] / reference;
        (format!("{ratio:.2} of {reference} µs, at most {SLOWEST}"), ratio <= SLOWEST)
    });

    providers::compare(&rust, rounds, scratch.path())?;

    let times = measure(rounds, WAYS.len(), |number| {
        let (program, files) = python.way(WAYS[number].1, scratch.path())?;
        Ok((program.args(["-c", LOOPS]), files))
    })?;
    println!("\nCPython, µs per operation");
    table(&times, &PYTHON_LOOPS, |times, target| {
        let ahead = times[HOST] / times[COMPOSED];
        (format!("{ahead:.1} x, at least {target}"), ahead >= target)
    });
    Ok(())
}

/// Measures one way alone, for a profiler.
fn one_way(way: &str, guest: &Guest, rounds: usize, scratch: &Path) -> anyhow::Result<()> {
    let (_, way) = WAYS.iter().find(|(name, _)| *name == way).context("no such way")?;
    let times = measure(rounds, 1, |_| {
        let (program, files) = guest.way(*way, scratch)?;
        Ok((program.args(["bench"]), files))
    })?;
    for row in &OPERATIONS {
        println!("{:<30}{:>8.2}", row.name, times[row.name][0]);
    }
    Ok(())
}

/// Makes a directory in memory, so that the disk is not measured; or below `KVFS_BENCH_DIR`.
fn scratch() -> std::io::Result<tempfile::TempDir> {
    if let Some(dir) = std::env::var_os("KVFS_BENCH_DIR") {
        return tempfile::tempdir_in(dir);
    }
    let tmpfs = Path::new("/dev/shm");
    if tmpfs.is_dir() { tempfile::tempdir_in(tmpfs) } else { tempfile::tempdir() }
}

/// A guest, unchanged and joined with the file system in every way.
struct Guest {
    bytes: Vec<u8>,
    bare: Component,
    composed: Component,
    linked: Component,
    lazy: Component,
    audited: Component,
    inside: Component,
}

impl Guest {
    fn new(bare: &[u8]) -> anyhow::Result<Self> {
        let compile = |component: &[u8]| engine::compile(engine::plain(), component);
        let linked = || Compose::new(bare).link(Link::Core);
        let lazy = linked().mode(Mode::Lazy).build()?;
        let audited = linked().audit(Audit::new(AuditLevel::All)).build()?;
        let inside = linked().provider(Provider::Memory { size_bytes: None }).build()?;
        Ok(Self {
            bytes: bare.to_owned(),
            bare: compile(bare)?,
            composed: compile(&guests::joined(bare, Link::Component)?)?,
            linked: compile(&guests::joined(bare, Link::Core)?)?,
            lazy: compile(&lazy.bytes)?,
            audited: compile(&audited.bytes)?,
            inside: compile(&inside.bytes)?,
        })
    }

    fn joined(&self, link: Link) -> &Component {
        if link == Link::Core { &self.linked } else { &self.composed }
    }

    /// Prepares a run in one way, on empty files.
    fn way(&self, way: Way, scratch: &Path) -> anyhow::Result<(Program, tempfile::TempDir)> {
        let dir = tempfile::tempdir_in(scratch)?;
        let program = match way {
            Way::Store(link, Store::Memory) => {
                Program::new(self.joined(link)).store(Arc::new(MemoryStore::new()))
            }
            Way::Store(link, Store::Redb) => {
                let store = RedbStore::open(dir.path().join("state.redb"))?;
                Program::new(self.joined(link)).store(Arc::new(store))
            }
            Way::Store(link, Store::File(access)) => {
                let store = FileOptions::new().access(access).open(dir.path().join("state"))?;
                Program::new(self.joined(link)).store(Arc::new(store))
            }
            Way::Lazy => Program::new(&self.lazy).store(Arc::new(MemoryStore::new())),
            Way::Audited => Program::new(&self.audited).store(Arc::new(MemoryStore::new())),
            Way::Inside => Program::new(&self.inside),
            Way::Host(calling) => Program::new(&self.bare).host_files(dir.path()).calling(calling),
        };
        Ok((program.time_limit(Duration::from_secs(300)), dir))
    }
}

/// Joins CPython with the file system in both ways and prints the cost.
fn composing() -> anyhow::Result<Guest> {
    let bare = std::fs::read(guests::python()?)?;
    println!("adapter {} bytes", kvfs_compose::ADAPTER.len());
    for (name, link) in [("composing", Link::Component), ("linking", Link::Core)] {
        let start = Instant::now();
        let joined = guests::joined(&bare, link)?;
        println!(
            "{name} CPython: {:.0} ms, {:.1} MB in, {:.1} MB out, peak memory so far {}",
            start.elapsed().as_secs_f64() * 1e3,
            bare.len() as f64 / 1e6,
            joined.len() as f64 / 1e6,
            peak_memory(),
        );
    }
    Guest::new(&bare)
}

/// Returns this process's peak memory, if the system tells.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("unknown".into(), |value| value.trim().into())
}

fn instantiation(
    name: &str,
    guest: &Guest,
    prepare: impl Fn(Program) -> Program,
    rounds: usize,
) -> anyhow::Result<()> {
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds.max(3) * 3 {
        let on_store = |component| Program::new(component).store(Arc::new(MemoryStore::new()));
        let programs = [on_store(&guest.composed), on_store(&guest.linked), Program::new(&guest.bare)];
        for (program, times) in programs.into_iter().zip(&mut times) {
            times.push(ended_well(prepare(program).run()?)?.instantiation.as_nanos() as f64 / 1e3);
        }
    }
    let [composed, linked, bare] = times.map(median);
    let (more, linked_more) = (composed - bare, linked - bare);
    println!(
        "{name:<26} {composed:>8.0} {linked:>6.0} {bare:>6.0}  {more:.0} and {linked_more:.0} more; target: under 1000"
    );
    Ok(())
}

/// Microseconds per operation, one number for each way.
type Times = BTreeMap<String, Vec<f64>>;

/// Measures ways by their numbers, with fresh files for each.
fn measure(
    rounds: usize,
    ways: usize,
    prepare: impl Fn(usize) -> anyhow::Result<(Program, tempfile::TempDir)>,
) -> anyhow::Result<Times> {
    let mut samples: BTreeMap<String, Vec<Vec<f64>>> = BTreeMap::new();
    for _ in 0..rounds {
        for number in 0..ways {
            let (program, _files) = prepare(number)?;
            let output = ended_well(program.run()?)?;
            for line in output.stdout.lines() {
                let [name, count, nanoseconds] = line.split('\t').collect::<Vec<_>>()[..] else {
                    anyhow::bail!("the guest printed {line:?}");
                };
                let each = nanoseconds.parse::<f64>()? / 1e3 / count.parse::<f64>()?;
                samples.entry(name.to_owned()).or_insert_with(|| vec![Vec::new(); ways])[number].push(each);
            }
        }
    }
    let medians = |ways: Vec<Vec<f64>>| ways.into_iter().map(median).collect();
    Ok(samples.into_iter().map(|(name, ways)| (name, medians(ways))).collect())
}

fn ended_well(output: Output) -> anyhow::Result<Output> {
    anyhow::ensure!(output.code == Some(0), "the guest failed: {output:#?}");
    Ok(output)
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn table(times: &Times, rows: &[Row], composed: impl Fn(&[f64], f64) -> (String, bool)) {
    print!("{:<30}", "");
    WAYS.iter().for_each(|(way, _)| print!("{way:>16}"));
    println!();
    for row in rows {
        let Some(times) = times.get(row.name) else { continue };
        print!("{:<30}", row.name);
        times.iter().for_each(|time| print!("{time:>16.2}"));
        let told = |what: &str, (text, met): (String, bool)| {
            print!("  {what}: {text}{}", if met { "" } else { ": MISSED" });
        };
        if let Some(target) = row.composed {
            told("composed", composed(times, target));
        }
        if let Some(target) = row.linked {
            let ahead = times[HOST] / times[LINKED];
            told("linked", (format!("{ahead:.1} x, at least {target}"), ahead >= target));
        }
        println!();
    }
}
