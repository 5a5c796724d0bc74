//! Encrypted stores: what runs on them, what is in their files, and what is said without the key.

use super::{files, kvfs, store_with_volume, workshop};
use std::path::Path;
use std::process::{Command, Output};

const CONTENT: &str = "distinctive-content";
const NAME: &str = "distinctive-name";

/// A core module that writes a file, or reads it to standard output.
fn program(writes: bool) -> Vec<u8> {
    let (create, rights, steps) = if writes {
        (1, 0x40, "(call $fd_write (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 16))")
    } else {
        let read = "(call $fd_read (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 16))";
        (0, 2, read)
    };
    let then = if writes {
        String::new()
    } else {
        // As many bytes as were read.
        "(i32.store (i32.const 12) (i32.load (i32.const 16)))
         (call $check (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))"
            .to_owned()
    };
    let content = if writes { CONTENT } else { "" };
    let (name_bytes, room) = (NAME.len(), CONTENT.len());
    let text = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open" (func $path_open
            (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "{NAME}")
        (data (i32.const 256) "{content}")
        (func $check (param i32) (if (local.get 0) (then (unreachable))))
        (func (export "_start")
            (call $check (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const {name_bytes})
                (i32.const {create}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 0)))
            (i32.store (i32.const 8) (i32.const 256))
            (i32.store (i32.const 12) (i32.const {room}))
            (call $check {steps})
            {then}))"#
    );
    wat::parse_str(text).unwrap()
}

fn workshop_with_programs() -> tempfile::TempDir {
    let dir = workshop();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("writes.wasm", &program(true));
    write("reads.wasm", &program(false));
    write("key", &[7; 32]);
    write("other", &[8; 32]);
    write("phrase", b"correct horse\n");
    write("short", b"short");
    for secret in ["key", "other", "phrase", "short"] {
        only_for_owner(&dir.path().join(secret));
    }
    dir
}

fn only_for_owner(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn text(output: &Output) -> String {
    String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap()
}

fn holds(path: &Path, part: &str) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

#[test]
fn a_guest_keeps_its_files_in_an_encrypted_store_and_nothing_of_them_is_in_its_file() {
    let dir = workshop_with_programs();
    for (store, key) in [
        ("plain.redb", &[][..]),
        ("key.redb", &["--key-file", "key"]),
        ("phrase.redb", &["--passphrase-file", "phrase"]),
    ] {
        let url = format!("redb:{store}");
        let run = |program: &str| kvfs(dir.path(), &[&["run", "--store", &url], key, &[program]].concat());
        let written = run("writes.wasm");
        assert!(written.status.success(), "{written:?}");
        let read = run("reads.wasm");
        assert_eq!(text(&read), CONTENT, "{store}");
        for part in [CONTENT, NAME] {
            assert_eq!(holds(&dir.path().join(store), part), key.is_empty(), "{part} in {store}");
        }
        for repair in [&[][..], &["--repair"]] {
            let checked = kvfs(dir.path(), &[&["fsck", "--store", &url], key, repair].concat());
            assert!(checked.status.success() && text(&checked).ends_with("sound\n"), "{checked:?}");
        }
    }
}

#[test]
fn without_the_right_key_an_encrypted_store_is_left_as_it_is() {
    let dir = workshop_with_programs();
    let url = "redb:sealed.redb";
    assert!(kvfs(dir.path(), &["run", "--store", url, "--key-file", "key", "writes.wasm"]).status.success());
    store_with_volume(&dir.path().join("open.redb"), |_| {});
    let entries = || {
        let store = kvfs_host::RedbStore::open(dir.path().join("sealed.redb")).unwrap();
        kvfs_host::SyncStore::scan(&store, b"", b"", 1000, 1 << 20).unwrap()
    };
    let (before, names) = (entries(), files(dir.path()));
    assert!(before.len() > 4);
    for (store, key, expected) in [
        (url, &[][..], "is sealed; give the key file or the passphrase"),
        (url, &["--key-file", "other"], "not the store's key"),
        (url, &["--passphrase-file", "phrase"], "sealed with a key file, not with a passphrase"),
        (url, &["--key-file", "short"], "at least 32 random bytes"),
        (url, &["--key-file", "missing"], "cannot read missing"),
        (url, &["--key-file", "/dev/zero"], "at most 4096 bytes"),
        ("redb:open.redb", &["--key-file", "key"], "data that is not sealed"),
    ] {
        for (command, code) in [("run", 1), ("fsck", 8), ("check-store", 1)] {
            let mut args = [&[command, "--store", store], key].concat();
            if command == "run" {
                args.push("writes.wasm");
            }
            let output = kvfs(dir.path(), &args);
            let said = text(&output);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
            assert!(said.lines().count() == 1 && said.contains(expected), "{args:?}: {said}");
        }
    }
    let both =
        kvfs(dir.path(), &["fsck", "--store", url, "--key-file", "key", "--passphrase-file", "phrase"]);
    assert_eq!(both.status.code(), Some(2), "{both:?}");
    let missing = kvfs(dir.path(), &["fsck", "--store", "redb:none.redb", "--key-file", "key"]);
    assert!(text(&missing).contains("no such store"), "{missing:?}");
    assert_eq!(files(dir.path()), names);
    assert!(entries() == before, "the store was changed");
}

#[test]
fn the_passphrase_may_be_in_the_environment() {
    let dir = workshop_with_programs();
    let run = |passphrase: &str| {
        Command::new(env!("CARGO_BIN_EXE_kvfs"))
            .args(["run", "--store", "redb:env.redb", "writes.wasm"])
            .current_dir(dir.path())
            .env("XDG_CACHE_HOME", dir.path().join("cache"))
            .env("KVFS_PASSPHRASE", passphrase)
            .output()
            .unwrap()
    };
    assert!(run("correct horse").status.success());
    let wrong = run("wrong horse");
    assert!(text(&wrong).contains("not the store's key"), "{wrong:?}");
    let empty = run("");
    assert!(text(&empty).contains("passphrase is empty"), "{empty:?}");
    // The file's line end is not part of it.
    let read = ["run", "--store", "redb:env.redb", "--passphrase-file", "phrase", "reads.wasm"];
    assert_eq!(text(&kvfs(dir.path(), &read)), CONTENT);
}

#[test]
fn rekey_changes_the_key_and_keeps_the_files() {
    let dir = workshop_with_programs();
    let url = "redb:sealed.redb";
    let read = |key: &[&str]| kvfs(dir.path(), &[&["run", "--store", url], key, &["reads.wasm"]].concat());
    let (file, phrase) = (["--key-file", "key"], ["--passphrase-file", "phrase"]);
    assert!(
        kvfs(dir.path(), &[&["run", "--store", url], &file[..], &["writes.wasm"]].concat()).status.success()
    );
    let rekey =
        |from: &[&str], to: &[&str]| kvfs(dir.path(), &[&["rekey", "--store", url], from, to].concat());
    let wrong = rekey(&["--key-file", "other"], &["--new-key-file", "key"]);
    assert!(!wrong.status.success() && text(&wrong).contains("not the store's key"), "{wrong:?}");
    let none = rekey(&[], &["--new-key-file", "key"]);
    assert!(!none.status.success() && text(&none).contains("--key-file or --passphrase-file"), "{none:?}");
    let done = rekey(&file, &["--new-passphrase-file", "phrase"]);
    assert!(done.status.success() && text(&done).contains("the old one does not"), "{done:?}");
    assert_eq!(text(&read(&phrase)), CONTENT);
    assert!(!read(&file).status.success());
    assert!(rekey(&phrase, &["--new-key-file", "other"]).status.success());
    assert_eq!(text(&read(&["--key-file", "other"])), CONTENT);
    let nothing = kvfs(
        dir.path(),
        &["rekey", "--store", "redb:none.redb", "--key-file", "key", "--new-key-file", "other"],
    );
    assert!(text(&nothing).contains("no such store"), "{nothing:?}");
    assert!(!dir.path().join("none.redb").exists());
}

#[test]
fn encrypted_stores_keep_the_contract_and_providers_take_no_key() {
    let dir = workshop_with_programs();
    for store in ["memory:", "redb:checked.redb", "file:checked"] {
        let output = kvfs(dir.path(), &["check-store", "--store", store, "--key-file", "key"]);
        assert!(
            output.status.success() && text(&output).ends_with(" claims checked, 0 do not hold\n"),
            "{output:?}"
        );
    }
    // A passphrase in the environment is not refused, as it may be there for other commands.
    let with_passphrase = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_kvfs"))
            .args(args)
            .current_dir(dir.path())
            .env("XDG_CACHE_HOME", dir.path().join("cache"))
            .env("KVFS_PASSPHRASE", "correct horse")
            .output()
            .unwrap();
        assert!(text(&output).contains("nothing is encrypted with it"), "{output:?}");
        assert!(output.status.success(), "{output:?}");
    };
    with_passphrase(&["check-store", "--provider", "memory"]);
    let provider = kvfs(dir.path(), &["check-store", "--provider", "memory", "--key-file", "key"]);
    assert!(text(&provider).contains("leave the key out"), "{provider:?}");
    let compose = ["compose", "writes.wasm", "-o", "kept.wasm", "--provider", "memory"];
    assert!(kvfs(dir.path(), &compose).status.success());
    with_passphrase(&["run", "kept.wasm"]);
    let run = kvfs(dir.path(), &["run", "--key-file", "key", "kept.wasm"]);
    assert!(!run.status.success() && text(&run).contains("its store within"), "{run:?}");
}

#[test]
fn a_key_that_others_may_read_is_warned_of_and_used() {
    use std::os::unix::fs::PermissionsExt;
    let dir = workshop_with_programs();
    let run = || kvfs(dir.path(), &["run", "--store", "memory:", "--key-file", "key", "writes.wasm"]);
    assert_eq!(text(&run()), "");
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(dir.path().join("key"), std::fs::Permissions::from_mode(mode)).unwrap();
        let output = run();
        assert!(output.status.success() && text(&output).contains("chmod 600 key"), "{mode:o}: {output:?}");
    }
}

#[test]
fn fsck_goes_on_behind_a_value_that_does_not_open_and_repairs_the_rest() {
    use kvfs_host::{Durability, Mutation, RedbStore, SyncStore};
    let dir = workshop_with_programs();
    let (url, key) = ("redb:sealed.redb", ["--key-file", "key"]);
    let run = |program: &str| kvfs(dir.path(), &[&["run", "--store", url], &key[..], &[program]].concat());
    let fsck = |more: &[&str]| kvfs(dir.path(), &[&["fsck", "--store", url], &key[..], more].concat());
    assert!(run("writes.wasm").status.success());
    // The entry of the file: its name is lost with it.
    let store = RedbStore::open(dir.path().join("sealed.redb")).unwrap();
    let entries = SyncStore::scan(&store, b"", b"", 1000, 1 << 20).unwrap();
    let dentry = entries.iter().find(|entry| entry.key.starts_with(b"\x02\x04main\x11")).unwrap();
    let mut value = dentry.value.to_vec();
    value[30] ^= 1;
    let change = [Mutation::Put { key: &dentry.key, value: &value }];
    SyncStore::apply(&store, &[], &change, Durability::Durable).unwrap();
    store.close().unwrap();
    drop(store);
    // A guest gets an error, and no other file.
    assert!(!run("reads.wasm").status.success());
    let found = fsck(&[]);
    assert_eq!(found.status.code(), Some(4), "{found:?}");
    let said = text(&found);
    assert!(said.contains("values that do not open: 1;") && said.contains("findings"), "{said}");
    let repaired = fsck(&["--repair"]);
    assert_eq!(repaired.status.code(), Some(1), "{repaired:?}");
    let sound = fsck(&[]);
    assert!(sound.status.success() && text(&sound).ends_with("sound\n"), "{sound:?}");
    // The content is under lost+found, as only the name was lost.
    let below = kvfs_host::open_sealed_store(
        &format!("redb:{}", dir.path().join("sealed.redb").display()),
        &kvfs_host::UserKey::from_key_file(vec![7; 32]).unwrap(),
    )
    .unwrap();
    let values = SyncStore::scan(&below, b"", b"", 1000, 1 << 20).unwrap();
    assert!(
        values.iter().any(|entry| entry.value.windows(CONTENT.len()).any(|part| part == CONTENT.as_bytes()))
    );
}

#[test]
fn the_audit_log_of_an_encrypted_store_is_sealed_in_it_and_read_with_its_key() {
    use kvfs_host::{Durability, Mutation, RedbStore, SyncStore};
    let dir = workshop_with_programs();
    let (url, path, key) = ("redb:sealed.redb", dir.path().join("sealed.redb"), ["--key-file", "key"]);
    let with_key = |args: &[&str]| kvfs(dir.path(), &[args, &key[..]].concat());
    let run = |program: &str| {
        kvfs(dir.path(), &["run", "--store", url, "--key-file", "key", "--audit", "all", program])
    };
    assert!(run("writes.wasm").status.success() && run("reads.wasm").status.success());
    // The log has the name; the file has not.
    let shown = with_key(&["audit", "--store", url]);
    assert!(shown.status.success() && text(&shown).contains(&format!("\"path\":\"/{NAME}\"")), "{shown:?}");
    assert!(!holds(&path, NAME), "a name of the log in clear");
    let listed = text(&with_key(&["audit", "--store", url, "--list"]));
    let runs: Vec<&str> = listed.lines().map(|line| &line[..32]).collect();
    assert_eq!(runs.len(), 2, "{listed}");
    for more in [&[][..], &["--list"], &["--remove-before", runs[1]]] {
        for (key, expected) in
            [(&[][..], "is sealed; give the key"), (&["--key-file", "other"], "not the store's key")]
        {
            let refused = kvfs(dir.path(), &[&["audit", "--store", url], more, key].concat());
            assert!(refused.status.code() == Some(1) && text(&refused).contains(expected), "{refused:?}");
        }
    }
    // Nothing of it is the volume's.
    let checked = with_key(&["fsck", "--store", url]);
    assert!(checked.status.success() && text(&checked).ends_with("sound\n"), "{checked:?}");

    // A record that does not open is told, and can be removed; the other run is shown.
    let store = RedbStore::open(&path).unwrap();
    let entries = SyncStore::scan(&store, b"\x02\0audit", b"\x02\0audiu", 1000, 1 << 20).unwrap();
    let mut value = entries[0].value.to_vec();
    value[30] ^= 1;
    let change = [Mutation::Put { key: &entries[0].key, value: &value }];
    SyncStore::apply(&store, &[], &change, Durability::Durable).unwrap();
    store.close().unwrap();
    drop(store);
    let shown = with_key(&["audit", "--store", url]);
    assert_eq!(shown.status.code(), Some(4), "{shown:?}");
    assert!(text(&shown).contains(&format!("run {}: record 0 is damaged", runs[0])), "{shown:?}");
    assert_eq!(with_key(&["audit", "--store", url, "--run", runs[1]]).status.code(), Some(0));
    let removed = with_key(&["audit", "--store", url, "--remove-before", runs[1]]);
    assert!(removed.status.success(), "{removed:?}");
    assert!(with_key(&["audit", "--store", url]).status.success());
    assert_eq!(text(&with_key(&["audit", "--store", url, "--list"])).lines().count(), 1);
    let nothing = with_key(&["audit", "--store", "redb:none.redb", "--remove-before", runs[1]]);
    assert!(
        text(&nothing).contains("no such store") && !dir.path().join("none.redb").exists(),
        "{nothing:?}"
    );
}

#[test]
fn a_file_takes_the_log_of_an_encrypted_store_in_clear() {
    let dir = workshop_with_programs();
    let url = "redb:sealed.redb";
    // A killed run has left a piece of a line.
    std::fs::write(dir.path().join("log.jsonl"), "{\"n\":1,\"t\":\"20").unwrap();
    let options =
        ["run", "--store", url, "--key-file", "key", "--audit", "changes", "--audit-file", "log.jsonl"];
    for _ in 0..2 {
        let written = kvfs(dir.path(), &[&options[..], &["writes.wasm"]].concat());
        assert!(written.status.success(), "{written:?}");
    }
    let log = std::fs::read_to_string(dir.path().join("log.jsonl")).unwrap();
    let lines: Vec<&str> = log.lines().skip(1).collect();
    assert!(lines.first().is_some_and(|line| line.contains(",\"n\":1,") && line.contains(NAME)), "{log}");
    assert!(lines.iter().all(|line| line.ends_with('}')), "{log}");
    // Each line says of which run it is: the two runs have the same numbers.
    let run = |line: &&str| line.strip_prefix("{\"run\":\"")?.split_once('"').map(|(run, _)| run.to_owned());
    let mut runs: Vec<String> = lines.iter().map(|line| run(line).expect("a run")).collect();
    assert!(runs.is_sorted() && runs.iter().all(|run| run.len() == 32), "{log}");
    runs.dedup();
    assert_eq!(runs.len(), 2, "{log}");
    assert_eq!(lines.iter().filter(|line| line.contains(",\"n\":1,")).count(), 2, "{log}");
    assert!(!holds(&dir.path().join("sealed.redb"), NAME));
    let audit = kvfs(dir.path(), &["audit", "--store", url, "--key-file", "key"]);
    assert!(audit.status.success() && text(&audit).is_empty(), "the store has none of it: {audit:?}");
}
