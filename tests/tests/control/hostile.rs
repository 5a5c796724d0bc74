//! A guest that tries to reach volumes of others, and to make too many of its own.

use super::{Steps, WAYS, sound};
use kvfs_host::{MemoryStore, SyncStore, Volumes};

#[test]
fn a_guest_neither_learns_of_nor_touches_a_volume_that_its_own_has_not_made() {
    for link in WAYS {
        let store = MemoryStore::new();
        let steps = Steps::new(link, &[], 64);
        steps.expect(&store, &[("write a one", "ok"), ("snapshot / mine", "ok")]);
        let volumes = Volumes::new(store.clone());
        volumes.create("other").unwrap();
        volumes.create("main2").unwrap();
        // A host that names volumes of others in the same way: a volume, a fork of the guest's own
        // volume, and a snapshot of another one.
        volumes.create("main@tenant").unwrap();
        volumes.fork("main", "main@forked").unwrap();
        volumes.snapshot("other", "main@other").unwrap();
        volumes.snapshot("main", "main@deep@er").unwrap();
        let before = volumes.names().unwrap();
        let mut all = vec![("entries /".to_owned(), "mine:snapshot:324".to_owned())];
        for name in ["tenant", "forked", "other"] {
            all.push((format!("restore / {name}"), "Error::NoEntry".to_owned()));
            all.push((format!("remove / {name}"), "Error::NoEntry".to_owned()));
            all.push((format!("diff / {name}"), "Error::NoEntry".to_owned()));
            all.push((format!("snapshot / {name}"), "Error::Exist".to_owned()));
            all.push((format!("fork / {name}"), "Error::Exist".to_owned()));
        }
        for name in ["other", "main", "main2"] {
            for name in [format!("@{name}"), format!("../{name}"), format!("/{name}"), format!("x@{name}")] {
                all.push((format!("restore / {name}"), "Error::BadName".to_owned()));
                all.push((format!("remove / {name}"), "Error::BadName".to_owned()));
            }
        }
        for name in ["..", ".", "deep@er", "-x", "_x", ".x", "a/b", "a\\b", "a:b", "*", "%00"] {
            all.push((format!("snapshot / {name}"), "Error::BadName".to_owned()));
            all.push((format!("diff / {name}"), "Error::BadName".to_owned()));
        }
        let long = "l".repeat(64);
        all.push((format!("snapshot / {long}"), "ok".to_owned()));
        all.push((format!("snapshot / {long}l"), "Error::BadName".to_owned()));
        all.push((format!("remove / {long}"), "ok".to_owned()));
        let odd = format!("{:?}", [true; 9]);
        all.push(("odd-names /".to_owned(), odd));
        all.push(("cat a".to_owned(), "one".to_owned()));
        let all: Vec<(&str, &str)> =
            all.iter().map(|(step, gives)| (step.as_str(), gives.as_str())).collect();
        steps.expect(&store, &all);
        assert_eq!(volumes.names().unwrap(), before);
    }
}

#[test]
fn a_volume_with_a_name_as_long_as_can_be_has_none_of_its_own() {
    let name = "v".repeat(255);
    for link in WAYS {
        let store = MemoryStore::new();
        let steps = Steps::new(link, &[&format!("/=kv:{name}")], 64);
        steps.expect(&store, &[("write a one", "ok"), ("snapshot / s", "Error::BadName"), ("entries /", "")]);
        assert_eq!(sound(&store), [name.as_str()]);
    }
}

#[test]
fn a_guest_that_makes_a_million_snapshots_is_stopped_at_its_bound() {
    for link in WAYS {
        let store = MemoryStore::new();
        let steps = Steps::new(link, &[], 5);
        steps.expect(
            &store,
            &[
                ("write a one", "ok"),
                ("fill / 1000000", "5 Error::TooMany"),
                ("fork / more", "Error::TooMany"),
                ("remove / n3", "ok"),
                ("snapshot / n3", "ok"),
                ("snapshot / more", "Error::TooMany"),
                ("restore / n4", "ok"),
                ("snapshot / more", "Error::TooMany"),
            ],
        );
        // Another instance counts those that are there, and a host that removes some makes room.
        steps.expect(&store, &[("snapshot / more", "Error::TooMany")]);
        Volumes::new(store.clone()).remove("main@n0").unwrap();
        steps.expect(&store, &[("snapshot / more", "ok"), ("snapshot / most", "Error::TooMany")]);
        assert_eq!(sound(&store).len(), 6);
    }
}

/// Bytes of all records of a store.
fn stored(store: &MemoryStore) -> usize {
    let (mut start, mut bytes) = (Vec::new(), 0);
    loop {
        let page = SyncStore::scan(store, &start, b"", 1000, 1 << 20).unwrap();
        let Some(last) = page.last() else { return bytes };
        bytes += page.iter().map(|entry| entry.key.len() + entry.value.len()).sum::<usize>();
        start = [&last.key[..], &[0]].concat();
    }
}

#[test]
fn restoring_and_removing_in_turn_leaves_no_garbage_behind() {
    for link in WAYS {
        let store = MemoryStore::new();
        let steps = Steps::new(link, &[], 4);
        steps.expect(&store, &[("mkdir d", "ok"), ("snapshot / empty", "ok")]);
        let round =
            [("many d 300", "ok"), ("snapshot / s", "ok"), ("restore / empty", "ok"), ("remove / s", "ok")];
        steps.expect(&store, &round);
        let once = stored(&store);
        let many: Vec<(&str, &str)> = round.iter().copied().cycle().take(40).collect();
        steps.expect(&store, &many);
        assert!(
            stored(&store) <= once + once / 4,
            "{} bytes after one round, {} after ten",
            once,
            stored(&store)
        );
    }
}
