//! Openings of stores of several sizes, after an orderly end and after a kill, each in a process of
//! its own.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use kvfs_host::{Durability, Mutation};
use serde_json::{Value, json};

use super::entries::{BATCH, Pool, put_extents};
use super::sizes::Sizes;
use crate::content::{EXTENT_BYTES, MARK, key};
use crate::report::Report;
use crate::{Kind, Trial, Tuning, disk};

/// Keys of the store of many keys in one apply.
const KEYS_A_BATCH: u64 = 1_000;

/// Bytes of a value of the store of many keys.
const SMALL_BYTES: usize = 100;

/// Puts after the last durable apply, so that a killed store has something to look through.
const LOOSE: u64 = 100;

/// What a store is filled with.
#[derive(Clone, Copy, Debug)]
pub enum Fill {
    /// Extents, until the store takes so many bytes on the disk.
    Bytes(u64),
    /// So many small entries.
    Keys(u64),
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes @ 1_073_741_824..) => write!(f, "{} GiB", bytes >> 30),
            Self::Bytes(bytes) => write!(f, "{} MiB", bytes >> 20),
            Self::Keys(keys) => write!(f, "{keys} keys"),
        }
    }
}

impl std::str::FromStr for Fill {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a number"));
        match text.split_once(':') {
            Some(("bytes", bytes)) => number(bytes).map(Self::Bytes),
            Some(("keys", keys)) => number(keys).map(Self::Keys),
            _ => Err(format!("`{text}` is neither bytes:NUMBER nor keys:NUMBER")),
        }
    }
}

pub(super) fn run(
    kind: Kind,
    sizes: &Sizes,
    dir: &Path,
    exe: &Path,
    report: &mut Report,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let mut fills = vec![Fill::Bytes(1 << 20)];
    fills.extend((sizes.many_keys > 0).then_some(Fill::Keys(sizes.many_keys)));
    fills.extend((sizes.large_bytes > 0).then_some(Fill::Bytes(sizes.large_bytes)));
    for fill in fills {
        tell(&format!("{kind}: Opening, fills {fill}"));
        disk::remove(dir)?;
        std::fs::create_dir_all(dir)?;
        let mut child = Filling::start(kind, fill, dir, exe, true)?;
        child.wait_for("closed")?;
        ensure!(child.0.wait()?.success(), "the process that fills the store failed");
        report.set(kind, &format!("{fill}: bytes on the disk"), disk::taken_bytes(dir)?);
        tell(&format!("{kind}: Opening, opens {fill}"));
        for (name, cold) in [("cold", true), ("warm", false), ("warm", false)] {
            if cold {
                disk::make_cold(dir)?;
            }
            let opened = open(kind, dir, exe)?;
            report.set_least(kind, &format!("open {fill} closed, {name}, ms"), opened.millis);
            report.set_least(kind, &format!("open {fill}: memory, MiB"), opened.memory_mib);
        }
        // Fills nothing more, but leaves loose applies, and is killed.
        let mut child = Filling::start(kind, Fill::Keys(0), dir, exe, false)?;
        child.wait_for("filled")?;
        child.0.kill()?;
        child.0.wait()?;
        tell(&format!("{kind}: Opening, opens {fill} after a kill"));
        let opened = open(kind, dir, exe)?;
        report.set_least(kind, &format!("open {fill} killed, warm, ms"), opened.millis);
    }
    Ok(())
}

/// A process that fills a store. It is killed when it is dropped.
struct Filling(Child, BufReader<std::process::ChildStdout>);

impl Filling {
    fn start(kind: Kind, fill: Fill, dir: &Path, exe: &Path, close: bool) -> Result<Self> {
        let what = match fill {
            Fill::Bytes(bytes) => format!("bytes:{bytes}"),
            Fill::Keys(keys) => format!("keys:{keys}"),
        };
        let mut command = Command::new(exe);
        command
            .args(["bench-child", "fill", "--store", &kind.to_string(), "--fill", &what, "--dir"])
            .arg(dir);
        if close {
            command.arg("--close");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("a child without an output")?;
        Ok(Self(child, BufReader::new(stdout)))
    }

    fn wait_for(&mut self, word: &str) -> Result<()> {
        let mut line = String::new();
        self.1.read_line(&mut line)?;
        ensure!(line.trim() == word, "the process that fills the store said `{}`", line.trim());
        Ok(())
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Opened {
    millis: f64,
    memory_mib: f64,
}

fn open(kind: Kind, dir: &Path, exe: &Path) -> Result<Opened> {
    let mut command = Command::new(exe);
    command.args(["bench-child", "open", "--store", &kind.to_string(), "--dir"]).arg(dir);
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the process that opens the store failed: {}", output.status);
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| told[name].as_f64().with_context(|| format!("{name} is missing"));
    Ok(Opened { millis: number("millis")?, memory_mib: number("memory_mib")? })
}

/// Fills a store and says so; then closes it and says so, or waits for the kill.
///
/// # Errors
/// What the store or the system says.
pub fn child_fill(kind: Kind, dir: &Path, fill: Fill, close: bool) -> Result<()> {
    let store = kind.open(dir, Tuning::default())?;
    let pool = Pool::new();
    match fill {
        Fill::Bytes(bytes) => {
            let mut index = 0;
            let batch = BATCH.min(bytes / EXTENT_BYTES as u64 / 4).max(1);
            while disk::taken_bytes(dir)? < bytes {
                let extents = (index..index + batch).map(|index| (index, index));
                put_extents(&*store, &pool, extents, EXTENT_BYTES, Durability::Buffered)?;
                index += batch;
                // The front of a store keeps a small one in memory alone.
                if bytes <= 16 << 20 || index.is_multiple_of(64 * batch) {
                    store.apply(&[], &[], Durability::Durable)?;
                }
            }
        }
        Fill::Keys(keys) => {
            for start in (0..keys).step_by(KEYS_A_BATCH as usize) {
                put_keys(&*store, &pool, start..(start + KEYS_A_BATCH).min(keys))?;
            }
        }
    }
    let mark = Mutation::Put { key: MARK, value: pool.value(1, SMALL_BYTES) };
    store.apply(&[], &[mark], Durability::Durable)?;
    if close {
        store.close()?;
        println!("closed");
        return Ok(());
    }
    for number in 0..LOOSE {
        put_keys(&*store, &pool, number..number + 1)?;
    }
    println!("filled");
    std::io::stdout().flush()?;
    // The parent holds the other end for as long as it lives.
    let _ = std::io::stdin().read_line(&mut String::new());
    bail!("nobody killed the process")
}

fn put_keys(store: &dyn Trial, pool: &Pool, numbers: std::ops::Range<u64>) -> Result<()> {
    let keys: Vec<Vec<u8>> = numbers.clone().map(|number| key(b'i', number, 0)).collect();
    let mutations: Vec<Mutation<'_>> = keys
        .iter()
        .zip(numbers)
        .map(|(key, number)| Mutation::Put { key, value: pool.value(number, SMALL_BYTES) })
        .collect();
    Ok(store.apply(&[], &mutations, Durability::Buffered)?)
}

/// Opens a store, reads one entry, and prints how long that took and the memory of the process.
///
/// # Errors
/// What the store or the system says.
pub fn child_open(kind: Kind, dir: &Path) -> Result<()> {
    let start = Instant::now();
    let store = kind.open(dir, Tuning::default())?;
    ensure!(store.get(&[MARK])?[0].is_some(), "the entry that each store has is missing");
    let millis = start.elapsed().as_secs_f64() * 1e3;
    println!("{}", json!({ "millis": millis, "memory_mib": memory_mib() }));
    Ok(store.close()?)
}

/// Memory of this process without what it maps of files; 0 where the system does not tell.
fn memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |name: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok()
    };
    kib("RssAnon").unwrap_or(0.0) / 1024.0
}
