//! Damaged redb files: what can be read of them, and their repair on a copy.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use kvfs_host::{
    AnyStore, Durability, OpenError, OpenOptions, RedbStore, SyncStore, mark_path, open_store,
    open_store_read_only,
};

use crate::redb_files::{child, fresh_path, path_of_child};
use crate::{value_of, write};

const ENTRIES: u32 = 400;

fn url(path: &Path) -> String {
    format!("redb:{}", path.display())
}

fn value(number: u32) -> Vec<u8> {
    vec![number as u8; 500 + number as usize % 700]
}

/// Makes a store of durable entries. Returns its bytes as a kill leaves them and after an orderly
/// end.
fn sound_store(path: &Path) -> [Vec<u8>; 2] {
    let store = open_store(&url(path)).unwrap();
    for number in 0..ENTRIES {
        let level = if number % 50 == 49 { Durability::Durable } else { Durability::Buffered };
        write(&store, &[(&number.to_be_bytes(), &value(number))], level).unwrap();
    }
    let killed = fs::read(path).unwrap();
    store.close().unwrap();
    [killed, fs::read(path).unwrap()]
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Damages a file in one of several ways, in a part that is in use.
fn damage(bytes: &mut [u8], random: &mut Random) {
    let pages: Vec<usize> = (1..bytes.len() / 4096)
        .filter(|page| bytes[page * 4096..][..4096].iter().any(|byte| *byte != 0))
        .collect();
    let page = pages[random.below(pages.len())] * 4096;
    match random.below(6) {
        0 => bytes[9 + random.below(311)] ^= 1 << random.below(8),
        1 => bytes[page..page + 4096].fill(0),
        2 => bytes[page + 100..page + 300].fill(0xA5),
        3 => {
            // A page of another place.
            let other = pages[random.below(pages.len())] * 4096;
            let copy = bytes[other..other + 4096].to_vec();
            bytes[page..page + 4096].copy_from_slice(&copy);
        }
        // The head of a page, with its counts and offsets.
        4 => bytes[page + random.below(32)] ^= 1 << random.below(8),
        _ => bytes[page + random.below(4096)] ^= 1 << random.below(8),
    }
}

/// Fails if entries are gone and the store does not say so.
fn check_told(store: &AnyStore) {
    let is_missing = |number: u32| value_of(store, &number.to_be_bytes()).is_none();
    assert!(
        !(0..ENTRIES).any(is_missing) || !store.damage().is_none(),
        "entries are gone, and nothing says so"
    );
}

/// Reads every entry by its key and all of them in order. Returns how many are right.
fn readable(store: &AnyStore) -> usize {
    let mut scanned = BTreeSet::new();
    let mut start = Vec::new();
    loop {
        let page = SyncStore::scan(store, &start, b"", 50, 1 << 20).unwrap();
        let Some(last) = page.last() else { break };
        assert!(last.key >= start, "a scan that goes back");
        start = [&last.key[..], b"\0"].concat();
        for entry in &page {
            let Ok(number) = entry.key[..].try_into().map(u32::from_be_bytes) else { continue };
            if number < ENTRIES && entry.value == value(number) {
                scanned.insert(number);
            }
        }
    }
    let got =
        |number: &u32| value_of(store, &number.to_be_bytes()).is_some_and(|found| found == value(*number));
    (0..ENTRIES).filter(got).filter(|number| scanned.contains(number)).count()
}

#[test]
fn damaged_stores_are_read_around_the_damage_and_nothing_is_lost_in_silence() {
    let (directory, path) = fresh_path();
    let states = sound_store(&path);
    let mark = fs::read(mark_path(&path)).unwrap();
    let damaged = directory.path().join("damaged.redb");
    let mut random = Random(7);
    for (state, bytes) in ["killed", "closed"].iter().zip(&states) {
        let (mut right, mut refused, mut plain) = (0, 0, 0);
        for _ in 0..110 {
            let mut bytes = bytes.clone();
            damage(&mut bytes, &mut random);
            fs::write(&damaged, &bytes).unwrap();
            fs::write(mark_path(&damaged), &mark).unwrap();
            match OpenOptions::new().read_only(true).salvage(true).open(&url(&damaged)) {
                Ok(store) => {
                    right += readable(&store);
                    check_told(&store);
                }
                Err(
                    OpenError::RolledBack { .. } | OpenError::Damaged { .. } | OpenError::NotAStore { .. },
                ) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
            if let Ok(store) = open_store_read_only(&url(&damaged)) {
                let got = |number: &u32| {
                    store
                        .get(&[&number.to_be_bytes()])
                        .is_ok_and(|found| found[0].as_deref() == Some(&value(*number)))
                };
                plain += (0..ENTRIES).filter(got).count();
            }
            assert!(fs::read(&damaged).unwrap() == bytes, "reading changed the file");
        }
        let all = 110 * ENTRIES as usize;
        println!(
            "{state}: salvaged {right} of {all} entries, {refused} files refused; without salvage {plain}"
        );
        assert!(
            right * 100 > all * 85 && right > plain,
            "{state}: {right} of {all}, {plain} without salvage"
        );
    }
}

/// Zeroes the first page that has the value of the entry.
fn lose(bytes: &mut [u8], number: u32) {
    let wanted = &value(number)[..400];
    let at = bytes.windows(400).rposition(|window| window == wanted).unwrap();
    let page = at / 4096 * 4096;
    bytes[page..page + 4096].fill(0);
}

fn repair(path: &Path, keep: bool) -> Result<Option<PathBuf>, OpenError> {
    let copy = OpenOptions::new().salvage(true).repair_copy(&url(path), &mut |_| {})?.expect("one file");
    assert_eq!(
        copy.amount().entries as usize,
        SyncStore::scan(copy.store(), b"", b"", 10_000, 8 << 20).unwrap().len()
    );
    copy.finish(keep)
}

#[test]
fn a_repair_puts_a_copy_of_what_can_be_read_in_the_place_of_the_store() {
    let (directory, path) = fresh_path();
    let states = sound_store(&path);
    let mark = fs::read(mark_path(&path)).unwrap();
    for mut bytes in states {
        lose(&mut bytes, 200);
        fs::write(&path, &bytes).unwrap();
        fs::write(mark_path(&path), &mark).unwrap();
        let before = readable(&OpenOptions::new().read_only(true).salvage(true).open(&url(&path)).unwrap());
        assert!(before < ENTRIES as usize && before > ENTRIES as usize - 30, "{before}");
        let kept = repair(&path, true).unwrap().expect("kept");
        assert!(fs::read(&kept).unwrap() == bytes, "the kept store has changed");
        let store = open_store(&url(&path)).unwrap();
        assert_eq!(readable(&store), before);
        write(&store, &[(b"more", b"1")], Durability::Durable).unwrap();
        drop(store);
        // The damaged one put back is an older one.
        let repaired = fs::read(&path).unwrap();
        fs::rename(&kept, &path).unwrap();
        assert!(matches!(
            open_store_read_only(&url(&path)).map(drop),
            Err(OpenError::RolledBack { .. } | OpenError::Damaged { .. })
        ));
        fs::write(&path, repaired).unwrap();
        assert_eq!(repair(&path, false).unwrap(), None);
        assert_eq!(readable(&open_store(&url(&path)).unwrap()), before);
    }
    let names: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_repair_that_is_given_up_or_cannot_begin_leaves_everything_as_it_was() {
    let (directory, path) = fresh_path();
    let [_, bytes] = sound_store(&path);
    let files = || {
        let entries = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect::<BTreeSet<_>>()
    };
    let before = files();
    let options = OpenOptions::new().salvage(true);
    let begin = || options.repair_copy(&url(&path), &mut |_| {});
    let copy = begin().unwrap().unwrap();
    // Neither a writer nor a second repair comes in between.
    assert!(matches!(open_store(&url(&path)).map(drop), Err(OpenError::Busy { .. })));
    assert!(matches!(begin().map(drop), Err(OpenError::Busy { .. })));
    drop(open_store_read_only(&url(&path)).unwrap());
    copy.discard();
    assert!(files() == before);
    assert!(fs::read(&path).unwrap() == bytes);
    let owner = open_store(&url(&path)).unwrap();
    assert!(matches!(begin().map(drop), Err(OpenError::Busy { .. })));
    drop(owner);
    for other in ["memory:", "file:/nowhere"] {
        assert!(options.repair_copy(other, &mut |_| {}).unwrap().is_none());
    }
    assert!(matches!(
        options.repair_copy("redb:/nowhere/x", &mut |_| {}).map(drop),
        Err(OpenError::NoStore { .. })
    ));
}

#[cfg(unix)]
#[test]
fn a_repair_keeps_permissions_and_follows_a_link() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, path) = fresh_path();
    sound_store(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    repair(&link, false).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(readable(&open_store(&url(&link)).unwrap()), ENTRIES as usize);
}

#[test]
#[ignore = "run by a_repair_that_is_killed_at_any_moment_leaves_the_old_store_or_the_new_one"]
fn child_repairs() {
    repair(&path_of_child(), true).unwrap();
}

#[test]
fn a_repair_that_is_killed_at_any_moment_leaves_the_old_store_or_the_new_one() {
    let (directory, path) = fresh_path();
    let [_, mut bytes] = sound_store(&path);
    lose(&mut bytes, 200);
    let mark = fs::read(mark_path(&path)).unwrap();
    let start = || {
        let mut command = child("salvage::child_repairs", &path, None);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let reset = || {
        fs::write(directory.path().join("new"), &bytes).unwrap();
        fs::rename(directory.path().join("new"), &path).unwrap();
        fs::write(mark_path(&path), &mark).unwrap();
    };
    reset();
    let before = readable(&OpenOptions::new().read_only(true).salvage(true).open(&url(&path)).unwrap());
    let begun = Instant::now();
    assert!(start().wait().unwrap().success());
    let whole = begun.elapsed();
    let mut random = Random(3);
    let (mut old, mut new, mut leftovers) = (0, 0, 0);
    for _ in 0..40 {
        reset();
        let mut repairing = start();
        let wait = whole.as_micros() as usize;
        // The first third is the start of the process.
        std::thread::sleep(Duration::from_micros((wait / 4 + random.below(wait)) as u64));
        repairing.kill().unwrap();
        repairing.wait().unwrap();
        leftovers += usize::from(directory.path().join("state.redb.repair").exists());
        if fs::read(&path).unwrap() == bytes {
            old += 1;
        } else {
            new += 1;
            drop(open_store(&url(&path)).unwrap());
        }
        let store = OpenOptions::new().read_only(true).salvage(true).open(&url(&path)).unwrap();
        assert_eq!(readable(&store), before);
    }
    println!("old {old}, new {new}, with leftovers {leftovers}");
    assert!(old > 0 && leftovers > 0, "old {old}, new {new}, with leftovers {leftovers}");
    repair(&path, false).unwrap();
    let names = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let others: Vec<String> = names.filter(|name| name.contains("repair") || name.contains("new")).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(value_of(&RedbStore::open(&path).unwrap(), &7u32.to_be_bytes()).unwrap(), value(7));
}

#[test]
fn a_repair_that_finds_nothing_fails_and_leaves_everything_as_it_was() {
    let (directory, path) = fresh_path();
    sound_store(&path);
    // All but the header: no page of the tree can be read.
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0);
    fs::write(&path, &bytes).unwrap();
    let names = || {
        let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.collect::<BTreeSet<_>>()
    };
    let before = names();
    let error = OpenOptions::new()
        .salvage(true)
        .accept_loss(true)
        .repair_copy(&url(&path), &mut |_| {})
        .map(drop)
        .unwrap_err();
    println!("{error}");
    assert!(matches!(error, OpenError::NothingLeft { .. } | OpenError::Damaged { .. }), "{error}");
    assert!(fs::read(&path).unwrap() == bytes && names() == before, "{:?}", names());
    // A sound store without an entry has nothing to keep either.
    fs::remove_file(&path).unwrap();
    fs::remove_file(mark_path(&path)).unwrap();
    open_store(&url(&path)).unwrap().close().unwrap();
    let error = OpenOptions::new().salvage(true).repair_copy(&url(&path), &mut |_| {}).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::NothingLeft { .. }), "{error}");
    assert!(error.to_string().contains("left as it was"), "{error}");
    assert!(!path.with_extension("redb.repair").exists());
}

/// A small disk in memory; unmounted when it is dropped.
#[cfg(target_os = "linux")]
struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    /// Mounts one; `None` if this process may not.
    fn mount(bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(directory.path());
        let mounted = mount.stdout(Stdio::null()).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(directory))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_repair_without_room_for_a_copy_says_how_much_is_needed_and_leaves_everything_as_it_was() {
    let Some(disk) = SmallDisk::mount(8 << 20) else {
        println!("not tried: mounting needs root");
        return;
    };
    let path = disk.0.path().join("state.redb");
    sound_store(&path);
    let mut bytes = fs::read(&path).unwrap();
    lose(&mut bytes, 200);
    fs::write(&path, &bytes).unwrap();
    let ballast = disk.0.path().join("ballast");
    let free_bytes = (8 << 20) - bytes.len() - (64 << 10);
    fs::write(&ballast, vec![1; free_bytes - bytes.len() / 2]).unwrap();
    let names = || {
        let names = fs::read_dir(disk.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.collect::<BTreeSet<_>>()
    };
    let before = names();
    match repair(&path, true).unwrap_err() {
        OpenError::NoRoom { needed_bytes, free_bytes, .. } => {
            assert_eq!(needed_bytes, bytes.len() as u64);
            assert!(free_bytes < needed_bytes && free_bytes > needed_bytes / 4, "{free_bytes}");
        }
        other => panic!("{other}"),
    }
    assert!(fs::read(&path).unwrap() == bytes && names() == before, "{:?}", names());
    fs::remove_file(&ballast).unwrap();
    let kept = repair(&path, true).unwrap().expect("kept");
    assert!(fs::read(kept).unwrap() == bytes);
    assert!(readable(&open_store(&url(&path)).unwrap()) > ENTRIES as usize - 30);
}
