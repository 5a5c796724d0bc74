//! Checks that guests behave on our file system as on the host's, however they were made.

mod kinds;
mod known;
mod reactors;

use kvfs_tests::differential::{Difference, Prepared, Way, compare};
use kvfs_tests::guests;

/// Runs each of a guest's programs on the host's file system and in each of our ways.
/// `KVFS_PROGRAM` selects one.
fn programs_behave_as_on_the_host(guest: &[u8], known: &[Difference]) {
    let list = Prepared::new(Way::Host, guest).unwrap().run(&["list"]).unwrap();
    let only = std::env::var("KVFS_PROGRAM").ok();
    let picked = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let runs: Vec<_> =
        list.lines().iter().filter(|name| picked(name)).map(|name| vec![name.as_str()]).collect();
    assert!(only.is_some() || runs.len() > 10, "the guest lists {runs:?}");
    let known: Vec<_> = known.iter().copied().filter(|difference| picked(difference.program)).collect();
    runs_behave_as_on_the_host(guest, &runs, &known);
}

/// Runs a guest with each list of arguments on the host's file system and in each of our ways.
fn runs_behave_as_on_the_host(guest: &[u8], runs: &[Vec<&str>], known: &[Difference]) {
    for way in Way::OURS {
        if let Err(faults) = compare(way, guest, runs, known).unwrap() {
            panic!("{way:?}:\n{faults}");
        }
    }
}

#[test]
fn each_operation_behaves_as_on_the_host() {
    programs_behave_as_on_the_host(guests::rust().unwrap(), &known::of_programs());
}
