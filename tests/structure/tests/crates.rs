//! The rules on the crates of the workspace: no circles of files, and floors that the root of each
//! crate declares. `cargo test -p kvfs-structure -- --nocapture` prints every crate's floors.

use kvfs_structure::Structure;
use std::path::Path;

/// Checks the crate whose sources are in `dir`. It must have at least so many files and names that
/// files take from each other: a check that sees nothing finds no circle.
fn check(dir: &str, min_files: usize, min_ties: usize) {
    let structure =
        Structure::read(Path::new("../..").join(dir)).unwrap_or_else(|error| panic!("{dir}: {error}"));
    println!("{dir}, from the ground up:\n{structure}");
    let (files, ties) = (structure.files().len(), structure.ties().len());
    assert!(files >= min_files && ties >= min_ties, "{dir}: saw only {files} files and {ties} names");
    assert!(structure.unreached().is_empty(), "{dir}: no module declares {:?}", structure.unreached());

    let circles: Vec<String> = structure.circles().iter().map(ToString::to_string).collect();
    assert!(circles.is_empty(), "{dir}:\n{}", circles.join("\n"));
    assert!(structure.declared_floors() > 1, "{dir}: the root declares no floors");
    let rising: Vec<String> = structure.rising().iter().map(ToString::to_string).collect();
    assert!(
        rising.is_empty(),
        "{dir}: names from floors above, as lib.rs orders its modules:\n{}\nMove what is needed down, or the \
         code that needs it up.",
        rising.join("\n"),
    );
}

#[test]
fn engine() {
    check("adapter/engine/src", 60, 500);
}

#[test]
fn trust() {
    check("adapter/engine/trust/src", 40, 150);
}

#[test]
fn adapter() {
    check("adapter/src", 18, 70);
}

#[test]
fn compose() {
    check("compose/src", 60, 450);
}

#[test]
fn command() {
    check("compose/cli/src", 20, 60);
}

#[test]
fn host() {
    check("host/src", 20, 150);
}

#[test]
fn mount() {
    check("host/mount/src", 12, 40);
}

#[test]
fn stores() {
    check("host/stores/file/src", 8, 50);
    check("host/stores/bucket/src", 10, 60);
    check("host/stores/sealed/src", 12, 60);
    check("host/stores/rig/src", 5, 8);
    check("host/stores/slatedb/src", 9, 15);
    check("host/stores/etcd/src", 8, 15);
    check("host/stores/postgres/src", 12, 25);
    check("host/stores/redis/src", 10, 20);
    check("host/stores/servers/src", 8, 10);
    check("host/stores/sessions/src", 10, 20);
}

#[test]
fn contract() {
    check("wit/contract/src", 8, 15);
}

#[test]
fn structure() {
    check("tests/structure/src", 10, 50);
}

#[test]
fn harness() {
    check("tests/src", 14, 20);
}

#[test]
fn bench() {
    check("tests/benches/src", 20, 60);
}

#[test]
fn store_trials() {
    check("tests/stores/src", 25, 60);
}

#[test]
fn build() {
    check("adapter/build/src", 5, 5);
}
