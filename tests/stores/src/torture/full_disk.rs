//! A full disk: what a store says, what it keeps, and whether it goes on once there is room.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use kvfs_host::{Durability, Mutation, StoreError};
use serde_json::{Value, json};

use super::caught::{self, Failed};
use super::children::Children;
use super::sizes::Sizes;
use crate::content::{key, value};
use crate::report::Report;
use crate::{Kind, Trial, Tuning, disk};

const VALUE_BYTES: usize = 20_000;
const SEED: u64 = 4;

/// Puts between two durable ones.
const DURABLE_EVERY: u64 = 16;

/// Most puts: more than any disk of the trial has room for.
const MAX_PUTS: u64 = 1 << 20;

/// Puts after there is room again.
const AGAIN: u64 = 20;

/// A small disk in memory. Unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts a disk; `None` if this process may not.
    fn mount(at: &Path, bytes: u64) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(at);
        let mounted = mount.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        Ok(mounted.is_ok_and(|status| status.success()).then(|| Self(at.into())))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

pub(super) fn run(children: &Children, sizes: &Sizes, dir: &Path, report: &mut Report) -> Result<()> {
    let kind = children.kind;
    let at = dir.join("disk");
    let Some(small) = SmallDisk::mount(&at, sizes.disk_bytes)? else {
        report.set(kind, "full disk", "not tried: mounting needs root");
        return Ok(());
    };
    let (store, ballast) = (at.join("store"), at.join("ballast"));
    std::fs::create_dir_all(&store)?;
    std::fs::write(&ballast, vec![1; sizes.disk_bytes as usize / 4])?;
    let mut command = children.command("full-disk", &store);
    command.arg("--ballast").arg(&ballast);
    let told = children.answer(command).context("the process that fills the disk")?;
    drop(small);
    disk::remove(dir)?;
    for (column, name) in [
        ("full disk", "error"),
        ("full disk: MiB until it is full", "mib"),
        ("full disk: what was there reads", "kept"),
        ("full disk: removals that work, %", "removals"),
        ("full disk: goes on with room", "again"),
        ("full disk: there when opened anew", "reopened"),
    ] {
        report.set(kind, column, told[name].clone());
    }
    report.set(kind, "full disk, all", told);
    Ok(())
}

/// Entries that must be there, by number.
type Expected = BTreeMap<u64, ()>;

/// Fills the disk that a store is on, and prints what it does.
pub(super) fn child(kind: Kind, dir: &Path, tuning: Tuning, ballast: &Path) -> Result<()> {
    caught::watch();
    let told = fill(kind, dir, tuning, ballast)?;
    println!("{told}");
    Ok(())
}

fn fill(kind: Kind, dir: &Path, tuning: Tuning, ballast: &Path) -> Result<Value> {
    let store = kind.open(dir, tuning)?;
    let mut expected = Expected::new();
    let mut doubtful = Expected::new();
    let mut error = "none".to_owned();
    let mut error_text = None;
    let mut durable = 0;
    for number in 0..MAX_PUTS {
        let level = if number % DURABLE_EVERY == 0 { Durability::Durable } else { Durability::Buffered };
        match caught::call(|| put(&*store, number, level)) {
            Ok(()) => {
                expected.insert(number, ());
                durable = if level == Durability::Durable { number } else { durable };
            }
            Err(failed) => {
                // It may be there or not: the error can be of the sync.
                doubtful.insert(number, ());
                error = name_of(&failed).into();
                error_text = Some(failed.to_string());
                break;
            }
        }
    }
    let mib = expected.len() as f64 * VALUE_BYTES as f64 / (1 << 20) as f64;
    let kept = compare(&*store, &expected, durable);

    let numbers: Vec<u64> = expected.keys().copied().step_by(2).collect();
    let mut removed = 0;
    let mut removal_error = None;
    for number in &numbers {
        let key = key(b'e', *number, 0);
        match caught::call(|| store.apply(&[], &[Mutation::Delete { key: &key }], Durability::Durable)) {
            Ok(()) => {
                removed += 1;
                expected.remove(number);
                durable = MAX_PUTS;
            }
            Err(failed) => {
                doubtful.insert(*number, ());
                removal_error.get_or_insert(failed.to_string());
            }
        }
    }
    expected.retain(|number, ()| !doubtful.contains_key(number));
    std::fs::remove_file(ballast)?;
    let mut again = "yes";
    let mut store = Some(store);
    let mut close_error = None;
    let tried = store.as_deref().map(|store| more(store, &mut expected));
    let mut again_error = tried.and_then(Result::err);
    if again_error.is_some() {
        again = "when opened anew";
    }
    if let Some(store) = store.take() {
        close_error = caught::call(|| store.close()).err().map(|failed| failed.to_string());
    }
    let reopened = match caught::call(|| kind.open(dir, tuning)) {
        Err(failed) => {
            again_error.get_or_insert(failed.to_string());
            "does not open".to_owned()
        }
        Ok(store) => {
            if again_error.is_some()
                && let Err(error) = more(&*store, &mut expected)
            {
                again = "no";
                again_error = Some(error);
            }
            let found = compare(&*store, &expected, durable);
            let _ = caught::call(|| store.close());
            found
        }
    };
    Ok(json!({
        "error": error, "error text": error_text, "mib": mib, "kept": kept,
        "removals": if numbers.is_empty() { 0.0 } else { 100.0 * f64::from(removed) / numbers.len() as f64 },
        "removal error": removal_error, "again": again, "again error": again_error,
        "close error": close_error, "reopened": reopened, "panics in threads": caught::in_threads(),
    }))
}

fn put(store: &dyn Trial, number: u64, level: Durability) -> Result<(), StoreError> {
    let key = key(b'e', number, 0);
    let value = value(SEED, &key, number, VALUE_BYTES);
    store.apply(&[], &[Mutation::Put { key: &key, value: &value }], level)
}

/// Puts some more entries, now that there is room.
fn more(store: &dyn Trial, expected: &mut Expected) -> Result<(), String> {
    for number in MAX_PUTS..MAX_PUTS + AGAIN {
        caught::call(|| put(store, number, Durability::Durable)).map_err(|failed| failed.to_string())?;
        expected.insert(number, ());
    }
    Ok(())
}

/// Says whether all entries are there. Those up to `durable`, and those that were put once there
/// was room, must be; the others were not durable yet.
fn compare(store: &dyn Trial, expected: &Expected, durable: u64) -> String {
    let (mut missing, mut loose, mut wrong, mut failed) = (0, 0, 0, 0);
    for number in expected.keys() {
        let key = key(b'e', *number, 0);
        match caught::call(|| store.get(&[&key])) {
            Err(_) => failed += 1,
            Ok(found) => match found.first().and_then(Option::as_deref) {
                None if *number > durable && *number < MAX_PUTS => loose += 1,
                None => missing += 1,
                Some(found) => wrong += u64::from(found != value(SEED, &key, *number, VALUE_BYTES)),
            },
        }
    }
    if missing + wrong + failed == 0 {
        return if loose == 0 { "all".into() } else { "all that was durable".into() };
    }
    let count = expected.len();
    format!("{missing} of {count} gone, {wrong} wrong, {failed} errors")
}

fn name_of(failed: &Failed) -> &'static str {
    match failed {
        Failed::Panic => "panic",
        Failed::Error(StoreError::QuotaExceeded) => "full",
        Failed::Error(StoreError::Corrupt(_)) => "damaged",
        Failed::Error(StoreError::Unavailable(_)) => "unavailable",
        Failed::Error(StoreError::UnknownOutcome) => "unknown outcome",
        Failed::Error(_) => "other",
    }
}
