//! Mounts of several volumes, packed trees and directories of the host.

use super::{Steps, WAYS, sound};
use kvfs_compose::Mount;
use kvfs_host::{MemoryStore, Volumes};

#[test]
fn each_mount_is_named_by_its_path() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("packed"), "packed").unwrap();
    let image = format!("/lib=image:{}", tree.path().display());
    let mounts = ["/=kv", "/data=kv:data", "/seen=kv:data,ro", "/ruled=kv:ruled,allow=dir-read", &image];
    for link in WAYS {
        let store = MemoryStore::new();
        Steps::new(link, &mounts, 64).expect(
            &store,
            &[
                ("write data/a one", "ok"),
                ("snapshot /data s", "ok"),
                ("snapshot / s", "ok"),
                ("entries /data", "s:snapshot:324"),
                ("entries /seen", "s:snapshot:324"),
                ("snapshot /seen t", "Error::ReadOnly"),
                ("restore /seen s", "Error::ReadOnly"),
                ("remove /seen s", "Error::ReadOnly"),
                ("diff /seen s", ""),
                ("snapshot /ruled s", "ok"),
                ("diff /ruled s", "Error::NotPermitted"),
                ("restore /ruled s", "Error::NotPermitted"),
                ("snapshot /lib s", "Error::NoVolume"),
                ("entries /lib", "Error::NoVolume"),
                ("commit /lib", "Error::NoVolume"),
                ("restore /lib s", "Error::NoVolume"),
                ("snapshot /data/ s", "Error::NoMount"),
                ("snapshot data s", "Error::NoMount"),
                ("snapshot /data/a s", "Error::NoMount"),
                ("snapshot /missing s", "Error::NoMount"),
                ("write data/a two", "ok"),
                ("restore /data s", "ok"),
                ("cat seen/a", "one"),
                ("cat lib/packed", "packed"),
            ],
        );
        assert_eq!(sound(&store), ["data", "main", "ruled", "data@s", "main@s", "ruled@s"]);
    }
}

/// The directories that mounts lie on may be other ones in a snapshot, or missing there.
#[test]
fn mounts_in_a_restored_volume_lie_where_they_did() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("packed"), "packed").unwrap();
    let image = format!("/d/lib=image:{}", tree.path().display());
    for link in WAYS {
        let store = MemoryStore::new();
        let alone = Steps::new(link, &[], 64);
        alone.expect(&store, &[("write a one", "ok"), ("snapshot / bare", "ok")]);
        let mounts = ["/=kv", "/d/data=kv:data", &image];
        Steps::new(link, &mounts, 64).expect(
            &store,
            &[
                ("write d/data/x kept", "ok"),
                ("write d/y gone", "ok"),
                ("write a two", "ok"),
                ("snapshot / both", "ok"),
                ("restore / bare", "ok"),
                ("cat a", "one"),
                ("cat d/data/x", "kept"),
                ("cat d/lib/packed", "packed"),
                ("ls d", "data lib"),
                ("restore / both", "ok"),
                ("cat d/y", "gone"),
                ("cat d/data/x", "kept"),
                ("cat d/lib/packed", "packed"),
                // What is open in another volume is no obstacle, and stays open.
                ("hold d/data/x", "ok"),
                ("restore / bare", "ok"),
                ("restore /d/data none", "Error::Busy"),
                ("snapshot /d/data s", "ok"),
                ("restore /d/data s", "Error::Busy"),
                ("drop", "ok"),
                ("restore /d/data s", "ok"),
                ("cat d/data/x", "kept"),
            ],
        );
    }
}

#[test]
fn a_volume_above_a_packed_tree_is_snapshotted_and_restored() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("packed"), "packed").unwrap();
    let overlay = format!("/=overlay:{}", tree.path().display());
    for link in WAYS {
        let store = MemoryStore::new();
        Steps::new(link, &[&overlay], 64).expect(
            &store,
            &[
                ("snapshot / s", "ok"),
                ("rm packed", "ok"),
                ("write new new", "ok"),
                ("diff / s", "A /new, D /packed"),
                ("restore / s", "ok"),
                ("ls .", "packed"),
                ("cat packed", "packed"),
            ],
        );
    }
}

#[test]
fn limits_of_a_mount_count_for_a_snapshot_too() {
    for link in WAYS {
        let store = MemoryStore::new();
        let mount = "/=kv,max-names=2";
        assert!(mount.parse::<Mount>().is_ok());
        Steps::new(link, &[mount], 64).expect(
            &store,
            &[
                ("write a one", "ok"),
                ("write b two", "ok"),
                ("snapshot / s", "ok"),
                ("write c three", "quota"),
                ("rm a", "ok"),
                ("rm b", "ok"),
                ("restore / s", "ok"),
                ("write c three", "quota"),
                ("cat b", "two"),
            ],
        );
        assert_eq!(Volumes::new(store).info("main@s").unwrap().used.names, 2);
    }
}
