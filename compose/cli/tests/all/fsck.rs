//! `kvfs fsck` on sound and on damaged stores: its report, its repairs, and what it leaves alone.

use super::{Noon, files, kvfs, store_of, store_with_volume, workshop};
use kvfs::image::Image;
use kvfs_compose::{FixedSource, fixed_mounts};
use std::path::Path;

#[test]
fn fsck_tells_a_sound_volume_from_one_that_is_not_and_repairs_it() {
    let dir = workshop();
    store_with_volume(&dir.path().join("good.redb"), |_| {});
    // After format, masks, uuid, sizes, epoch, seq and next inode: the bytes and inodes in use.
    store_with_volume(&dir.path().join("bad.redb"), |superblock| superblock[16 + 80] = 7);
    let run = |args: &[&str]| {
        let output = kvfs(dir.path(), &[&["fsck", "--store"], args].concat());
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let bytes = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let (good, bad) = (bytes("good.redb"), bytes("bad.redb"));
    for args in [&["redb:good.redb"][..], &["redb:good.redb", "--repair", "--accept-loss"]] {
        let (code, stdout, stderr) = run(args);
        assert!(code == Some(0) && stdout.ends_with("sound\n") && stderr.is_empty(), "{stdout}{stderr}");
        assert!(bytes("good.redb") == good, "a check of a sound store has changed it");
    }
    let (code, stdout, _) = run(&["redb:bad.redb"]);
    assert_eq!(code, Some(4));
    assert!(stdout.starts_with("invariant 16 "), "{stdout}");
    assert!(bytes("bad.redb") == bad, "a check has changed the store");
    let (code, stdout, _) = run(&["redb:bad.redb", "--repair"]);
    assert_eq!(code, Some(1));
    assert!(stdout.contains("\nrepaired key ") && stdout.ends_with("sound now\n"), "{stdout}");
    assert_eq!(run(&["redb:bad.redb"]).0, Some(0));
}

#[test]
fn fsck_reads_a_store_of_files_and_repairs_it() {
    use kvfs_host::{Durability, FileStore, Mutation, RedbStore, SyncStore};
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    for (name, wrong) in [("good", 0), ("bad", 7)] {
        let redb = path(&format!("{name}.redb"));
        store_with_volume(&redb, |superblock| superblock[16 + 80] = wrong);
        let entries = SyncStore::scan(&RedbStore::open(redb).unwrap(), b"", b"", 100, 1 << 20).unwrap();
        let puts: Vec<_> =
            entries.iter().map(|entry| Mutation::Put { key: &entry.key, value: &entry.value }).collect();
        let files = FileStore::open(path(name)).unwrap();
        SyncStore::apply(&files, &[], &puts, Durability::Durable).unwrap();
    }
    let run = |args: &[&str]| {
        let output = kvfs(dir.path(), &[&["fsck", "--store"], args].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let before = files(&path("good"));
    let (code, stdout) = run(&["file:good"]);
    assert!(code == Some(0) && stdout.ends_with("sound\n"), "{stdout}");
    assert_eq!(files(&path("good")), before, "a check makes no files");
    let (code, stdout) = run(&["file:bad"]);
    assert!(code == Some(4) && stdout.starts_with("invariant 16 "), "{stdout}");
    assert_eq!(run(&["file:bad", "--repair"]).0, Some(1));
    assert_eq!(run(&["file:bad"]).0, Some(0));
}

#[test]
fn fsck_copies_what_can_be_read_of_a_damaged_store_of_files() {
    use kvfs_host::{Durability, FileStore, Mutation, RedbStore, SyncStore};
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    store_with_volume(&path("good.redb"), |_| {});
    let entries =
        SyncStore::scan(&RedbStore::open(path("good.redb")).unwrap(), b"", b"", 100, 1 << 20).unwrap();
    let store = FileStore::open(path("state")).unwrap();
    for entry in &entries {
        let put = Mutation::Put { key: &entry.key, value: &entry.value };
        SyncStore::apply(&store, &[], &[put], Durability::Durable).unwrap();
    }
    drop(store);
    let segments = std::fs::read_dir(path("state")).unwrap().map(|entry| entry.unwrap().path());
    let segments = segments.filter(|path| path.extension().is_some_and(|extension| extension == "kvfs"));
    let newest = segments.max().unwrap();
    // The start of the segment: without it, nothing behind it counts.
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let damaged = files(&path("state"));
    let run = |args: &[&str]| {
        let output = kvfs(dir.path(), &[&["fsck", "--store", "file:state"], args].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, _, stderr) = run(&[]);
    assert!(code == Some(8) && stderr.contains("--repair makes a new one"), "{stderr}");
    assert_eq!(files(&path("state")), damaged, "a check changes nothing");
    let (code, stdout, stderr) = run(&["--repair"]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("\ncopied ") || stdout.starts_with("copied "), "{stdout}");
    assert!(stdout.ends_with("sound now\n"), "{stdout}");
    assert!(path("state.damaged-1").is_dir());
    let (code, stdout, _) = run(&[]);
    assert!(code == Some(0) && stdout.ends_with("sound\n"), "{stdout}");
}

#[test]
fn fsck_makes_no_store_and_changes_none_that_it_cannot_check() {
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("empty.redb"), b"").unwrap();
    std::fs::write(path("text.redb"), b"no store").unwrap();
    store_with_volume(&path("good.redb"), |_| {});
    let before = files(dir.path());
    let cases: [(&[&str], &str); 5] = [
        (&["redb:none.redb"], "no such store"),
        (&["redb:empty.redb"], "an empty file"),
        (&["redb:text.redb"], "is not a store"),
        (&["redb:good.redb", "--volume", "other"], "no volume `other`"),
        (&["memory:"], "no such store"),
    ];
    for (args, expected) in cases {
        for more in [&[][..], &["--repair"]] {
            let output = kvfs(dir.path(), &[&["fsck", "--store"], args, more].concat());
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(8), "{args:?}: {stderr}");
            assert!(stderr.contains(expected) && stderr.lines().count() == 1, "{args:?}: {stderr}");
            assert_eq!(files(dir.path()), before);
        }
    }
    assert_eq!(std::fs::read(path("empty.redb")).unwrap(), b"");
    assert_eq!(std::fs::read(path("text.redb")).unwrap(), b"no store");
    let run = kvfs(dir.path(), &["run", "--store", "redb:empty.redb", "guest.wasm"]);
    assert!(String::from_utf8_lossy(&run.stderr).contains("an empty file"), "{run:?}");
    assert_eq!(std::fs::read(path("empty.redb")).unwrap(), b"");
}

#[test]
fn fsck_reads_a_store_whose_program_was_killed_without_changing_it() {
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    store_with_volume(&path("live.redb"), |_| {});
    // Open for writing and not closed, as a kill leaves it.
    let live = kvfs_host::RedbStore::open(path("live.redb")).unwrap();
    let put = [kvfs_host::Mutation::Put { key: b"\x01z", value: b"of another volume" }];
    kvfs_host::SyncStore::apply(&live, &[], &put, kvfs_host::Durability::Durable).unwrap();
    let killed = std::fs::read(path("live.redb")).unwrap();
    std::fs::write(path("killed.redb"), &killed).unwrap();
    let run = |args: &[&str]| kvfs(dir.path(), &[&["fsck", "--store"], args].concat());
    let busy = run(&["redb:live.redb"]);
    assert!(String::from_utf8_lossy(&busy.stderr).contains("open elsewhere"), "{busy:?}");
    assert_eq!(busy.status.code(), Some(8));
    let output = run(&["redb:killed.redb"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.contains("not closed in order"), "{output:?}");
    assert!(std::fs::read(path("killed.redb")).unwrap() == killed, "a check has changed the store");
    let output = run(&["redb:killed.redb", "--repair"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(std::fs::read(path("killed.redb")).unwrap() != killed);
    let output = run(&["redb:killed.redb"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn fsck_says_which_file_has_lost_bytes() {
    let dir = workshop();
    let store = dir.path().join("state.redb");
    store_with_volume(&store, |_| {});
    {
        use kvfs_host::{Durability, Mutation, RedbStore, SyncStore};
        // A file written by the engine, with a bit of its second extent flipped.
        let open = RedbStore::open(&store).unwrap();
        let entries = SyncStore::scan(&open, b"", b"", 100, 1 << 20).unwrap();
        let memory = kvfs::MemoryStore::from_entries(
            entries.iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec())),
        );
        let mut volume =
            kvfs::Volume::open(Box::new(memory.clone()), Box::new(Noon), kvfs::Options::default()).unwrap();
        let root = volume.root().unwrap();
        volume.create_directory_at(&root, "dir").unwrap();
        let create = kvfs::OpenFlags { create: true, ..kvfs::OpenFlags::default() };
        let write = kvfs::Access { write: true, ..kvfs::Access::default() };
        let file = volume.open_at(&root, "dir/data", kvfs::Follow::No, create, write).unwrap();
        volume.write(&file, kvfs::At::Offset(0), &[9; 100_000]).unwrap();
        volume.sync_all().unwrap();
        let mut entries = memory.dump();
        let (key, value) = entries.iter_mut().rfind(|(key, _)| key[5] == 0x20).unwrap();
        assert_eq!(key.len(), 1 + 4 + 1 + 8 + 8);
        value[500] ^= 1;
        let puts: Vec<_> = entries.iter().map(|(key, value)| Mutation::Put { key, value }).collect();
        SyncStore::apply(&open, &[], &puts, Durability::Durable).unwrap();
    }
    let run = |args: &[&str]| {
        let output = kvfs(dir.path(), &[&["fsck", "--store", "redb:state.redb"], args].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    for args in [&[][..], &["--repair"]] {
        let (code, stdout) = run(args);
        assert_eq!(code, Some(4), "{stdout}");
        assert!(stdout.contains("/dir/data"), "{stdout}");
        assert_eq!(stdout.contains("--accept-loss"), args == ["--repair"], "{stdout}");
    }
    assert_eq!(run(&["--repair", "--accept-loss"]).0, Some(1));
    assert_eq!(run(&[]).0, Some(0));
}

/// Makes a store whose volume `main` lies on the image of a component, with a file changed and one
/// removed.
fn store_above(component: &Path, path: &Path, change: impl FnOnce(&mut [u8])) {
    let component = std::fs::read(component).unwrap();
    let FixedSource::Overlay { image, .. } = &fixed_mounts(&component)[0].source else {
        panic!("no overlay")
    };
    let image = Image::open(image.to_vec().leak()).unwrap();
    let memory = kvfs::MemoryStore::default();
    let options = kvfs::Options::default();
    let mut volume =
        kvfs::Volume::open_overlay(Box::new(memory.clone()), Box::new(Noon), image, options).unwrap();
    let root = volume.root().unwrap();
    volume.unlink_file_at(&root, "gone").unwrap();
    let write = kvfs::Access { write: true, ..kvfs::Access::default() };
    let file = volume.open_at(&root, "kept", kvfs::Follow::No, kvfs::OpenFlags::default(), write).unwrap();
    volume.write(&file, kvfs::At::Offset(0), b"mine").unwrap();
    volume.sync_all().unwrap();
    store_of(path, &memory, change);
}

#[test]
fn fsck_checks_a_volume_together_with_the_tree_below_it() {
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    for tree in ["tree", "other"] {
        std::fs::create_dir(path(tree)).unwrap();
        std::fs::write(path(tree).join("kept"), tree).unwrap();
        std::fs::write(path(tree).join("gone"), "x").unwrap();
    }
    for (mount, output) in [
        ("/=overlay:tree", "on.wasm"),
        ("/=overlay:other", "off.wasm"),
        ("/=overlay:tree:aside", "aside.wasm"),
    ] {
        let done = kvfs(dir.path(), &["compose", "guest.wasm", "-o", output, "--mount", mount]);
        assert!(done.status.success(), "{done:?}");
    }
    store_above(&path("on.wasm"), &path("good.redb"), |_| {});
    // The bytes and inodes in use, as in a volume without a tree below.
    store_above(&path("on.wasm"), &path("bad.redb"), |superblock| superblock[16 + 80] ^= 7);
    let run = |args: &[&str]| {
        let output = kvfs(dir.path(), &[&["fsck", "--store"], args].concat());
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), stdout, stderr)
    };
    let before = std::fs::read(path("good.redb")).unwrap();
    let cases: [(&[&str], &[&str]); 6] = [
        (&[], &["lies on the image", "`tree` (", "--image COMPONENT"]),
        (&["--image", "off.wasm"], &["lies on the image", "`tree` (", "`other` ("]),
        (&["--image", "aside.wasm"], &["no packed tree below volume `main`", "one below `aside`"]),
        (&["--image", "guest.wasm"], &["no packed tree below volume `main`", "none below any"]),
        (&["--image", "missing.wasm"], &["cannot read missing.wasm"]),
        (&["--image", "good.redb"], &["no packed tree below volume `main`"]),
    ];
    for (args, expected) in cases {
        for more in [&[][..], &["--repair"]] {
            let (code, _, stderr) = run(&[&["redb:good.redb"], args, more].concat());
            assert_eq!((code, stderr.lines().count()), (Some(8), 1), "{args:?}: {stderr}");
            assert!(expected.iter().all(|part| stderr.contains(part)), "{args:?}: {stderr}");
        }
    }
    for more in [&[][..], &["--repair", "--accept-loss"]] {
        let (code, stdout, stderr) = run(&[&["redb:good.redb", "--image", "on.wasm"], more].concat());
        assert!(code == Some(0) && stderr.is_empty(), "{stdout}{stderr}");
        assert!(stdout.contains("2 inodes, 1 names") && stdout.ends_with("sound\n"), "{stdout}");
    }
    assert!(std::fs::read(path("good.redb")).unwrap() == before, "a check of a sound store has changed it");

    let (code, stdout, _) = run(&["redb:bad.redb", "--image", "on.wasm"]);
    assert!(code == Some(4) && stdout.starts_with("invariant 16 "), "{stdout}");
    let (code, stdout, _) = run(&["redb:bad.redb", "--image", "on.wasm", "--repair"]);
    assert!(code == Some(1) && stdout.ends_with("sound now\n"), "{stdout}");
    assert_eq!(run(&["redb:bad.redb", "--image", "on.wasm"]).0, Some(0));
}

#[test]
fn fsck_reads_around_damage_of_the_store_itself_and_repairs_it_on_a_copy() {
    let dir = workshop();
    let path = |name: &str| dir.path().join(name);
    super::store::store_with_files(&path("whole.redb"));
    let mut bytes = std::fs::read(path("whole.redb")).unwrap();
    // The page with the end of a file of 78,000 bytes: all of its leaf goes.
    let at = bytes.windows(500).rposition(|window| window == [40; 500]).unwrap();
    let page = at / 4096 * 4096;
    let is_leaf =
        |page: &usize| bytes[*page] == 1 && (1..100).contains(&bytes[*page + 2]) && bytes[*page + 3] == 0;
    let leaf = (0..=page / 4096).rev().map(|page| page * 4096).find(is_leaf).unwrap();
    bytes[leaf..leaf + 4096].fill(0);
    std::fs::write(path("state.redb"), &bytes).unwrap();
    // One of the two has it.
    let check = ["fsck", "--store", "redb:state.redb", "--volume"];
    let is_hurt = |volume: &&str| !kvfs(dir.path(), &[&check[..], &[volume]].concat()).status.success();
    let volume = ["main", "second"].into_iter().find(is_hurt).expect("a damaged volume");
    let run = |args: &[&str]| {
        let output = kvfs(dir.path(), &[&check[..], &[volume], args].concat());
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(!stderr.contains("panicked") && !stderr.contains("report it"), "{stderr}");
        (output.status.code(), stdout, stderr)
    };
    let (code, stdout, stderr) = run(&[]);
    assert_eq!(code, Some(4), "{stdout}{stderr}");
    assert!(
        stderr.contains("is damaged itself: the entries of one range of keys cannot be read"),
        "{stderr}"
    );
    assert!(stdout.contains("/dir/file-"), "{stdout}");
    assert!(std::fs::read(path("state.redb")).unwrap() == bytes, "a check has changed the store");
    let (code, stdout, stderr) = run(&["--repair", "--accept-loss"]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("state.redb.damaged-1; remove it"), "{stdout}");
    assert!(std::fs::read(path("state.redb.damaged-1")).unwrap() == bytes);
    let (code, stdout, stderr) = run(&[]);
    assert!(code == Some(0) && stderr.is_empty(), "{stdout}{stderr}");
    std::fs::write(path("state.redb"), &bytes).unwrap();
    std::fs::remove_file(path("state.redb.damaged-1")).unwrap();
    assert_eq!(run(&["--repair", "--accept-loss", "--discard-damaged"]).0, Some(1));
    assert!(!path("state.redb.damaged-1").exists() && !path("state.redb.repair").exists());
}
