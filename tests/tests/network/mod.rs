//! Guests that speak http, TCP and UDP: the same on our file system, in each way, as on the host's.

mod carrier;
mod client;
mod javascript;
mod serve;
mod servers;
mod sockets;
mod stock;

use std::path::{Path, PathBuf};

use kvfs_compose::{Compose, Link, Provider};
use kvfs_tests::differential::{Difference, Prepared, Seen, Way, compare};
use kvfs_tests::kinds;

const WAYS: [Link; 2] = [Link::Component, Link::Core];

/// Joins a guest with the file system and a provider, and writes it to a file in a directory.
#[track_caller]
fn joined(dir: &Path, guest: &[u8], link: Link, provider: Provider) -> PathBuf {
    let joined = Compose::new(guest).link(link).provider(provider).build().unwrap();
    assert_eq!(joined.report.not_linked, None);
    let path = dir.join(format!("{link:?}.wasm"));
    std::fs::write(&path, joined.bytes).unwrap();
    path
}

/// Runs a program on the host's file system and in each of our ways, and returns the observations
/// of one of ours. They must match the host's, except for `known` differences.
#[track_caller]
fn seen_each_way(arguments: &[&str], known: &[Difference]) -> Seen {
    seen_of_each_way(&kinds::network().unwrap(), arguments, known)
}

/// Does the same with any guest.
#[track_caller]
fn seen_of_each_way(guest: &[u8], arguments: &[&str], known: &[Difference]) -> Seen {
    for way in Way::OURS {
        if let Err(faults) = compare(way, guest, &[arguments.to_vec()], known).unwrap() {
            panic!("{way:?}:\n{faults}");
        }
    }
    let seen = Prepared::new(Way::Linked, guest).unwrap().run(arguments).unwrap();
    assert_eq!((seen.stderr.as_str(), seen.get("the end")), ("", "code 0"), "{:#?}", seen.lines());
    seen
}
