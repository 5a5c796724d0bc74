//! The command: its messages and exit codes, and what it leaves behind after an error.

mod audit;
mod check_store;
mod control;
mod diff;
mod distant;
mod files;
mod files_changed;
mod files_globbed;
mod files_kept;
mod files_listed;
mod files_looked;
mod files_packed;
mod files_piped;
mod files_refused;
mod fsck;
mod fsck_store;
mod full_server;
mod layer_cache;
mod manual;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod mounted;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod mounted_users;
mod patch;
mod sealed;
mod serve;
mod settings;
mod store;
mod store_server;
mod terminal;
mod trust;
mod urls;
mod volume;
mod volume_beside;
mod volume_merge;
mod volume_stores;

use std::path::Path;
use std::process::{Command, Output};

fn kvfs(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kvfs"))
        .args(args)
        .current_dir(directory)
        .env("XDG_CACHE_HOME", directory.join("cache"))
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap()
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "cache")
        .collect();
    names.sort();
    names
}

/// Makes a directory with one guest of each kind.
fn workshop() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
    write("guest.wasm", &guest);
    write("cut.wasm", &guest[..guest.len() / 2]);
    write("script.wasm", b"#!/bin/sh\nexit 0\n");
    let stdout = "package test:guest; world guest { import wasi:cli/stdout@WASI; export wasi:cli/run@WASI; }";
    write("nothing.wasm", &kvfs_wit_guests::guest(stdout, "0.2.9"));
    dir
}

#[test]
fn bad_input_is_one_line_that_says_what_to_do_and_changes_nothing() {
    let dir = workshop();
    let path = dir.path();
    assert!(kvfs(path, &["compose", "guest.wasm", "-o", "done.wasm"]).status.success());
    let kept = ["compose", "guest.wasm", "-o", "kept.wasm", "--provider", "file"];
    assert!(kvfs(path, &kept).status.success());
    std::fs::create_dir(path.join("taken")).unwrap();
    let before = files(path);
    let cases: [(&[&str], &str); 45] = [
        (&["compose", "missing.wasm", "-o", "x.wasm"], "cannot read missing.wasm"),
        (&["compose", "guest.wasm", "-o", "x.wasm", "--audit", "all,volume=main"], "is mounted too"),
        (&["run", "--audit", "all", "done.wasm"], "already composed"),
        (&["run", "--audit-file", "x.jsonl", "guest.wasm"], "compose it with --audit changes"),
        (&["compose", "script.wasm", "-o", "x.wasm"], "not a WebAssembly file"),
        (&["compose", "cut.wasm", "-o", "x.wasm"], "truncated or damaged WebAssembly at byte "),
        (&["compose", "nothing.wasm", "-o", "x.wasm"], "nothing to virtualize"),
        (&["compose", "done.wasm", "-o", "x.wasm"], "already composed"),
        (&["compose", "guest.wasm", "-o", "guest.wasm"], "would replace the guest"),
        (&["compose", "guest.wasm", "-o", "taken"], "nothing was changed"),
        (&["compose", "guest.wasm", "-o", "no/x.wasm"], "nothing was changed"),
        (
            &["compose", "guest.wasm", "-o", "x.wasm", "--provider", "nothing.wasm"],
            "nothing.wasm: not a provider",
        ),
        (&["compose", "guest.wasm", "-o", "x.wasm", "--provider", "file:"], "nothing follows the colon"),
        (&["run", "kept.wasm"], "--dir STATE::/kvfs"),
        (&["compose", "guest.wasm", "-o", "x.wasm", "--volume", ""], "a volume's name"),
        (&["run", "nothing.wasm"], "nothing to virtualize"),
        (&["run", "--store", "dir:x", "guest.wasm"], "names no store"),
        (&["run", "--store", "memory:1.5M", "guest.wasm"], "is not a size"),
        (&["run", "--store", "memory:1K", "guest.wasm"], "at least 65536 bytes"),
        (&["run", "--store", "redb:x", "--store-access", "together", "guest.wasm"], "one program at a time"),
        (&["run", "--store-access", "together", "guest.wasm"], "one program at a time"),
        (&["run", "--accept-loss", "guest.wasm"], "leave --accept-loss out"),
        (
            &["run", "--store", "postgres://me:secret@h/d", "--accept-loss", "guest.wasm"],
            "postgres://h/d: it notices",
        ),
        (&["fsck", "--store", "delayed:0ms+memory:", "--accept-loss"], "leave --accept-loss out"),
        (&["settings", "--store", "etcd://h/p", "--accept-loss"], "leave --accept-loss out"),
        (
            &["settings", "set", "--store", "redis://h", "--max-bytes", "64M", "--accept-loss"],
            "leave --accept-loss out",
        ),
        (&["audit", "--store", "slatedb:s3://b/p", "--accept-loss"], "leave --accept-loss out"),
        (&["store", "copy", "http://h", "redb:x", "--accept-loss"], "leave --accept-loss out"),
        (&["check-store", "--store", "redis://h", "--accept-loss"], "leave --accept-loss out"),
        (&["fsck", "--store", "delayed:0ms+file:none", "--accept-loss"], "none"),
        // What is lost is filled in, so it has a meaning.
        (&["fsck", "--store", "delayed:0ms+file:none", "--repair", "--accept-loss"], "none"),
        (
            &["compose", "guest.wasm", "-o", "x.wasm", "--accept-loss"],
            "--provider host: it notices no loss that could be accepted",
        ),
        (
            &["compose", "guest.wasm", "-o", "x.wasm", "--provider", "memory", "--accept-loss"],
            "leave --accept-loss out",
        ),
        (&["run", "--mode", "lazy", "done.wasm"], "already composed"),
        (
            &["run", "--volume", "v", "done.wasm"],
            "run it without --link, --mode, --volume, --mount, --audit, --allow-volume-control, --share, ",
        ),
        (&["run", "--mount", "/=kv", "done.wasm"], "already composed"),
        (&["run", "--cache-size", "8M", "done.wasm"], "already composed"),
        (&["compose", "guest.wasm", "-o", "x.wasm", "--max-descriptors", "3"], "16 to 65536"),
        (&["compose", "guest.wasm", "-o", "x.wasm", "--cache-size", "2G"], "not 2147483648"),
        (&["compose", "guest.wasm", "-o", "x.wasm", "--dirty-size", "512"], "not 512"),
        (&["run", "--dirty-size", "3M", "--cache-size", "2M", "guest.wasm"], "no more than the 2097152"),
        (
            &["run", "--cache-size", "2M", "--mount", "/=kv,cache=3M", "guest.wasm"],
            "mount at /: cache=3145728 is more than the 2097152 bytes",
        ),
        (&["run", "--link", "core", "done.wasm"], "already composed"),
        (&["run", "--share", "my:log", "done.wasm"], "already composed"),
        (&["run", "--share", "my:log", "--allow-raw-store", "done.wasm"], "already composed"),
    ];
    for (args, expected) in cases {
        let output = kvfs(path, args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{args:?} succeeded");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(stderr.starts_with("kvfs: ") && stderr.contains(expected), "{args:?}: {stderr}");
        assert!(stderr.contains("; "), "{args:?} does not say what to do: {stderr}");
        assert_eq!(files(path), before, "{args:?}");
    }
    assert_eq!(
        std::fs::read(path.join("guest.wasm")).unwrap(),
        kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9")
    );
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let dir = workshop();
    std::fs::write(dir.path().join("out.wasm"), b"old").unwrap();
    // A limit on the size of files acts as a full disk.
    let script = "ulimit -f 40; trap '' XFSZ; exec \"$0\" compose guest.wasm -o out.wasm";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_kvfs")])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && stderr.contains("nothing was changed"), "{stderr}");
    assert_eq!(std::fs::read(dir.path().join("out.wasm")).unwrap(), b"old");
    assert!(!files(dir.path()).iter().any(|name| name.starts_with(".kvfs")), "{:?}", files(dir.path()));
}

#[test]
fn composing_tells_what_it_did_and_inspect_finds_it() {
    let dir = workshop();
    let options = ["--mode", "strict", "--volume", "v", "--max-descriptors", "99", "--cache-size", "8M"];
    let composed = kvfs(dir.path(), &[&["compose", "guest.wasm", "-o", "out.wasm"][..], &options].concat());
    let stdout = String::from_utf8(composed.stdout).unwrap();
    for expected in ["virtualized:", "bridged:", "passed through:", "  kvfs:store/kv-store@0.1.0"] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
    let inspected = kvfs(dir.path(), &["inspect", "out.wasm"]);
    let stdout = String::from_utf8(inspected.stdout).unwrap();
    for expected in [
        "composed by kvfs",
        "mode=strict, volume=v, max-descriptors=99, max-cached-bytes=8388608, max-dirty-bytes=4194304\n",
        "needs:",
        "wasi:cli/run@0.2.9",
    ] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
}

#[test]
fn a_trap_is_reported_and_has_an_exit_code_of_its_own() {
    let dir = workshop();
    // The guest has no code: its `run` is unreachable.
    for store in [
        &[][..],
        &["--store", "file:alone", "--store-access", "alone"],
        &["--store", "file:together", "--store-access", "together"],
        &["--store", "redb:one", "--store-access", "alone"],
    ] {
        let output = kvfs(dir.path(), &[&["run"], store, &["guest.wasm"]].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(134), "{stderr}");
        assert!(
            stderr.contains("guest.wasm: the guest trapped") && stderr.contains("unreachable"),
            "{store:?}: {stderr}"
        );
    }
}

#[test]
fn a_damaged_cache_is_not_in_the_way() {
    fn damage(directory: &Path) -> usize {
        let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(|path| {
                if path.is_dir() {
                    return damage(&path);
                }
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
                1
            })
            .sum()
    }
    let dir = workshop();
    assert_eq!(kvfs(dir.path(), &["run", "guest.wasm"]).status.code(), Some(134));
    assert!(damage(&dir.path().join("cache")) > 0, "nothing was cached");
    assert_eq!(kvfs(dir.path(), &["run", "guest.wasm"]).status.code(), Some(134));
}

#[test]
fn run_asks_for_the_directories_that_are_mounted() {
    let dir = workshop();
    std::fs::create_dir(dir.path().join("shared")).unwrap();
    let mounts = ["--mount", "/=kv", "--mount", "/work=host:given,ro"];
    let composed = kvfs(dir.path(), &[&["compose", "guest.wasm", "-o", "host.wasm"][..], &mounts].concat());
    assert!(composed.status.success(), "{composed:?}");
    for guest in [&["host.wasm"][..], &[&mounts[..], &["guest.wasm"]].concat()] {
        let run = |dirs: &[&str]| kvfs(dir.path(), &[&["run"], dirs, guest].concat());
        for dirs in [&[][..], &["--dir", "shared::other"]] {
            let output = run(dirs);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            assert!(stderr.contains("at /work") && stderr.contains("--dir HOST-DIR::given"), "{stderr}");
        }
        // The guest does nothing but trap.
        assert_eq!(run(&["--dir", "shared::given"]).status.code(), Some(134));
    }
}

/// The clock of volumes that tests make.
struct Noon;

impl kvfs::Clock for Noon {
    fn now(&mut self) -> kvfs::Timestamp {
        kvfs::Timestamp::default()
    }
}

/// Makes a store with an empty volume `main`. `change` may change the value of the superblock.
fn store_with_volume(path: &Path, change: impl FnOnce(&mut [u8])) {
    let memory = kvfs::MemoryStore::default();
    drop(kvfs::Volume::open(Box::new(memory.clone()), Box::new(Noon), kvfs::Options::default()).unwrap());
    store_of(path, &memory, change);
}

/// Copies a store in memory to a new one. `change` may change the value of the superblock.
fn store_of(path: &Path, memory: &kvfs::MemoryStore, change: impl FnOnce(&mut [u8])) {
    use kvfs_host::{Durability, Mutation, RedbStore, SyncStore};
    use xxhash_rust::xxh64::xxh64;

    let mut entries = memory.dump();
    let (key, value) = &mut entries[0];
    assert_eq!(key, b"\x04main\x00", "the superblock comes first");
    change(value);
    // FORMAT: a value starts with the checksum of its other bytes, seeded with that of its key.
    let sum = xxh64(&value[8..], xxh64(key, 0));
    value[..8].copy_from_slice(&sum.to_be_bytes());
    let store = RedbStore::open(path).unwrap();
    let puts: Vec<_> = entries.iter().map(|(key, value)| Mutation::Put { key, value }).collect();
    SyncStore::apply(&store, &[], &puts, Durability::Durable).unwrap();
}

#[test]
fn a_volume_of_a_newer_format_is_reported_and_left_alone() {
    let dir = workshop();
    // Frame (16 bytes), magic (8), then the major version.
    store_with_volume(&dir.path().join("new.redb"), |superblock| superblock[25] += 1);
    let entries = || {
        let store = kvfs_host::RedbStore::open(dir.path().join("new.redb")).unwrap();
        kvfs_host::SyncStore::scan(&store, &[], &[], 100, 1 << 20).unwrap()
    };
    let before = entries();
    for (args, code) in [
        (&["run", "--store", "redb:new.redb", "guest.wasm"][..], 1),
        (&["fsck", "--store", "redb:new.redb"], 8),
        (&["fsck", "--store", "redb:new.redb", "--repair", "--accept-loss"], 8),
    ] {
        let output = kvfs(dir.path(), args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("newer version") && stderr.contains("main"), "{stderr}");
    }
    assert!(!before.is_empty() && entries() == before, "the store was changed");
}
