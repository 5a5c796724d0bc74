//! `kvfs store` and `--accept-loss`: copies between kinds of store, and what is said of a store.

use super::{Noon, files, kvfs, store_of, store_with_volume, workshop};
use kvfs_host::{Durability, Mutation, OpenOptions, RedbStore, SyncStore, open_store};
use std::path::Path;
use std::process::Output;

/// Makes a store with volumes `main` and `second`: files of several sizes, a directory and a link.
pub(crate) fn store_with_files(path: &Path) {
    let memory = kvfs::MemoryStore::default();
    for volume in ["main", "second"] {
        let options = kvfs::Options { volume: volume.into(), ..kvfs::Options::default() };
        let mut volume = kvfs::Volume::open(Box::new(memory.clone()), Box::new(Noon), options).unwrap();
        let root = volume.root().unwrap();
        volume.create_directory_at(&root, "dir").unwrap();
        let create = kvfs::OpenFlags { create: true, ..kvfs::OpenFlags::default() };
        let write = kvfs::Access { write: true, ..kvfs::Access::default() };
        for number in 0..40_usize {
            let name = format!("dir/file-{number}");
            let file = volume.open_at(&root, &name, kvfs::Follow::No, create, write).unwrap();
            volume.write(&file, kvfs::At::Offset(0), &vec![number as u8 + 1; number * 2000]).unwrap();
        }
        volume.symlink_at("dir", &root, "link").unwrap();
        volume.sync_all().unwrap();
    }
    store_of(path, &memory, |_| {});
}

/// Writes a key that only its owner may read.
pub(super) fn write_key(path: &Path, byte: u8) {
    std::fs::write(path, [byte; 32]).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    format!("{out}{err}")
}

fn entries(url: &str, dir: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let url = url.replacen(':', &format!(":{}/", dir.display()), 1);
    let store = OpenOptions::new().read_only(true).open(&url).unwrap();
    let mut all = Vec::new();
    let mut start = Vec::new();
    loop {
        let page = SyncStore::scan(&store, &start, b"", 1000, 1 << 20).unwrap();
        let Some(last) = page.last() else { return all };
        start = [&last.key[..], b"\0"].concat();
        all.extend(page.iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec())));
    }
}

#[test]
fn a_store_is_copied_between_kinds_encrypted_or_not_and_back() {
    let dir = workshop();
    store_with_files(&dir.path().join("a.redb"));
    write_key(&dir.path().join("key"), 7);
    write_key(&dir.path().join("other"), 9);
    let before = std::fs::read(dir.path().join("a.redb")).unwrap();
    let steps: [&[&str]; 5] = [
        &["redb:a.redb", "file:b"],
        &["file:b", "redb:c.redb", "--to-key-file", "key"],
        &["redb:c.redb", "file:d", "--key-file", "key", "--to-key-file", "other"],
        &["file:d", "redb:e.redb", "--key-file", "other", "--decrypt"],
        &["redb:e.redb", "redb:f.redb"],
    ];
    let mut digests = Vec::new();
    for args in steps {
        let done = kvfs(dir.path(), &[&["store", "copy"], args].concat());
        let said = text(&done);
        assert!(done.status.success(), "{args:?}: {said}");
        digests.push(said.split("SHA-256 ").nth(1).expect("a digest").to_owned());
    }
    assert!(digests.iter().all(|digest| *digest == digests[0] && digest.trim().len() == 64), "{digests:?}");
    assert!(std::fs::read(dir.path().join("a.redb")).unwrap() == before, "the source has changed");
    let all = entries("redb:a.redb", dir.path());
    assert!(all.len() > 200);
    for copy in ["file:b", "redb:e.redb", "redb:f.redb"] {
        assert!(entries(copy, dir.path()) == all, "{copy}");
    }
    for (store, key) in [("redb:f.redb", &[][..]), ("file:d", &["--key-file", "other"])] {
        for volume in ["main", "second"] {
            let check = kvfs(dir.path(), &[&["fsck", "--store", store, "--volume", volume], key].concat());
            assert!(check.status.success(), "{}", text(&check));
        }
    }
}

#[test]
fn a_copy_is_refused_where_it_would_do_harm() {
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    store_with_volume(&path("a.redb"), |_| {});
    store_with_volume(&path("b.redb"), |_| {});
    write_key(&path("key"), 7);
    std::fs::create_dir(path("foreign")).unwrap();
    std::fs::write(path("foreign/notes"), "mine").unwrap();
    assert!(
        kvfs(dir.path(), &["store", "copy", "redb:a.redb", "redb:s.redb", "--to-key-file", "key"])
            .status
            .success()
    );
    let before = files(dir.path());
    let cases: [(&[&str], &str); 9] = [
        (&["redb:a.redb", "redb:b.redb"], "not empty"),
        (&["redb:a.redb", "redb:b.redb", "--continue"], "not empty"),
        (&["redb:a.redb", "redb:a.redb"], "itself"),
        (&["redb:a.redb", "memory:"], "gone with this process"),
        (&["memory:", "redb:new.redb"], "no such store"),
        (&["redb:none.redb", "redb:new.redb"], "no such store"),
        (&["redb:a.redb", "file:foreign"], "other files"),
        (&["redb:s.redb", "redb:new.redb", "--key-file", "key"], "--decrypt"),
        (&["redb:s.redb", "redb:new.redb"], "is sealed"),
    ];
    for (args, expected) in cases {
        let refused = kvfs(dir.path(), &[&["store", "copy"], args].concat());
        let said = text(&refused);
        assert!(!refused.status.success() && said.contains(expected), "{args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(files(dir.path()), before, "{args:?}");
    }
}

#[test]
fn a_copy_that_was_cut_off_is_opened_by_nobody_and_goes_on() {
    let dir = workshop();
    store_with_files(&dir.path().join("a.redb"));
    write_key(&dir.path().join("key"), 7);
    let all = entries("redb:a.redb", dir.path());
    for (url, sealed) in [("redb:cut.redb", false), ("file:cut", false), ("redb:sealed.redb", true)] {
        let to = if sealed { &["--to-key-file", "key"][..] } else { &[] };
        let copy =
            |more: &[&str]| kvfs(dir.path(), &[&["store", "copy", "redb:a.redb", url], to, more].concat());
        assert!(copy(&[]).status.success());
        // As a cut leaves it: the marker, a part of the entries, one that is wrong, and one too many.
        {
            let key = kvfs_host::UserKey::from_key_file(vec![7; 32]).unwrap();
            let options = if sealed { OpenOptions::new().key(&key) } else { OpenOptions::new() };
            let there = url.replacen(':', &format!(":{}/", dir.path().display()), 1);
            let store = options.open(&there).unwrap();
            let mut changes: Vec<Mutation<'_>> =
                all.iter().skip(all.len() / 2).map(|(key, _)| Mutation::Delete { key }).collect();
            changes.push(Mutation::Put { key: &all[3].0, value: b"wrong" });
            changes.push(Mutation::Put { key: b"\x04main\x20extra", value: b"x" });
            SyncStore::apply(&store, &[], &changes, Durability::Durable).unwrap();
            store.close().unwrap();
        }
        let marker = [Mutation::Put { key: b"\x00kvfs-copying", value: b"x" }];
        let path = dir.path().join(url.split_once(':').unwrap().1);
        match url.starts_with("redb") {
            true => {
                SyncStore::apply(&RedbStore::open(&path).unwrap(), &[], &marker, Durability::Durable).unwrap()
            }
            false => SyncStore::apply(
                &kvfs_host::FileStore::open(&path).unwrap(),
                &[],
                &marker,
                Durability::Durable,
            )
            .unwrap(),
        }
        let key = if sealed { &["--key-file", "key"][..] } else { &[] };
        for args in [
            &["run", "--store", url, "guest.wasm"][..],
            &["fsck", "--store", url],
            &["fsck", "--store", url, "--repair", "--accept-loss"],
            &["store", "info", url],
            &["settings", "--store", url],
        ] {
            let at = args.iter().position(|arg| *arg == "guest.wasm").unwrap_or(args.len());
            let refused = kvfs(dir.path(), &[&args[..at], key, &args[at..]].concat());
            assert!(
                !refused.status.success() && text(&refused).contains("was cut off"),
                "{args:?}: {}",
                text(&refused)
            );
        }
        assert!(text(&copy(&[])).contains("--continue"));
        let went_on = copy(&["--continue"]);
        assert!(went_on.status.success(), "{}", text(&went_on));
        if !sealed {
            assert!(entries(url, dir.path()) == all, "{url}");
        }
        let checked = kvfs(dir.path(), &[&["fsck", "--store", url], key].concat());
        assert!(checked.status.success(), "{}", text(&checked));
    }
}

#[test]
fn a_copy_that_is_killed_at_any_moment_never_looks_like_a_whole_one() {
    let dir = workshop();
    store_with_files(&dir.path().join("a.redb"));
    let all = entries("redb:a.redb", dir.path());
    let start = |more: &[&str]| {
        let args = [&["store", "copy", "redb:a.redb", "redb:cut.redb"], more].concat();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kvfs"));
        command
            .args(args)
            .current_dir(dir.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let begun = std::time::Instant::now();
    assert!(start(&[]).wait().unwrap().success());
    let whole = begun.elapsed();
    let cut = dir.path().join("cut.redb");
    let (mut refused, mut done) = (0, 0);
    for round in 0..20u32 {
        for name in ["cut.redb", "cut.redb.mark"] {
            let _ = std::fs::remove_file(dir.path().join(name));
        }
        let mut copying = start(&[]);
        std::thread::sleep(whole * (round + 1) / 20);
        copying.kill().unwrap();
        copying.wait().unwrap();
        if !cut.exists() {
            continue;
        }
        match open_store(&format!("redb:{}", cut.display())) {
            Ok(store) => {
                let found = SyncStore::scan(&store, b"", b"", 10_000, 16 << 20).unwrap();
                // Before its marker is there, it is an empty store.
                assert!(found.is_empty() || found.len() == all.len(), "{} entries", found.len());
                done += usize::from(!found.is_empty());
                if found.is_empty() {
                    continue;
                }
            }
            Err(error) => {
                assert!(error.to_string().contains("was cut off"), "{error}");
                refused += 1;
            }
        }
        if refused > 0 && done == 0 {
            assert!(start(&["--continue"]).wait().unwrap().success());
            assert!(entries("redb:cut.redb", dir.path()) == all);
        }
    }
    println!("refused {refused}, done {done}");
    assert!(refused > 0, "no kill came in the middle");
}

/// Interrupts as Ctrl-C does.
#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let sent = std::process::Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    assert!(sent.success() || sent.code() == Some(1), "{sent}");
}

#[cfg(unix)]
#[test]
fn a_copy_that_is_interrupted_is_marked_as_cut_and_goes_on() {
    let dir = workshop();
    store_with_files(&dir.path().join("a.redb"));
    let all = entries("redb:a.redb", dir.path());
    for url in ["redb:cut.redb", "file:cut"] {
        let start = |more: &[&str]| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kvfs"));
            command.args(["store", "copy", "redb:a.redb", url]).args(more).current_dir(dir.path());
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            command.spawn().unwrap()
        };
        let begun = std::time::Instant::now();
        assert!(start(&[]).wait().unwrap().success());
        let whole = begun.elapsed();
        let (mut interrupted, mut refused) = (0, 0);
        for round in 1..=30u32 {
            let _ = std::fs::remove_dir_all(dir.path().join("cut"));
            for name in ["cut.redb", "cut.redb.mark"] {
                let _ = std::fs::remove_file(dir.path().join(name));
            }
            let mut copying = start(&[]);
            std::thread::sleep(whole * round / 30);
            interrupt(&copying);
            let code = copying.wait().unwrap().code();
            if code != Some(130) {
                // Before the command watches for interrupts, or when it is done.
                continue;
            }
            interrupted += 1;
            let to = url.replacen(':', &format!(":{}/", dir.path().display()), 1);
            match OpenOptions::new().read_only(true).open(&to) {
                Err(kvfs_host::OpenError::NoStore { .. }) => continue,
                // Before its marker is there, it is an empty store; after it is gone, a whole one.
                Ok(store) => {
                    let found = SyncStore::scan(&store, b"", b"", 10_000, 16 << 20).unwrap().len();
                    assert!(found == 0 || found == all.len(), "{url}: {found} entries");
                    continue;
                }
                Err(error) => assert!(error.to_string().contains("was cut off"), "{url}: {error}"),
            }
            refused += 1;
            let check = kvfs(dir.path(), &["fsck", "--store", url]);
            assert!(!check.status.success() && text(&check).contains("was cut off"), "{}", text(&check));
            assert!(start(&["--continue"]).wait().unwrap().success(), "{url}");
            assert!(entries(url, dir.path()) == all, "{url}");
        }
        println!("{url}: {interrupted} interrupted, {refused} of them cut off");
        assert!(refused > 0, "{url}: no interrupt came in the middle of {interrupted}");
    }
}

#[test]
fn info_says_what_is_in_a_store() {
    let dir = workshop();
    store_with_files(&dir.path().join("a.redb"));
    write_key(&dir.path().join("key"), 7);
    let before = files(dir.path());
    let plain = kvfs(dir.path(), &["store", "info", "redb:a.redb"]);
    let said = text(&plain);
    assert!(plain.status.success(), "{said}");
    for expected in [
        "kind: redb\npath: a.redb\non disk: ",
        "encrypted: no\n",
        "mark: none yet",
        "volume main: format 1.3, 40 files of 1560000 bytes, 2 directories, 1 links, ",
        "volume second: format 1.3, ",
        "of no volume: 0 keys, 0 bytes\n",
        ", changed 1970-01-01T00:00:00Z\n",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(files(dir.path()), before);
    let json = |args: &[&str]| -> serde_json::Value {
        let output = kvfs(dir.path(), &[&["store", "info", "--json"], args].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)))
    };
    let found = json(&["redb:a.redb"]);
    assert_eq!(found["volumes"][0]["name"], "main");
    assert_eq!(found["volumes"][1]["files"], 40);
    assert_eq!(found["entries"]["keys"], entries("redb:a.redb", dir.path()).len());
    assert_eq!(found["mark"]["state"], "none");

    for (url, mark) in [("redb:s.redb", true), ("file:s", false)] {
        let copied = kvfs(dir.path(), &["store", "copy", "redb:a.redb", url, "--to-key-file", "key"]);
        assert!(copied.status.success(), "{}", text(&copied));
        let (closed, open) = (json(&[url]), json(&[url, "--key-file", "key"]));
        assert_eq!((&closed["encrypted"], &open["encrypted"]), (&true.into(), &true.into()));
        assert_eq!(closed["volumes"][0]["name"], "main");
        assert_eq!(closed["volumes"][0]["files"], serde_json::Value::Null);
        assert_eq!(open["volumes"], found["volumes"]);
        if mark {
            assert_eq!(closed["mark"]["state"], "sound");
            std::fs::remove_file(dir.path().join("s.redb.mark")).unwrap();
            assert_eq!(json(&[url])["mark"]["state"], "missing");
        } else {
            assert_eq!(closed["mark"], serde_json::Value::Null);
        }
    }
}

#[test]
fn a_store_that_lost_durable_applies_is_refused_by_every_command_until_it_is_accepted() {
    let dir = workshop();
    let path = dir.path().join("a.redb");
    let url = format!("redb:{}", path.display());
    store_with_volume(&path, |_| {});
    let durable = |value: &[u8]| {
        let store = open_store(&url).unwrap();
        SyncStore::apply(&store, &[], &[Mutation::Put { key: b"\x01x\x20", value }], Durability::Durable)
            .unwrap();
    };
    durable(b"1");
    let older = std::fs::read(&path).unwrap();
    durable(b"2");
    write_key(&dir.path().join("key"), 7);
    std::fs::write(&path, &older).unwrap();
    let cases: [&[&str]; 8] = [
        &["run", "--store", "redb:a.redb", "guest.wasm"],
        &["fsck", "--store", "redb:a.redb"],
        &["fsck", "--store", "redb:a.redb", "--repair"],
        &["settings", "--store", "redb:a.redb"],
        &["settings", "set", "--store", "redb:a.redb", "--max-bytes", "64M"],
        &["audit", "--store", "redb:a.redb"],
        &["check-store", "--store", "redb:a.redb"],
        &["store", "copy", "redb:a.redb", "redb:b.redb"],
    ];
    for args in cases {
        let refused = kvfs(dir.path(), args);
        let said = text(&refused);
        assert!(!refused.status.success(), "{args:?}: {said}");
        assert!(said.contains("--accept-loss") && said.contains("a.redb.mark"), "{args:?}: {said}");
        assert!(std::fs::read(&path).unwrap() == older, "{args:?}: refused, and changed");
    }
    let info = kvfs(dir.path(), &["store", "info", "redb:a.redb"]);
    assert!(
        info.status.success() && text(&info).contains("the last 1 durable applies are lost"),
        "{}",
        text(&info)
    );
    // Looking with --accept-loss leaves the mark as it is.
    for args in [
        &["fsck", "--store", "redb:a.redb", "--accept-loss"][..],
        &["settings", "--accept-loss", "--store", "redb:a.redb"],
    ] {
        let looked = kvfs(dir.path(), args);
        assert!(looked.status.success(), "{args:?}: {}", text(&looked));
        assert!(!kvfs(dir.path(), cases[1]).status.success());
    }
    let set = kvfs(
        dir.path(),
        &["settings", "set", "--store", "redb:a.redb", "--max-bytes", "64M", "--accept-loss"],
    );
    assert!(set.status.success(), "{}", text(&set));
    let checked = kvfs(dir.path(), cases[1]);
    assert!(checked.status.success(), "{}", text(&checked));
    // The store is gone.
    std::fs::remove_file(&path).unwrap();
    let gone = kvfs(dir.path(), cases[0]);
    assert!(text(&gone).contains("the store is gone") && !path.exists(), "{}", text(&gone));
}
