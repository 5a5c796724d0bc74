//! Several programs on one table.

use kvfs_contract::StoreError;
use kvfs_store_rig::{Calls, Handle, Race, State, the_newer_host_fences_the_older};

use crate::common::{Store, own_url, server};

#[test]
fn openers_at_once_take_each_step_once() {
    let url = own_url(server().address());
    let race = Race {
        // All of them make the table.
        open: |url: &Handle<String>, _| Ok(Store::make(&url.look(|url| url.clone()))),
        ballast: |step| State::from([(format!("ballast {}", step % 3).into_bytes(), vec![1; 5000])]),
        may_be_overtaken: |_: &StoreError| false,
        takes_turns: true,
    };
    let handle = Handle::new(url.clone());
    let steps = race.run(&vec![handle; 6], 1, || Store::make(&url));
    assert!(steps >= 12, "{steps} steps");
}

#[test]
fn two_tables_of_one_database_are_two_stores() {
    let (mut one, mut other) =
        (Store::make(&own_url(server().address())), Store::make(&own_url(server().address())));
    one.set(&[], &[(b"k", Some(b"one"))], false).unwrap();
    other.set(&[(b"k", None)], &[(b"k", Some(b"other"))], false).unwrap();
    assert_eq!(one.value_of(b"k").unwrap().as_deref(), Some(&b"one"[..]));
}

#[test]
fn the_newer_of_two_hosts_with_one_volume_fences_the_older() {
    let url = own_url(server().address());
    the_newer_host_fences_the_older(|| Store::make(&url));
}
