//! Guests that speak http, TCP and UDP: the same on our file system, in each way, as on the host's.

mod client;
mod servers;
mod sockets;

use kvfs_tests::differential::{Difference, Prepared, Seen, Way, compare};
use kvfs_tests::kinds;

/// Runs a program on the host's file system and in each of our ways, and returns what was seen in ours. It is the same
/// as on the host, but for what is `known`.
#[track_caller]
fn seen_each_way(arguments: &[&str], known: &[Difference]) -> Seen {
    let guest = kinds::network().unwrap();
    for way in Way::OURS {
        if let Err(faults) = compare(way, &guest, &[arguments.to_vec()], known).unwrap() {
            panic!("{way:?}:\n{faults}");
        }
    }
    let seen = Prepared::new(Way::Linked, &guest).unwrap().run(arguments).unwrap();
    assert_eq!((seen.stderr.as_str(), seen.get("the end")), ("", "code 0"), "{:#?}", seen.lines());
    seen
}
