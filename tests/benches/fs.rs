//! `make bench`: what file operations cost on a store, beside wasmtime's own file system, in one run.
//!
//! Four ways to run the same guest: composed, on a memory store and on a redb file; not composed, on a directory
//! of tmpfs, in wasmtime's fastest setting and in the one embedders get by default. Each number is the median of
//! several rounds, and a round goes through all four, so that a busy moment of the machine hits none alone.
//! `KVFS_BENCH_ROUNDS` sets the number of rounds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvfs_host::{MemoryStore, RedbStore};
use kvfs_tests::{Calling, Output, Program, engine, guests};
use wasmtime::component::Component;

const LOOPS: &str = include_str!("../python/bench.py");

/// Operations of the Rust guest, with the reference's microseconds on the memory store: within 1.5 times of them.
const OPERATIONS: [(&str, Option<f64>); 18] = [
    ("create + write 1 KiB + close", Some(9.7)),
    ("stat", Some(1.0)),
    ("missing name", Some(0.9)),
    ("missing name, asked again", None),
    ("open + read 1 KiB + close", Some(4.2)),
    ("readdir, per entry", Some(0.7)),
    ("4 KiB stream write", Some(7.2)),
    ("4 KiB pread", Some(2.8)),
    ("4 KiB pread, scattered", None),
    ("4 KiB pwrite", Some(1.9)),
    ("4 KiB pwrite, scattered", None),
    ("64 KiB write", Some(22.0)),
    ("64 KiB stream read", Some(35.0)),
    ("4 KiB pwrite + fsync", None),
    ("rename", Some(1.8)),
    ("unlink", Some(1.7)),
    ("mkdir", None),
    ("rmdir", None),
];
const SLOWEST: f64 = 1.5;

/// Loops of CPython, with how many times the memory store is to be ahead of wasmtime's fastest setting.
const PYTHON_LOOPS: [(&str, Option<f64>); 7] = [
    ("create", Some(3.5)),
    ("stat", Some(3.0)),
    ("open + read", Some(7.0)),
    ("missing name", Some(2.0)),
    ("scandir, per entry", Some(2.3)),
    ("unlink", Some(3.0)),
    ("sqlite3, 20,000 rows", None),
];

const WAYS: [&str; 4] = ["memory store", "redb store", "host, fastest", "host, default"];

fn main() -> anyhow::Result<()> {
    if std::env::var_os("RUST_BACKTRACE").is_some() {
        eprintln!(
            "RUST_BACKTRACE is set: wasmtime takes a backtrace for every error code, which is measured too"
        );
    }
    let rounds: usize = match std::env::var("KVFS_BENCH_ROUNDS") {
        Ok(number) => number.parse()?,
        Err(_) => 5,
    };
    let scratch = scratch()?;

    // First, while the process is small.
    let python = composing()?;
    println!("{rounds} rounds, medians, files and redb store in {}", scratch.path().display());

    let rust = Guest::new(guests::rust()?, &guests::composed(guests::rust()?)?)?;
    let empty = |program: Program| program.args(["nothing"]);
    println!("\ninstantiation, µs          composed  bare");
    instantiation("Rust guest", &rust, empty, rounds)?;
    instantiation("CPython", &python, |program| program.args(["-c", "pass"]), rounds)?;

    let times = measure(&rust, |program| program.args(["bench"]), rounds, scratch.path())?;
    println!("\nraw WASI guest, µs per operation");
    table(&times, &OPERATIONS, |row, reference| {
        let ratio = row[0] / reference;
        (format!("{ratio:.2} of the reference's {reference}, to be at most {SLOWEST}"), ratio <= SLOWEST)
    });

    let times = measure(&python, |program| program.args(["-c", LOOPS]), rounds, scratch.path())?;
    println!("\nCPython, µs per operation");
    table(&times, &PYTHON_LOOPS, |row, target| {
        let ahead = row[2] / row[0];
        (format!("{ahead:.2} times ahead of the host, to be at least {target}"), ahead >= target)
    });
    Ok(())
}

/// A directory in memory, so that the disk is not what is measured.
fn scratch() -> std::io::Result<tempfile::TempDir> {
    let tmpfs = Path::new("/dev/shm");
    if tmpfs.is_dir() { tempfile::tempdir_in(tmpfs) } else { tempfile::tempdir() }
}

/// A guest, composed and as it is.
struct Guest {
    bare: Component,
    composed: Component,
}

impl Guest {
    fn new(bare: &[u8], composed: &[u8]) -> anyhow::Result<Self> {
        let compile = |component| engine::compile(engine::plain(), component);
        Ok(Guest { bare: compile(bare)?, composed: compile(composed)? })
    }

    /// Sets up one of [`WAYS`], with nothing on its files yet.
    fn way(&self, way: usize, scratch: &Path) -> anyhow::Result<(Program, tempfile::TempDir)> {
        let dir = tempfile::tempdir_in(scratch)?;
        let composed = Program::new(&self.composed);
        let bare = Program::new(&self.bare).host_files(dir.path());
        let program = match way {
            0 => composed.store(Arc::new(MemoryStore::new())),
            1 => composed.store(Arc::new(RedbStore::open(dir.path().join("state.redb"))?)),
            2 => bare.calling(Calling::SyncOnThread),
            _ => bare.calling(Calling::Async),
        };
        Ok((program.time_limit(Duration::from_secs(300)), dir))
    }
}

/// Composes CPython, says what that took, and compiles both.
fn composing() -> anyhow::Result<Guest> {
    let bare = std::fs::read(guests::python()?)?;
    let start = Instant::now();
    let composed = guests::composed(&bare)?;
    println!(
        "composing CPython: {:.0} ms, {:.1} MB in, {:.1} MB out, adapter {} bytes, peak memory so far {}",
        start.elapsed().as_secs_f64() * 1e3,
        bare.len() as f64 / 1e6,
        composed.len() as f64 / 1e6,
        kvfs_compose::ADAPTER.len(),
        peak_memory(),
    );
    Guest::new(&bare, &composed)
}

/// The most this process has had in memory, where the system tells.
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
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds.max(3) * 3 {
        let composed = Program::new(&guest.composed).store(Arc::new(MemoryStore::new()));
        for (program, times) in [composed, Program::new(&guest.bare)].into_iter().zip(&mut times) {
            times.push(ended_well(prepare(program).run()?)?.instantiation.as_nanos() as f64 / 1e3);
        }
    }
    let [composed, bare] = times.map(median);
    println!("{name:<26} {composed:>8.0} {bare:>6.0}  {:.0} more, to be under 1000", composed - bare);
    Ok(())
}

/// Microseconds per operation: for each operation, those of each way.
type Times = BTreeMap<String, [f64; 4]>;

fn measure(
    guest: &Guest,
    prepare: impl Fn(Program) -> Program,
    rounds: usize,
    scratch: &Path,
) -> anyhow::Result<Times> {
    let mut samples: BTreeMap<String, [Vec<f64>; 4]> = BTreeMap::new();
    for _ in 0..rounds {
        for way in 0..WAYS.len() {
            let (program, _files) = guest.way(way, scratch)?;
            let output = ended_well(prepare(program).run()?)?;
            for line in output.stdout.lines() {
                let [name, count, nanoseconds] = line.split('\t').collect::<Vec<_>>()[..] else {
                    anyhow::bail!("the guest printed {line:?}");
                };
                let each = nanoseconds.parse::<f64>()? / 1e3 / count.parse::<f64>()?;
                samples.entry(name.to_owned()).or_default()[way].push(each);
            }
        }
    }
    Ok(samples.into_iter().map(|(name, ways)| (name, ways.map(median))).collect())
}

fn ended_well(output: Output) -> anyhow::Result<Output> {
    anyhow::ensure!(output.code == Some(0), "the guest failed: {output:#?}");
    Ok(output)
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn table(times: &Times, rows: &[(&str, Option<f64>)], judge: impl Fn(&[f64; 4], f64) -> (String, bool)) {
    print!("{:<30}", "");
    WAYS.iter().for_each(|way| print!("{way:>15}"));
    println!();
    for (name, target) in rows {
        let Some(row) = times.get(*name) else { continue };
        print!("{name:<30}");
        row.iter().for_each(|time| print!("{time:>15.2}"));
        match target.map(|target| judge(row, target)) {
            Some((text, true)) => println!("  {text}"),
            Some((text, false)) => println!("  {text}: MISSED"),
            None => println!(),
        }
    }
}
