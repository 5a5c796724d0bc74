//! The fuzz targets without a fuzzer, on the committed corpus and on mutations of it from seeds.
//!
//! To repeat a finding of libFuzzer, put its file into `fuzz/corpus/<target>`. The test then prints
//! the failing sequence. Keep the file once the bug is fixed.

use crate::rng::Rng;
use crate::shrink::seeds;
use kvfs_trust::fuzz::{TARGETS, Target, mutate::mutate, reached, run};
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = dir.read_dir().unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs the corpus, then mutations of it on all cores, and counts those that reached the code under
/// test.
fn try_out(name: &str, mutations: u64) {
    let target: &Target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let files = files(&fuzz_dir().join("corpus").join(name));
    assert!(!files.is_empty(), "the corpus of {name} is not there");
    let mut corpus = (target.seeds)();
    let made = corpus.len();
    corpus.extend(files.iter().map(|file| std::fs::read(file).unwrap()));
    for (index, data) in corpus.iter().enumerate() {
        let what = || match index.checked_sub(made) {
            Some(file) => files[file].display().to_string(),
            None => format!("seed input {index}"),
        };
        assert!(catch_unwind(|| run(name, data)).is_ok(), "{name} fails for {}", what());
    }
    let seeds = seeds(mutations);
    let count = seeds.end - seeds.start;
    let (next, came) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let worker = || {
        let before = reached();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let data = mutate(&mut Rng::new(seed), &corpus);
            assert!(catch_unwind(|| run(name, &data)).is_ok(), "{name} fails for seed {seed}: {data:?}");
        }
        came.fetch_add(reached() - before, Ordering::Relaxed);
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
    });
    let came = came.into_inner();
    println!("{name}: {} inputs, {count} mutations, {came} reached the code under test", corpus.len());
    assert!(
        count < 100 || came * 10 > count,
        "{name}: only {came} of {count} mutations reached the code under test"
    );
}

#[test]
fn records_that_decode_encode_to_the_same_bytes_and_the_check_agrees() {
    try_out("decoders", 40_000);
}

#[test]
fn paths_lead_where_the_reference_says_and_never_outside() {
    try_out("paths", 10_000);
}

#[test]
fn sequences_of_a_fuzzer_answer_as_the_reference_does() {
    try_out("sequences", 6_000);
}

#[test]
fn hostile_stores_are_checked_opened_and_used_in_bounded_work() {
    try_out("stores", 10_000);
}

/// Every target has a binary for libFuzzer, an entry in the manifest and a test above.
#[test]
fn every_target_is_wired_up() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let binaries: BTreeSet<String> = files(&fuzz_dir().join("fuzz_targets")).into_iter().map(stem).collect();
    assert_eq!(binaries, names);
    let manifest = std::fs::read_to_string(fuzz_dir().join("Cargo.toml")).unwrap();
    let tests = include_str!("fuzz.rs");
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
        assert!(tests.contains(&format!("try_out(\"{name}\"")), "{name} has no test here");
    }
}
