//! `kvfs settings`: what it shows and sets, and what it leaves alone.

use super::{Noon, files, kvfs, store_with_volume, workshop};
use kvfs_host::{Durability, EngineStore, FileStore, Mutation, RedbStore, SyncStore};
use std::path::Path;

/// Runs `kvfs settings`, and returns its exit code and what it wrote.
fn settings(directory: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = kvfs(directory, &[&["settings"], args].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn shown(directory: &Path, store: &str) -> String {
    let (code, stdout, stderr) = settings(directory, &["--store", store]);
    assert!(code == Some(0) && stderr.is_empty(), "{stdout}{stderr}");
    stdout
}

const NONE: &str = "max-bytes: none, 128 used\nmax-inodes: none, 1 used\nmax-names: none, 0 used\n\
                    max-file-bytes: none\nscrub: none\n";

#[test]
fn settings_are_set_shown_and_lifted() {
    let dir = workshop();
    store_with_volume(&dir.path().join("s.redb"), |_| {});
    std::fs::create_dir(dir.path().join("s")).unwrap();
    let entries =
        SyncStore::scan(&RedbStore::open(dir.path().join("s.redb")).unwrap(), b"", b"", 9, 9999).unwrap();
    let puts: Vec<_> =
        entries.iter().map(|entry| Mutation::Put { key: &entry.key, value: &entry.value }).collect();
    let copy = FileStore::open(dir.path().join("s")).unwrap();
    SyncStore::apply(&copy, &[], &puts, Durability::Durable).unwrap();
    drop(copy);
    for store in ["redb:s.redb", "file:s"] {
        assert_eq!(shown(dir.path(), store), format!("volume main of {store}\n{NONE}"));
        let all = ["--max-bytes", "64M", "--max-inodes", "9", "--max-names", "8", "--max-file-bytes", "1K"];
        let (code, stdout, stderr) = settings(dir.path(), &[&["set", "--store", store][..], &all].concat());
        assert!(code == Some(0) && stderr.is_empty(), "{stderr}");
        let expected = format!(
            "volume main of {store}\nmax-bytes: 67108864, 128 used\nmax-inodes: 9, 1 used\nmax-names: 8, 0 used\n\
             max-file-bytes: 1024\nscrub: none\n"
        );
        assert_eq!(stdout, expected);
        assert_eq!(shown(dir.path(), store), expected);
        // Settings that are not given stay.
        let some = ["--max-names", "none", "--max-file-bytes", "5"];
        assert_eq!(settings(dir.path(), &[&["set", "--store", store][..], &some].concat()).0, Some(0));
        let text = shown(dir.path(), store);
        assert!(text.contains("max-bytes: 67108864,") && text.contains("max-names: none,"), "{text}");
        assert!(text.ends_with("max-file-bytes: 5\nscrub: none\n"), "{text}");
        let fsck = kvfs(dir.path(), &["fsck", "--store", store]);
        assert_eq!(fsck.status.code(), Some(0), "{fsck:?}");
        let (code, stdout, stderr) =
            settings(dir.path(), &["set", "--store", store, "--replace", "--max-bytes", "5"]);
        assert!(code == Some(0) && stderr.contains("holds more than that already"), "{stderr}");
        assert!(stdout.contains("max-bytes: 5,") && stdout.contains("max-inodes: none,"), "{stdout}");
        assert_eq!(settings(dir.path(), &["set", "--store", store, "--replace"]).0, Some(0));
        assert_eq!(shown(dir.path(), store), format!("volume main of {store}\n{NONE}"));
    }
}

#[test]
fn what_cannot_be_set_is_one_line_and_changes_nothing() {
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    store_with_volume(&path("s.redb"), |_| {});
    std::fs::write(path("empty.redb"), b"").unwrap();
    let before = (files(dir.path()), std::fs::read(path("s.redb")).unwrap());
    let set = |args: &[&'static str]| [&["set", "--store"], args].concat();
    let cases: [(Vec<&str>, &str); 12] = [
        (vec!["--store", "redb:none.redb"], "no such store"),
        (set(&["redb:none.redb", "--max-bytes", "1"]), "no such store"),
        (set(&["file:none", "--replace"]), "no such store"),
        (set(&["memory:", "--max-bytes", "1"]), "no such store"),
        (set(&["redb:empty.redb", "--max-bytes", "1"]), "an empty file"),
        (set(&["dir:x", "--max-bytes", "1"]), "names no store"),
        (vec!["--store", "redb:s.redb", "--volume", "other"], "no volume `other`"),
        (set(&["redb:s.redb", "--volume", "other", "--max-bytes", "1"]), "no volume `other`"),
        (set(&["redb:s.redb", "--volume", "other", "--replace"]), "no volume `other`"),
        (set(&["redb:s.redb"]), "nothing to set"),
        (set(&["redb:s.redb", "--max-bytes", "much"]), "is not a size"),
        (set(&["redb:s.redb", "--max-names", "1K"]), "give a number, or none"),
    ];
    for (args, expected) in cases {
        let (code, stdout, stderr) = settings(dir.path(), &args);
        assert!(code != Some(0) && stdout.is_empty(), "{args:?}: {stdout}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
        let after = (files(dir.path()), std::fs::read(path("s.redb")).unwrap());
        assert!(after == before, "{args:?} changed something");
    }
}

#[test]
fn a_store_that_a_guest_uses_is_left_alone() {
    let dir = workshop();
    let path = dir.path().join("s.redb");
    store_with_volume(&path, |_| {});
    let live = RedbStore::open(&path).unwrap();
    let mut volume =
        kvfs::Volume::open(Box::new(EngineStore(live.clone())), Box::new(Noon), kvfs::Options::default())
            .unwrap();
    for args in [&["--store", "redb:s.redb"][..], &["set", "--store", "redb:s.redb", "--max-bytes", "1"]] {
        let (code, _, stderr) = settings(dir.path(), args);
        assert!(code == Some(1) && stderr.contains("open elsewhere"), "{stderr}");
    }
    let root = volume.root().unwrap();
    volume.create_directory_at(&root, "still").unwrap();
    volume.close(root).unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    live.close().unwrap();
    assert_eq!(settings(dir.path(), &["set", "--store", "redb:s.redb", "--max-inodes", "2"]).0, Some(0));
    assert!(shown(dir.path(), "redb:s.redb").contains("max-inodes: 2, 2 used"));
}

#[test]
fn damaged_settings_are_set_anew_only_all_together() {
    let dir = workshop();
    let path = dir.path().join("s.redb");
    store_with_volume(&path, |_| {});
    let set = |more: &[&str]| settings(dir.path(), &[&["set", "--store", "redb:s.redb"], more].concat());
    assert_eq!(set(&["--max-file-bytes", "7"]).0, Some(0));
    {
        let store = RedbStore::open(&path).unwrap();
        let key = b"\x04main\x01";
        let mut value = SyncStore::get(&store, &[key]).unwrap()[0].clone().unwrap().to_vec();
        *value.last_mut().unwrap() ^= 1;
        let put = [Mutation::Put { key, value: &value }];
        SyncStore::apply(&store, &[], &put, Durability::Durable).unwrap();
        store.close().unwrap();
    }
    for (code, stderr) in [
        (set(&["--max-bytes", "1M"]).0, set(&["--max-bytes", "1M"]).2),
        (
            settings(dir.path(), &["--store", "redb:s.redb"]).0,
            settings(dir.path(), &["--store", "redb:s.redb"]).2,
        ),
    ] {
        assert_eq!(code, Some(1));
        assert!(stderr.contains("settings set --replace") && stderr.lines().count() == 1, "{stderr}");
    }
    let run = kvfs(dir.path(), &["run", "--store", "redb:s.redb", "guest.wasm"]);
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.code() == Some(1) && stderr.contains("settings"), "{stderr}");
    let fsck = |more: &[&str]| kvfs(dir.path(), &[&["fsck", "--store", "redb:s.redb"], more].concat());
    assert_eq!(fsck(&["--repair"]).status.code(), Some(4));
    assert_eq!(set(&["--replace", "--max-bytes", "1M"]).0, Some(0));
    assert_eq!(fsck(&[]).status.code(), Some(0));
    let text = shown(dir.path(), "redb:s.redb");
    assert!(
        text.contains("max-bytes: 1048576,") && text.ends_with("max-file-bytes: none\nscrub: none\n"),
        "{text}"
    );
}

#[test]
fn secrets_are_set_from_a_file_and_never_shown_or_stored() {
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    store_with_volume(&path("s.redb"), |_| {});
    std::fs::write(path("secrets"), "correct horse\r\nbattery staple\n\n").unwrap();
    let set = |args: &[&str]| settings(dir.path(), &[&["set", "--store", "redb:s.redb"], args].concat());
    let (code, stdout, stderr) =
        set(&["--scrub", "except", "--scrub-path", "tmp/**", "--secret-file", "secrets", "--max-names", "9"]);
    assert!(code == Some(0) && stderr.is_empty(), "{stderr}");
    let expected = "scrub: except\nscrub-path: tmp/**\nsecrets: 2, of 13, 14 bytes\n";
    assert!(stdout.ends_with(expected), "{stdout}");
    // Other settings are set without it, and leave it.
    assert_eq!(set(&["--max-names", "none"]).0, Some(0));
    assert!(shown(dir.path(), "redb:s.redb").ends_with(expected));
    let stored = std::fs::read(path("s.redb")).unwrap();
    for secret in ["correct horse", "battery staple"] {
        assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
    assert_eq!(kvfs(dir.path(), &["fsck", "--store", "redb:s.redb"]).status.code(), Some(0));
    let (code, stdout, stderr) = set(&["--scrub", "none"]);
    assert!(code == Some(0) && stdout.ends_with("scrub: none\n"), "{stdout}{stderr}");
}

#[test]
fn what_cannot_be_scrubbed_is_refused_without_showing_a_secret() {
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    store_with_volume(&path("s.redb"), |_| {});
    std::fs::write(path("secrets"), "correct horse\n").unwrap();
    std::fs::write(path("short"), "correct horse\nhunter2\n").unwrap();
    let before = files(dir.path());
    for (args, expected) in [
        (&["--scrub", "all"][..], "needs --secret-file"),
        (&["--scrub", "none", "--secret-file", "secrets"], "takes no --secret-file"),
        (&["--scrub", "all", "--scrub-path", "a", "--secret-file", "secrets"], "leave it out"),
        (&["--scrub", "only", "--secret-file", "secrets"], "no pattern"),
        (&["--scrub", "only", "--scrub-path", "[a", "--secret-file", "secrets"], "pattern 1"),
        (&["--scrub", "all", "--secret-file", "short"], "secret 2 has 7 bytes"),
        (&["--scrub", "all", "--secret-file", "missing"], "missing: cannot read"),
    ] {
        let (code, _, stderr) = settings(dir.path(), &[&["set", "--store", "redb:s.redb"], args].concat());
        assert!(code == Some(1) && stderr.contains(expected), "{args:?}: {code:?} {stderr}");
        assert!(!stderr.contains("hunter2") && !stderr.contains("horse"), "{stderr}");
    }
    assert_eq!(files(dir.path()), before);
}
