//! Guests of every kind: for different versions of WASI, and made with different tools from
//! different sources.

use kvfs_tests::differential::{THEN, Way, compare};
use kvfs_tests::kinds;

use super::{known, programs_behave_as_on_the_host, runs_behave_as_on_the_host};

#[test]
fn guests_of_each_wasi_0_2_behave_as_on_the_host() {
    for version in kinds::VERSIONS {
        programs_behave_as_on_the_host(&kinds::programs_at(version).unwrap(), &known::of_programs());
    }
}

#[test]
fn a_composition_of_guests_of_two_versions_behaves_as_on_the_host() {
    let guest = kinds::nested().unwrap();
    let imports = kvfs_compose::inspect(&guest).unwrap().to_string();
    for version in ["wasi:filesystem/types@0.2.3", "wasi:filesystem/types@0.2.12"] {
        assert!(imports.contains(version), "{version} is not among\n{imports}");
    }
    compare(Way::Composed, &guest, &[vec![]], &[]).unwrap().unwrap();
    // Its inner components can only be joined to the file system from outside.
    let refusal = Way::Linked.component(&guest).unwrap_err().to_string();
    assert!(refusal.contains("it is a composition"), "{refusal}");
}

#[test]
#[cfg(not(no_std_guests))]
fn programs_on_rusts_standard_library_behave_as_on_the_host() {
    for (target, guest) in kinds::std_guests().unwrap() {
        println!("{target}");
        programs_behave_as_on_the_host(&guest, &[]);
    }
}

#[test]
#[cfg(no_std_guests)]
#[ignore = "there is no std for wasm32-wasip1 and -wasip2: run `make setup` where rustup can add them"]
fn programs_on_rusts_standard_library_behave_as_on_the_host() {}

/// In each of its journal modes, SQLite finds what it finds on the host's file system, also after
/// an abort in the middle of a transaction.
#[test]
fn sqlite_behaves_as_on_the_host() {
    let modes = ["delete", "truncate", "persist", "memory"];
    let loads = modes.iter().map(|mode| vec!["load", mode]);
    let crashes = modes[..3].iter().map(|mode| vec!["crash", mode, THEN, "recover"]);
    let runs: Vec<_> = loads.chain(crashes).collect();
    runs_behave_as_on_the_host(&kinds::c_command("sqlite").unwrap(), &runs, &[]);
}
