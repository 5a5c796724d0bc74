//! The bench at tiny sizes, with its processes, and the committed page.

use std::path::Path;
use std::process::{Command, Output};

use kvfs_bench::results::{Results, Unit};
use kvfs_bench::{page, plots, workload};

const EXE: &str = env!("CARGO_BIN_EXE_kvfs-bench");

/// Runs the bench at tiny sizes, once.
fn bench(arguments: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(EXE);
    command.args(["run", "--class", "tiny", "--rounds", "1"]).args(arguments);
    command.arg("--tmpfs").arg(dir.join("tmpfs")).arg("--disk").arg(dir.join("disk"));
    command.arg("--json").arg(dir.join("results.json"));
    // It would slow every error code of the host.
    command.env_remove("RUST_BACKTRACE").output().unwrap()
}

/// Runs the bench and reads its results. Nothing else may be left.
fn measured(arguments: &[&str]) -> Results {
    let dir = tempfile::tempdir().unwrap();
    let output = bench(arguments, dir.path());
    assert!(output.status.success(), "{output:#?}");
    for medium in ["tmpfs", "disk"] {
        assert_eq!(std::fs::read_dir(dir.path().join(medium)).unwrap().count(), 0, "{medium} is not empty");
    }
    Results::read(&dir.path().join("results.json")).unwrap()
}

/// Checks that a workload was measured in all its ways, with the same operations in each.
fn check(results: &Results, name: &str, unlike: &[&str]) {
    let workload = workload::find(name).unwrap();
    let size = workload.sizes(workload::Class::Tiny)[0];
    assert_eq!(results.sizes(name), [size], "{name}");
    assert_eq!(results.ways(name), workload.ways(), "{name}");
    let operations = results.operations(name, Unit::Us);
    for way in workload.ways() {
        for row in &operations {
            let median = results.median(name, size, way, row);
            // Not every way opens a store, or has an instance.
            let own = ["opening the store", "instantiation"].contains(row) || unlike.contains(row);
            assert!(median.is_some_and(|us| us >= 0.0) || own, "{name}: no {row} in {way}");
        }
        let peak = results.median(name, size, way, "@process, peak");
        assert!(peak.is_some_and(|bytes| bytes > 1e6) || cfg!(not(target_os = "linux")), "{name} {way}");
    }
}

/// What is measured of snapshots beside a guest, if it runs for long enough.
const SNAPSHOTS: [&str; 2] = ["a snapshot, beside the guest", "a snapshot that is refused, beside the guest"];

#[test]
fn programs_on_raw_wasi_run_in_all_their_ways() {
    // The operations that not every way has.
    let cases: [(&str, &[&str]); 6] = [
        ("instantiation", &[]),
        ("operations", &SNAPSHOTS),
        ("file", &[]),
        ("sparse", &["unlink"]),
        ("directory", &SNAPSHOTS),
        ("cold", &[]),
    ];
    for (name, unlike) in cases {
        let results = measured(&["--workload", name]);
        check(&results, name, unlike);
    }
}

#[test]
fn hosts_fork_and_compare_volumes() {
    for name in ["forks", "many-forks", "layers", "library-forks"] {
        let results = measured(&["--workload", name]);
        check(&results, name, &[]);
    }
    let results = measured(&["--workload", "operations", "--way", "linked/snapshots"]);
    let taken = results.median("operations", 50, "linked/snapshots", "a snapshot, beside the guest");
    assert!(taken.is_some_and(|us| us > 0.0), "{results:#?}");
}

#[test]
fn scripts_run_on_our_files_and_on_those_of_the_host() {
    let names = workload::ALL.iter().map(|workload| workload.name).filter(|name| name.starts_with("python-"));
    for name in names {
        let results = measured(&["--workload", name, "--way", "linked/memory", "--way", "host/tmpfs"]);
        let ours = results.operations(name, Unit::Us).len();
        assert!(ours >= 1 && results.ways(name) == ["linked/memory", "host/tmpfs"], "{name}: {results:#?}");
    }
}

#[test]
fn a_contender_is_measured_beside_and_may_decline() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("contender");
    // Called as COMMAND WORKLOAD GUEST COMPONENT DIR ARGUMENTS….
    let text = "test \"$1\" = directory || exit 3\n\
                test \"$2\" = rust && test -s \"$3\" && test -d \"$4\" && test \"$5 $6\" = 'bench directory' || exit 4\n\
                printf 'readdir, per entry\\t50\\t25000\\n'\n";
    std::fs::write(&script, text).unwrap();
    let contender = format!("other=sh {}", script.display());
    let arguments = ["--workload", "directory", "--workload", "file", "--way", "other", "--contender"];
    let results = measured(&[&arguments[..], &[contender.as_str()][..]].concat());
    assert_eq!(results.median("directory", 50, "other", "readdir, per entry"), Some(0.5));
    assert!(results.sizes("file").is_empty(), "it cannot run this");

    std::fs::write(&script, "echo broken >&2; exit 2\n").unwrap();
    let output = bench(&[&arguments[..], &[contender.as_str()][..]].concat(), dir.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("broken") && said.contains("other"), "{said}");
}

#[test]
fn wrong_names_are_refused_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, word) in [
        (["--workload", "none"], "no workload none"),
        (["--way", "none"], "no way none"),
        (["--contender", "host/disk=x"], "another name"),
    ] {
        let output = bench(&arguments, dir.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(word), "{said}");
        assert!(!dir.path().join("results.json").exists());
    }
}

/// The page, its plots and its numbers are of one run.
#[test]
fn the_committed_page_is_made_of_the_committed_results() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let results = Results::read(&here.join("results.json")).unwrap();
    let drawn = plots::draw(&results).unwrap();
    let again =
        "run `cargo run --release -p kvfs-bench -- show tests/benches/results.json --page tests/benches`";
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    assert!(read(&here.join(page::PAGE)) == page::text(&results, &drawn), "{} differs: {again}", page::PAGE);
    let plots = here.join(page::PLOTS);
    for plot in &drawn {
        assert!(read(&plots.join(plot.file)) == plot.svg, "{} differs: {again}", plot.file);
    }
    assert_eq!(std::fs::read_dir(plots).unwrap().count(), drawn.len(), "plots that no results have");
}
