//! What the calls do, in one instance and seen from outside.

use super::{Steps, WAYS, sound};
use kvfs_host::{MemoryStore, Volumes};

#[test]
fn a_guest_snapshots_changes_compares_and_restores_its_volume() {
    for link in WAYS {
        let store = MemoryStore::new();
        let steps = Steps::new(link, &[], 64);
        steps.expect(
            &store,
            &[
                ("write a one", "ok"),
                ("mkdir d", "ok"),
                ("write d/b two", "ok"),
                ("snapshot / before", "ok"),
                ("write a changed", "ok"),
                ("mv d/b d/c", "ok"),
                ("write new new", "ok"),
                ("mkdir e", "ok"),
                ("diff / before", "M /a Aspects(BYTES | TIMES), R /d/b /d/c, A /e, A /new"),
                ("fork / other", "ok"),
                ("entries /", "other:fork:1108 before:snapshot:713"),
                ("restore / before", "ok"),
                ("cat a", "one"),
                ("ls .", "a d"),
                ("ls d", "b"),
                ("diff / before", ""),
                ("diff / other", "M /a Aspects(BYTES | TIMES), R /d/c /d/b, D /e, D /new"),
                // The same program works on, and restores again.
                ("write a again", "ok"),
                ("rm d/b", "ok"),
                ("restore / other", "ok"),
                ("cat a", "changed"),
                ("ls d", "c"),
                ("remove / before", "ok"),
                ("restore / before", "Error::NoEntry"),
                ("entries /", "other:fork:1108"),
            ],
        );
        assert_eq!(sound(&store), ["main", "main@other"]);
        // Another process finds what was restored, and the fork.
        steps.expect(&store, &[("cat a", "changed"), ("entries /", "other:fork:1108")]);
    }
}

#[test]
fn what_waits_in_memory_is_in_a_snapshot_and_not_after_a_restore() {
    for link in WAYS {
        let store = MemoryStore::new();
        let steps = Steps::new(link, &["/=kv"], 64);
        steps.expect(
            &store,
            &[
                ("write a one", "ok"),
                ("hold a", "ok"),
                // Of an open file too, and a snapshot disturbs nothing.
                ("snapshot / s", "ok"),
                ("rm a", "ok"),
                ("restore / s", "Error::Busy"),
                ("drop", "ok"),
                ("listing", "ok"),
                ("restore / s", "Error::Busy"),
                ("drop", "ok"),
                ("write lost lost", "ok"),
                ("restore / s", "ok"),
                ("ls .", "a"),
                ("cat a", "one"),
            ],
        );
    }
}

#[test]
fn a_host_sees_uses_and_takes_what_a_guest_made() {
    for link in WAYS {
        let store = MemoryStore::new();
        let steps = Steps::new(link, &[], 64);
        steps.expect(&store, &[("write a one", "ok"), ("snapshot / s", "ok"), ("fork / f", "ok")]);
        let volumes = Volumes::new(store.clone());
        assert_eq!(volumes.names().unwrap(), ["main", "main@f", "main@s"]);
        assert!(volumes.info("main@s").unwrap().read_only);
        assert!(!volumes.info("main@f").unwrap().read_only);
        volumes.thaw("main@s").unwrap();
        volumes.rename("main@f", "taken").unwrap();
        steps.expect(
            &store,
            &[("entries /", "s:fork:324"), ("restore / f", "Error::NoEntry"), ("restore / s", "ok")],
        );
        volumes.remove("main@s").unwrap();
        steps.expect(&store, &[("entries /", ""), ("remove / s", "Error::NoEntry")]);
        assert_eq!(sound(&store), ["main", "taken"]);
    }
}

#[test]
fn a_comparison_of_many_files_comes_in_pages() {
    for link in WAYS {
        let store = MemoryStore::new();
        Steps::new(link, &[], 64).expect(
            &store,
            &[
                ("mkdir d", "ok"),
                ("snapshot / s", "ok"),
                ("many d 2500", "ok"),
                ("diff / s", "2500 differences"),
                ("restore / s", "ok"),
                ("ls d", ""),
                ("diff / s", ""),
            ],
        );
    }
}

#[test]
fn a_commit_is_durable() {
    for link in WAYS {
        let store = MemoryStore::new();
        let steps = Steps::new(link, &[], 64);
        steps.expect(&store, &[("write a one", "ok"), ("commit /", "ok"), ("commit /x", "Error::NoMount")]);
    }
}
