//! `kvfs fsck` without `--volume`: all volumes of a store, and the layers that they share.

use super::diff::{packed, write_above};
use super::volume::{done, open, write};
use super::{kvfs, workshop};
use kvfs::Options;
use kvfs_host::{Durability, Entry, Mutation, SyncStore};
use std::path::Path;

fn fsck(directory: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = kvfs(directory, &[&["fsck", "--store"], args].concat());
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(!stderr.contains("report it"), "{stderr}");
    (output.status.code(), stdout, stderr)
}

/// Makes three volumes of which two share a layer.
fn three(path: &Path, store: &str) {
    for name in ["main", "other"] {
        done(path, &["create", "--store", store, name]);
        write(path, store, name, &[7; 100_000]);
    }
    done(path, &["fork", "--store", store, "main", "fork"]);
    write(path, store, "fork", b"changed");
    let (opened, volumes) = open(path, store);
    let mut fork = volumes.open(Options { volume: "fork".to_owned(), ..Options::default() }).unwrap();
    let root = fork.root().unwrap();
    fork.create_directory_at(&root, "dir").unwrap();
    fork.close(root).unwrap();
    fork.sync_all().unwrap();
    drop(fork);
    opened.close().unwrap();
}

/// Changes the entries that `wanted` tells, by `change`; `None` removes them.
fn tamper(
    path: &Path,
    url: &str,
    wanted: impl Fn(&[u8]) -> bool,
    change: impl Fn(&Entry) -> Option<Vec<u8>>,
) -> usize {
    let (store, _) = open(path, url);
    let entries = SyncStore::scan(&store, b"", b"", 1000, 1 << 20).unwrap();
    let entries: Vec<_> = entries.iter().filter(|entry| wanted(&entry.key)).collect();
    for entry in &entries {
        let value = change(entry);
        let mutation = match &value {
            Some(value) => Mutation::Put { key: &entry.key, value },
            None => Mutation::Delete { key: &entry.key },
        };
        SyncStore::apply(&store, &[], &[mutation], Durability::Durable).unwrap();
    }
    store.close().unwrap();
    entries.len()
}

/// Flips a bit of a value.
fn flipped(entry: &Entry) -> Option<Vec<u8>> {
    let mut value = entry.value.to_vec();
    *value.last_mut().unwrap() ^= 1;
    Some(value)
}

#[test]
fn a_store_is_checked_with_all_its_volumes_and_layers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for store in ["file:f", "redb:r.redb"] {
        three(path, store);
        // Of nobody, and of others: none of it is damage.
        let (opened, _) = open(path, store);
        let foreign: [&[u8]; 4] = [b"\xffz", b"\x05mains\x10junk", b"\x01", b"\x04tree\x20\0\0\0"];
        for key in foreign {
            let put = [Mutation::Put { key, value: b"no record of a file system" }];
            SyncStore::apply(&opened, &[], &put, Durability::Durable).unwrap();
        }
        opened.close().unwrap();
        for args in [&[store][..], &[store, "--repair"]] {
            let (code, stdout, stderr) = fsck(path, args);
            assert!(code == Some(0) && stderr.is_empty(), "{stdout}{stderr}");
            let lines: Vec<&str> = stdout.lines().collect();
            let volumes = ["fork: 3 inodes, 2 names", "main: 2 inodes, 1 names", "other: 2 inodes, 1 names"];
            for (line, volume) in lines.iter().zip(volumes) {
                assert!(line.starts_with(&format!("volume {volume}, ")), "{stdout}");
            }
            assert_eq!(lines[3..], ["layers: 3 in use, 0 wait to be freed", "sound"], "{stdout}");
        }
    }
}

#[test]
fn only_a_repair_of_the_whole_store_repairs_all_its_volumes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for store in ["file:f", "redb:r.redb"] {
        three(path, store);
        // The superblock of one, which had no layers, and a record of another one's own.
        assert_eq!(tamper(path, store, |key| key == b"\x05other\0", |_| None), 1);
        let (_, sound, _) = fsck(path, &[store, "--volume", "main"]);
        assert!(sound.ends_with("sound\n"), "{sound}");
        let entries = |key: &[u8]| key.get(1) == Some(&0) && key.ends_with(b"dir");
        assert_eq!(tamper(path, store, entries, flipped), 1);
        let (code, stdout, stderr) = fsck(path, &[store]);
        assert_eq!(code, Some(4), "{stdout}{stderr}");
        assert!(stdout.contains("invariant 3 at key "), "{stdout}");
        let last = stdout.lines().last().unwrap();
        assert!(last.contains(" findings, unsound are `fork`, `other`; "), "{last}");
        let (code, stdout, stderr) = fsck(path, &[store, "--repair"]);
        assert_eq!(code, Some(1), "{stdout}{stderr}");
        assert!(stdout.ends_with("repaired: it is sound now\n"), "{stdout}");
        assert_eq!(fsck(path, &[store]).0, Some(0));
        assert_eq!(done(path, &["list", "--store", store]).lines().count(), 3);
    }
}

#[test]
fn what_is_wrong_with_layers_is_found_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    three(path, "file:s");
    // The header of the layer that two volumes share. Each of them by itself says so too.
    assert_eq!(tamper(path, "file:s", |key| key == b"\x04main\x03", |_| None), 1);
    for args in [&["file:s"][..], &["file:s", "--repair"]] {
        let (code, stdout, stderr) = fsck(path, args);
        assert!(code == Some(4) || code == Some(8), "{args:?}: {stdout}{stderr}");
        assert!(stdout.contains("invariant 23 at key ") && stdout.contains("missing"), "{stdout}{stderr}");
        assert!(!stdout.lines().any(|line| line == "sound"), "{stdout}");
        assert!(stdout.contains("volume other: "), "{stdout}");
    }
}

#[test]
fn a_volume_that_cannot_be_checked_is_named_and_the_others_are() {
    let dir = workshop();
    let path = dir.path();
    packed(path);
    write_above(path, "tree.wasm", "main");
    done(path, &["fork", "--store", "file:s", "main", "fork"]);
    done(path, &["create", "--store", "file:s", "plain"]);
    for more in [&[][..], &["--repair"]] {
        let (code, stdout, stderr) = fsck(path, &[&["file:s"], more].concat());
        assert_eq!((code, stderr.lines().count()), (Some(8), 2), "{stdout}{stderr}");
        for name in ["main", "fork"] {
            assert!(
                stderr.contains(&format!("volume `{name}` was used with: --image COMPONENT")),
                "{stderr}"
            );
        }
        assert!(stdout.contains("volume plain: 1 inodes"), "{stdout}");
        assert!(
            stdout.ends_with("2 volumes could not be checked\nwhat could be checked is sound\n"),
            "{stdout}"
        );
        // A fork of a volume lies on the volume's tree.
        let (code, stdout, stderr) = fsck(path, &[&["file:s", "--image", "tree.wasm"], more].concat());
        assert!(code == Some(0) && stderr.is_empty() && stdout.ends_with("\nsound\n"), "{stdout}{stderr}");
        assert_eq!(stdout.lines().filter(|line| line.starts_with("volume ")).count(), 3, "{stdout}");
        let one = [&["file:s", "--volume", "fork", "--image", "tree.wasm"], more].concat();
        assert_eq!(fsck(path, &one).0, Some(0));
    }
    done(path, &["rm", "--store", "file:s", "main", "fork", "plain"]);
    let (code, _, stderr) = fsck(path, &["file:s"]);
    assert!(code == Some(8) && stderr.contains("no volume in it, so nothing was checked; "), "{stderr}");
}
