//! `kvfs run` with a cache of frozen layers.

use super::volume::{MAKER, done, write};
use super::{kvfs, workshop};
use std::path::{Path, PathBuf};
use std::process::Output;

/// A store `file:s` with a snapshot `then`, a sealed one `file:k`, and a guest that makes a file.
fn prepared() -> tempfile::TempDir {
    let dir = workshop();
    let path = dir.path();
    std::fs::write(path.join("maker.wasm"), wat::parse_str(MAKER).unwrap()).unwrap();
    assert!(kvfs(path, &["compose", "maker.wasm", "-o", "made.wasm", "--link", "core"]).status.success());
    super::store::write_key(&path.join("key"), 7);
    done(path, &["create", "--store", "file:s", "main"]);
    write(path, "file:s", "main", b"x");
    done(path, &["snapshot", "--store", "file:s", "main", "then"]);
    for args in [&["create", "main"][..], &["snapshot", "main", "then"]] {
        done(path, &[&args[..1], &["--store", "file:k", "--key-file", "key"], &args[1..]].concat());
    }
    dir
}

/// Runs the guest on a fork of the snapshot.
fn run(directory: &Path, args: &[&str]) -> Output {
    kvfs(directory, &[&["run", "--fork-of", "then"], args, &["made.wasm"]].concat())
}

/// Runs it with a report. Returns answers from the cache, from disk among them, and asked of the store.
fn counts(directory: &Path, args: &[&str]) -> [u64; 3] {
    let output = run(directory, &[args, &["--store", "file:s", "--layer-cache-report"]].concat());
    let report = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(output.status.success() && report.lines().count() == 1, "{output:?}");
    let number = |part: &str| part.split(' ').find_map(|word| word.parse().ok()).expect(part);
    let (cached, asked) = report.split_once("; ").expect(&report);
    let (hits, from_disk) = cached.split_once(", ").expect(&report);
    [number(hits), number(from_disk), number(asked)]
}

fn kept(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_second_run_asks_the_store_for_less() {
    let dir = prepared();
    let path = dir.path();
    // Each run is a process of its own, so memory alone helps none after it.
    let alone = counts(path, &["--layer-cache", "1M"]);
    assert!(alone[1] == 0 && alone[2] > 0, "{alone:?}");
    assert_eq!(counts(path, &["--layer-cache", "1M"]), alone);
    let on_disk = ["--layer-cache-dir", "layers"];
    let (first, second) = (counts(path, &on_disk), counts(path, &on_disk));
    assert!(first[1] == 0 && first[2] == alone[2], "{first:?}, {alone:?}");
    assert!(second[1] > 0 && second[2] < first[2], "{first:?}, {second:?}");
    assert!(!kept(&path.join("layers")).is_empty());
}

#[test]
fn a_cache_that_is_damaged_is_told_of_and_made_anew() {
    let dir = prepared();
    let path = dir.path();
    let on_disk = ["--store", "file:s", "--layer-cache-dir", "layers"];
    assert!(run(path, &on_disk).status.success());
    for file in kept(&path.join("layers")) {
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.iter_mut().for_each(|byte| *byte ^= 0x5a);
        std::fs::write(&file, bytes).unwrap();
    }
    let output = run(path, &on_disk);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.lines().count() == 1, "{told}");
    assert!(told.starts_with("kvfs: ") && told.contains("--layer-cache-dir: "), "{told}");
    let output = run(path, &on_disk);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(counts(path, &on_disk[2..])[1] > 0);
}

#[test]
fn of_an_encrypted_store_nothing_is_on_disk() {
    let dir = prepared();
    let path = dir.path();
    let sealed = ["--store", "file:k", "--key-file", "key", "--layer-cache-dir", "layers"];
    for _ in 0..2 {
        let output = run(path, &sealed);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && told.lines().count() == 1, "{told}");
        assert!(told.contains("--layer-cache-dir layers: the store is encrypted"), "{told}");
    }
    assert_eq!(kept(&path.join("layers")), [] as [PathBuf; 0]);
}

#[test]
fn a_cache_that_cannot_be_is_refused() {
    let dir = prepared();
    let path = dir.path();
    for (args, expected) in [
        (&["--layer-cache-report"][..], "add --layer-cache SIZE or --layer-cache-dir DIR"),
        (&["--layer-cache-dir", "made.wasm"], "--layer-cache-dir made.wasm"),
    ] {
        let output = run(path, &[args, &["--store", "file:s"]].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert!(told.contains(expected) && told.lines().count() == 1, "{args:?}: {told}");
    }
    let within = ["compose", "maker.wasm", "-o", "within.wasm", "--provider", "memory"];
    assert!(kvfs(path, &within).status.success());
    for option in ["--layer-cache=1M", "--layer-cache-dir=layers"] {
        let output = kvfs(path, &["run", option, "within.wasm"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && told.contains("leave --layer-cache"), "{told}");
    }
    let unbounded = run(path, &["--store", "file:s", "--layer-cache-dir-size", "1M"]);
    assert_eq!(unbounded.status.code(), Some(2), "{unbounded:?}");
}
