//! Guests behave on our file system as on the host's.

mod known;

use kvfs_tests::differential::{Prepared, Way, compare};
use kvfs_tests::guests;

/// Runs each of the Rust guest's programs on the host's file system and in one of our ways. `KVFS_PROGRAM` picks
/// one of them.
fn programs_behave_as_on_the_host(way: Way) {
    let guest = guests::rust().unwrap();
    let list = Prepared::new(Way::Host, guest).unwrap().run(&["list"]).unwrap();
    let names = list.lines();
    assert!(names.len() > 80, "the guest lists {} programs", names.len());
    let only = std::env::var("KVFS_PROGRAM").ok();
    let picked = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let runs: Vec<_> = names.iter().filter(|name| picked(name)).map(|name| vec![name.as_str()]).collect();
    let known: Vec<_> = known::of_programs().into_iter().filter(|d| picked(d.program)).collect();
    if let Err(faults) = compare(way, guest, &runs, &known).unwrap() {
        panic!("{}", faults);
    }
}

#[test]
fn composed_programs_behave_as_on_the_host() {
    programs_behave_as_on_the_host(Way::Composed);
}
