//! `kvfs volume`, and guests on forks.

use super::{files, kvfs, workshop};
use kvfs::{Access, At, Follow, OpenFlags, Options};
use kvfs_host::{AnyStore, Volumes, open_store};
use std::path::Path;
use std::process::Output;

pub(super) fn volume(directory: &Path, args: &[&str]) -> Output {
    kvfs(directory, &[&["volume"], args].concat())
}

/// Runs a subcommand that must succeed without a word on standard error. Returns standard output.
pub(super) fn done(directory: &Path, args: &[&str]) -> String {
    let output = volume(directory, args);
    assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs one that must fail, on one line. Returns it.
fn refused(directory: &Path, args: &[&str]) -> String {
    let output = volume(directory, args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    assert!(stderr.starts_with("kvfs: ") && stderr.contains("; "), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}");
    stderr
}

pub(super) fn open(directory: &Path, url: &str) -> (AnyStore, Volumes<AnyStore>) {
    let store = open_store(&url.replacen(':', &format!(":{}/", directory.display()), 1)).unwrap();
    (store.clone(), Volumes::new(store))
}

/// Writes a file of a volume.
pub(super) fn write(directory: &Path, url: &str, name: &str, bytes: &[u8]) {
    let (store, volumes) = open(directory, url);
    let mut volume = volumes.open(Options { volume: name.to_owned(), ..Options::default() }).unwrap();
    let root = volume.root().unwrap();
    let create = OpenFlags { create: true, truncate: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, "file", Follow::No, create, access).unwrap();
    volume.write(&file, At::Offset(0), bytes).unwrap();
    volume.close(file).unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    store.close().unwrap();
}

/// Reads a file of a volume.
pub(super) fn read(directory: &Path, url: &str, name: &str, path: &str) -> Option<Vec<u8>> {
    let (store, volumes) = open(directory, url);
    let mut volume = volumes.open(Options { volume: name.to_owned(), ..Options::default() }).unwrap();
    let root = volume.root().unwrap();
    let access = Access { read: true, ..Access::default() };
    let bytes = volume.open_at(&root, path, Follow::No, OpenFlags::default(), access).ok().map(|file| {
        let mut bytes = Vec::new();
        volume.read(&file, 0, 1 << 16, &mut bytes).unwrap();
        bytes
    });
    drop(volume);
    store.close().unwrap();
    bytes
}

#[test]
fn volumes_are_made_forked_restored_renamed_and_removed_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for store in ["file:f", "redb:r.redb"] {
        let at =
            |args: &[&str]| -> String { done(path, &[&args[..1], &["--store", store], &args[1..]].concat()) };
        assert_eq!(at(&["create", "main"]), "");
        write(path, store, "main", b"one");
        assert_eq!(at(&["snapshot", "main", "then"]), "");
        assert_eq!(at(&["fork", "main", "try"]), "");
        write(path, store, "main", b"two");
        write(path, store, "try", b"three");
        let rows = at(&["list"]);
        let rows: Vec<Vec<&str>> = rows.lines().map(|line| line.split('\t').collect()).collect();
        let row = |at: usize| (rows[at][1], rows[at][2], rows[at][3]);
        assert_eq!([row(0), row(1), row(2)], [("2", "rw", "try"), ("2", "rw", "main"), ("2", "ro", "then")]);
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row[0].parse::<u64>().unwrap() > 0), "{rows:?}");
        assert_eq!(at(&["restore", "--force", "main", "then"]), "");
        let info = String::from_utf8(kvfs(path, &["store", "info", store]).stdout).unwrap();
        assert!(info.contains("layers of volumes: ") && info.contains("of no volume: 0 keys"), "{info}");
        assert_eq!(info.lines().filter(|line| line.starts_with("volume ")).count(), 3, "{info}");
        assert_eq!(read(path, store, "main", "file").unwrap(), b"one");
        assert_eq!(at(&["rename", "try", "tried"]), "");
        assert_eq!(read(path, store, "tried", "file").unwrap(), b"three");
        assert_eq!(at(&["freeze", "tried"]), "");
        assert_eq!(at(&["thaw", "tried", "then"]), "");
        write(path, store, "then", b"four");
        assert_eq!(at(&["flatten", "main"]), "");
        assert_eq!(at(&["rm", "then", "tried"]), "");
        assert_eq!(at(&["gc"]), "");
        assert_eq!(read(path, store, "main", "file").unwrap(), b"one");
        let check = kvfs(path, &["fsck", "--store", store]);
        assert!(check.status.success(), "{check:?}");
        assert_eq!(at(&["rm", "main"]), "");
        assert_eq!(at(&["list"]), "");
        // Nothing is left of any of them.
        let info = String::from_utf8(kvfs(path, &["store", "info", store]).stdout).unwrap();
        let is_left = |line: &str| line.starts_with("volume ") || line.starts_with("layers");
        assert!(!info.lines().any(is_left) && info.contains("of no volume: 0 keys"), "{info}");
    }
}

#[test]
fn programs_read_lists_and_details_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let odd = "o\u{202e}d\u{7f}d 🙂\t\"";
    for args in [["create", "main"], ["create", odd]] {
        done(path, &[args[0], "--store", "file:s", args[1]]);
    }
    done(path, &["snapshot", "--store", "file:s", "main", "then"]);
    let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).expect(text) };
    let list = done(path, &["list", "--store", "file:s", "--json"]);
    let list: Vec<serde_json::Value> = list.lines().map(json).collect();
    let names: Vec<&str> = list.iter().map(|volume| volume["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["main", "then", odd]);
    assert_eq!((&list[1]["state"], &list[1]["unchanged"]), (&"ro".into(), &true.into()));
    let text = done(path, &["list", "--store", "file:s"]);
    assert!(text.lines().all(|line| line.split('\t').count() == 4), "{text}");
    let info = json(&done(path, &["info", "--store", "file:s", "--json", "--sharing", "then"]));
    assert_eq!(info["shares_with"], serde_json::json!([{ "name": "main", "layers": 1 }]));
    assert_eq!(info["layers"].as_array().unwrap().len(), 2);
    let lines = done(path, &["info", "--store", "file:s", "--sharing", "main"]);
    for expected in ["name: main\n", "state: writable\n", "layer: =main\n", "shares 1 with: then\n"] {
        assert!(lines.contains(expected), "{expected}: {lines}");
    }
}

#[test]
fn what_cannot_be_done_is_one_line_and_changes_nothing() {
    let dir = workshop();
    let path = dir.path();
    for name in ["main", "other"] {
        done(path, &["create", "--store", "file:s", name]);
    }
    done(path, &["snapshot", "--store", "file:s", "main", "then"]);
    write(path, "file:s", "main", b"changes");
    done(path, &["freeze", "--store", "file:s", "other"]);
    let before = (files(path), done(path, &["list", "--store", "file:s", "--json"]));
    let long = "x".repeat(256);
    let cases: [(&[&str], &str); 19] = [
        (&["info", "mian"], "no volume `mian`; did you mean `main`?"),
        (&["fork", "nothing-near", "new"], "no volume `nothing-near`; `kvfs volume list`"),
        (&["fork", "main", "other"], "a volume `other` already"),
        (&["snapshot", "main", "main"], "a volume `main` already"),
        (&["snapshot", "main", &long], "1 to 255 bytes"),
        (&["create", "main"], "a volume `main` already"),
        (&["create", ""], "1 to 255 bytes"),
        (&["rename", "main", "other"], "a volume `other` already"),
        (&["rename", "othr", "new"], "did you mean `other`?"),
        (&["restore", "main", "then"], "changes that no other volume holds; --force throws them away"),
        (&["restore", "main", "them"], "did you mean `then`?"),
        (&["restore", "main", "main", "--force"], "name another one"),
        (&["restore", "other", "then", "--force"], "volume `other` is frozen"),
        (&["rm", "mains"], "did you mean `main`?"),
        (&["freeze", "main", "none-of-these"], "no volume `none-of-these`"),
        (&["thaw", "none-of-these"], "no volume `none-of-these`"),
        (&["flatten", "main", "none-of-these"], "no volume `none-of-these`"),
        (&["info", &long], "1 to 255 bytes"),
        (&["rm", "none-of-these", "nor-this-one"], "no volume `none-of-these`"),
    ];
    for (args, expected) in cases {
        let stderr = refused(path, &[&args[..1], &["--store", "file:s"], &args[1..]].concat());
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
        let after = (files(path), done(path, &["list", "--store", "file:s", "--json"]));
        assert_eq!(after, before, "{args:?}");
    }
    for args in [&["list"][..], &["gc"], &["fork", "main", "new"], &["rm", "main"]] {
        for store in ["file:none", "redb:none.redb", "memory:"] {
            let stderr = refused(path, &[&args[..1], &["--store", store], &args[1..]].concat());
            assert!(stderr.contains("no such store"), "{args:?}: {stderr}");
        }
    }
    refused(path, &["create", "--store", "memory:", "main"]);
    assert_eq!(files(path), before.0, "a store was made");
}

#[test]
fn rm_removes_what_it_can_and_says_what_it_cannot() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for name in ["one", "two", "three"] {
        done(path, &["create", "--store", "file:s", name]);
    }
    let output = volume(path, &["rm", "--store", "file:s", "one", "absent", "two"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.contains("no volume `absent`"), "{stderr}");
    assert_eq!(done(path, &["list", "--store", "file:s"]).lines().count(), 1);
    assert_eq!(done(path, &["rm", "--store", "file:s", "--force", "one", "three"]), "");
    assert_eq!(done(path, &["list", "--store", "file:s"]), "");
}

#[test]
fn a_restore_is_refused_only_where_it_would_lose_something() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fn at<'a>(args: &[&'a str]) -> Vec<&'a str> {
        [&args[..1], &["--store", "file:s"], &args[1..]].concat()
    }
    done(path, &at(&["create", "main"]));
    write(path, "file:s", "main", b"one");
    done(path, &at(&["snapshot", "main", "s1"]));
    // What it holds is in the snapshot.
    done(path, &at(&["restore", "main", "s1"]));
    write(path, "file:s", "main", b"two");
    refused(path, &at(&["restore", "main", "s1"]));
    // It is now in another one.
    done(path, &at(&["snapshot", "main", "s2"]));
    done(path, &at(&["restore", "main", "s1"]));
    done(path, &at(&["restore", "main", "s2"]));
    done(path, &at(&["rm", "s2"]));
    refused(path, &at(&["restore", "main", "s1"]));
    assert_eq!(read(path, "file:s", "main", "file").unwrap(), b"two");
    done(path, &at(&["restore", "--force", "main", "s1"]));
    assert_eq!(read(path, "file:s", "main", "file").unwrap(), b"one");
}

#[test]
fn a_volume_that_cannot_be_read_is_named_and_the_others_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for name in ["main", "other"] {
        done(path, &["create", "--store", "file:s", name]);
    }
    let (store, _) = open(path, "file:s");
    let put = [kvfs_host::Mutation::Put { key: b"\x04main\x00", value: b"no superblock" }];
    kvfs_host::SyncStore::apply(&store, &[], &put, kvfs_host::Durability::Durable).unwrap();
    store.close().unwrap();
    for form in [&[][..], &["--json"]] {
        let output = volume(path, &[&["list", "--store", "file:s"], form].concat());
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.contains("volume `main`") && err.contains("damaged"), "{err}");
        assert!(out.lines().next().unwrap().contains("damaged"), "{out}");
        assert!(out.lines().nth(1).unwrap().contains("other"), "{out}");
    }
}

#[test]
fn a_store_that_another_process_has_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    done(path, &["create", "--store", "redb:r.redb", "main"]);
    let (store, volumes) = open(path, "redb:r.redb");
    for args in [&["list"][..], &["fork", "main", "new"], &["rm", "main"], &["create", "new"]] {
        let stderr = refused(path, &[&args[..1], &["--store", "redb:r.redb"], &args[1..]].concat());
        assert!(stderr.contains("r.redb"), "{stderr}");
    }
    // Whoever has it does this itself.
    volumes.snapshot("main", "then").unwrap();
    assert_eq!(volumes.names().unwrap(), ["main", "then"]);
    store.close().unwrap();
}

#[test]
fn names_of_files_in_forks_are_not_readable_in_a_sealed_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    std::fs::write(path.join("key"), [7; 32]).unwrap();
    let sealed = |args: &[&str]| -> Output {
        volume(path, &[&args[..1], &["--store", "file:s", "--key-file", "key"], &args[1..]].concat())
    };
    assert!(sealed(&["create", "main"]).status.success());
    let key = kvfs_host::UserKey::from_key_file(vec![7; 32]).unwrap();
    let url = format!("file:{}/s", path.display());
    let with = |name: &str, file: &str| {
        let store = kvfs_host::open_sealed_store(&url, &key).unwrap();
        let mut volume = Volumes::new(store.clone())
            .open(Options { volume: name.to_owned(), ..Options::default() })
            .unwrap();
        let root = volume.root().unwrap();
        volume.create_directory_at(&root, file).unwrap();
        volume.sync_all().unwrap();
        drop(volume);
        store.close().unwrap();
    };
    with("main", "secret-name-one");
    for args in [&["fork", "main", "fork"][..], &["snapshot", "main", "then"]] {
        assert!(sealed(args).status.success(), "{args:?}");
    }
    with("fork", "secret-name-two");
    with("main", "secret-name-three");
    let list = sealed(&["list"]);
    assert_eq!(String::from_utf8(list.stdout).unwrap().lines().count(), 3);
    for volume in ["main", "fork", "then"] {
        let check = kvfs(path, &["fsck", "--store", "file:s", "--key-file", "key", "--volume", volume]);
        assert!(check.status.success(), "{check:?}");
    }
    for entry in std::fs::read_dir(path.join("s")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"secret-name"));
    }
    assert!(sealed(&["rm", "main", "then", "fork"]).status.success());
    assert!(sealed(&["gc"]).status.success());
    assert!(sealed(&["list"]).stdout.is_empty());
}

/// A guest that makes a file, which must not be there.
pub(super) const MAKER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "made")
    (func (export "_start")
      (if (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 4)
          (i32.const 5) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32))
        (then (unreachable)))
      (i32.store (i32.const 16) (i32.const 8))
      (i32.store (i32.const 20) (i32.const 4))
      (if (call $write (i32.load (i32.const 32)) (i32.const 16) (i32.const 1) (i32.const 64))
        (then (unreachable)))))"#;

#[test]
fn a_guest_on_a_fork_leaves_the_volume_as_it_is() {
    let dir = workshop();
    let path = dir.path();
    std::fs::write(path.join("maker.wasm"), wat::parse_str(MAKER).unwrap()).unwrap();
    assert!(kvfs(path, &["compose", "maker.wasm", "-o", "composed.wasm", "--link", "core"]).status.success());
    done(path, &["create", "--store", "file:s", "prepared"]);
    write(path, "file:s", "prepared", b"x");
    let run =
        |args: &[&str], guest: &str| kvfs(path, &[&["run", "--store", "file:s"], args, &[guest]].concat());
    let list = || done(path, &["list", "--store", "file:s"]);
    let before = list();
    // The second run finds nothing of the first one: the guest fails if it does.
    for guest in ["maker.wasm", "composed.wasm", "composed.wasm"] {
        for args in [&["--fork-of", "prepared"][..], &["--fork-of", "prepared", "--discard"]] {
            let output = run(args, guest);
            assert!(output.status.success() && output.stderr.is_empty(), "{args:?} {guest}: {output:?}");
            assert_eq!(list(), before);
        }
    }
    let kept = run(&["--fork-of", "prepared", "--keep", "result"], "composed.wasm");
    assert!(kept.status.success(), "{kept:?}");
    assert_eq!(read(path, "file:s", "result", "made").unwrap(), b"made");
    assert_eq!(read(path, "file:s", "result", "file").unwrap(), b"x");
    assert_eq!(read(path, "file:s", "prepared", "made"), None);
    // It is there in a fork of that one, so the guest traps, and its fork goes all the same.
    let with_result = list();
    let trapped = run(&["--fork-of", "result"], "composed.wasm");
    assert_eq!(trapped.status.code(), Some(134), "{trapped:?}");
    assert_eq!(list(), with_result);
    for volume in ["prepared", "result"] {
        let check = kvfs(path, &["fsck", "--store", "file:s", "--volume", volume]);
        assert!(check.status.success(), "{check:?}");
    }
    // A volume `main`, which the guest names, is neither seen nor changed.
    assert!(run(&[], "composed.wasm").status.success());
    assert!(run(&["--fork-of", "prepared"], "composed.wasm").status.success());
    assert_eq!(read(path, "file:s", "main", "file"), None);
    for (args, guest, expected) in [
        (&["--fork-of", "prepard"][..], "composed.wasm", "did you mean `prepared`?"),
        (&["--fork-of", "prepared", "--keep", "result"], "composed.wasm", "a volume `result` already"),
        (&["--fork-of", "x", "--mount", "/=kv:a", "--mount", "/b=kv:b"], "maker.wasm", "none is `x`"),
    ] {
        let output = run(args, guest);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains(expected) && stderr.lines().count() == 1, "{args:?}: {stderr}");
    }
}
