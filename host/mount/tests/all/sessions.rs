//! Mounts in this process: how they begin, fail and end.

use crate::disk::{self, Disk, Now};
use crate::harness::{Place, available};
use kvfs::{
    Durability, Entry, Guard, KvStore, Limits, MemoryStore, Mode, Mutation, Options, Quota, StoreError,
    Volume,
};
use kvfs_file_store::FileStore;
use kvfs_mount::{MountError, MountOptions, Session, mount};
use rustix::io::Errno;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Notes what is told of faults.
fn told() -> (Arc<Mutex<Vec<String>>>, MountOptions) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&told);
    let tell = Box::new(move |text: &str| into.lock().unwrap().push(text.to_owned()));
    (told, MountOptions { tell, sync_after: None, ..MountOptions::default() })
}

fn mount_disk(place: &Place, options: MountOptions) -> Session {
    let store = place.store();
    mount(&place.mounted(), options, move || -> Result<_, MountError> { Ok(disk::open(&store, Mode::Close)) })
        .unwrap()
}

fn errno<T: std::fmt::Debug>(outcome: std::io::Result<T>) -> Errno {
    Errno::from_io_error(&outcome.unwrap_err()).unwrap()
}

fn is_mounted(place: &Place) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.contains(place.mounted().to_str().unwrap())
}

#[test]
fn a_read_only_mount_refuses_changes_and_applies_nothing() {
    if !available() {
        return;
    }
    let place = Place::new();
    let store = MemoryStore::default();
    let mut volume = Volume::open(Box::new(store.clone()), Box::new(Now), Options::default()).unwrap();
    let root = volume.root().unwrap();
    volume.create_directory_at(&root, "made").unwrap();
    volume.sync_all().unwrap();
    let entries = store.dump();
    for beside in [true, false] {
        let state = Arc::new(AtomicU8::new(if beside { WATCHES } else { 0 }));
        let (shared, entries) = (Arc::clone(&state), entries.clone());
        let options = MountOptions { read_only: true, ..MountOptions::default() };
        let session = mount(&place.mounted(), options, move || {
            let store = Box::new(Failing(MemoryStore::from_entries(entries), shared));
            match beside {
                true => Volume::open_read_only(store, None, Options::default()),
                false => Volume::open(store, Box::new(Now), Options::default()),
            }
        });
        let session = session.unwrap();
        assert!(session.is_read_only());
        let (made, new) = (place.mounted().join("made"), place.mounted().join("new"));
        assert!(made.is_dir());
        assert_eq!(errno(fs::write(&new, "x")), Errno::ROFS);
        assert_eq!(errno(fs::create_dir(&new)), Errno::ROFS);
        assert_eq!(errno(fs::remove_dir(&made)), Errno::ROFS);
        assert_eq!(errno(fs::rename(&made, &new)), Errno::ROFS);
        fs::File::open(&made).unwrap().sync_all().unwrap();
        session.unmount().unwrap();
        assert_ne!(state.load(Ordering::SeqCst), APPLIED, "something was applied");
    }
}

#[test]
fn a_frozen_volume_is_mounted_read_only() {
    if !available() {
        return;
    }
    let place = Place::new();
    drop(disk::open(&place.store(), Mode::Close));
    let mut store = FileStore::open(Disk(place.store())).unwrap();
    kvfs::volumes::freeze(&mut store, "main").unwrap();
    drop(store);
    let session = mount_disk(&place, MountOptions::default());
    assert!(session.is_read_only());
    assert_eq!(errno(fs::write(place.mounted().join("new"), "x")), Errno::ROFS);
    session.unmount().unwrap();
}

#[test]
fn owner_modes_and_source_are_those_of_the_options() {
    if !available() {
        return;
    }
    let place = Place::new();
    let options = MountOptions {
        owner: Some((12, 34)),
        file_mode: 0o4750,
        directory_mode: 0o700,
        name: "kvfs:my volume".to_owned(),
        ..MountOptions::default()
    };
    let session = mount_disk(&place, options);
    fs::write(place.mounted().join("file"), "x").unwrap();
    let file = fs::metadata(place.mounted().join("file")).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode()), (12, 34, 0o100_750));
    assert_eq!(fs::metadata(place.mounted()).unwrap().mode(), 0o40_700);
    assert!(fs::read_to_string("/proc/self/mounts").unwrap().contains("kvfs:my_volume "));
    session.unmount().unwrap();
}

#[test]
fn unmounting_from_outside_ends_the_session_and_stores_everything() {
    if !available() {
        return;
    }
    let place = Place::new();
    let session = mount_disk(&place, MountOptions { sync_after: None, ..MountOptions::default() });
    fs::write(place.mounted().join("file"), "stored").unwrap();
    nix::mount::umount(&place.mounted()).unwrap();
    session.wait().unwrap();
    let session = mount_disk(&place, MountOptions::default());
    assert_eq!(fs::read(place.mounted().join("file")).unwrap(), b"stored");
    session.unmount().unwrap();
    assert!(!is_mounted(&place));
}

#[test]
fn unmounting_leaves_what_lies_below_alone() {
    if !available() {
        return;
    }
    let place = Place::new();
    let below = mount_disk(&place, MountOptions { name: "below".to_owned(), ..MountOptions::default() });
    let other = Place::new();
    let store = other.store();
    let above = mount(&place.mounted(), MountOptions::default(), move || -> Result<_, MountError> {
        Ok(disk::open(&store, Mode::Close))
    });
    let above = above.unwrap();
    fs::write(place.mounted().join("above"), "x").unwrap();
    nix::mount::umount(&place.mounted()).unwrap();
    above.wait().unwrap();
    thread::sleep(Duration::from_millis(200));
    assert!(is_mounted(&place), "the mount below is gone");
    fs::write(place.mounted().join("below"), "x").unwrap();
    below.unmount().unwrap();
}

#[test]
fn a_busy_mount_is_unmounted_and_stored_all_the_same() {
    if !available() {
        return;
    }
    let place = Place::new();
    let session = mount_disk(&place, MountOptions { sync_after: None, ..MountOptions::default() });
    let path = place.mounted().join("file");
    let mut open = fs::File::create(&path).unwrap();
    open.write_all(b"written").unwrap();
    let unmounter = session.unmounter();
    let waiting = thread::spawn(move || session.wait());
    unmounter.unmount().unwrap();
    waiting.join().unwrap().unwrap();
    assert!(!is_mounted(&place));
    assert!(matches!(errno(open.write_all(b"late")), Errno::IO | Errno::NOTCONN | Errno::CONNABORTED));
    drop(open);
    let session = mount_disk(&place, MountOptions::default());
    assert_eq!(fs::read(&path).unwrap(), b"written");
    session.unmount().unwrap();
}

/// `fuser` panics at the smallest time there is. A version that does not passes as well.
#[test]
fn a_time_that_ends_the_mount_loses_nothing() {
    if !available() {
        return;
    }
    let place = Place::new();
    let session = mount_disk(&place, MountOptions { sync_after: None, ..MountOptions::default() });
    let path = place.mounted().join("file");
    fs::write(&path, "stored").unwrap();
    let script = "import ctypes, sys\ntimes = (ctypes.c_long * 4)(-(2**63), 5, -(2**63), 5)\n\
                  ctypes.CDLL(None).utimensat(-100, sys.argv[1].encode(), times, 0)";
    let mut program = std::process::Command::new("python3").args(["-c", script]).arg(&path).spawn().unwrap();
    let unmounter = session.unmounter();
    let waiting = thread::spawn(move || session.wait());
    program.wait().unwrap();
    unmounter.unmount().unwrap();
    waiting.join().unwrap().unwrap();
    assert!(!is_mounted(&place));
    let session = mount_disk(&place, MountOptions::default());
    assert_eq!(fs::read(&path).unwrap(), b"stored");
    session.unmount().unwrap();
}

#[test]
fn a_writer_that_is_fenced_fails_and_says_so_once() {
    if !available() {
        return;
    }
    let place = Place::new();
    let (told, options) = told();
    let session = mount_disk(&place, options);
    let path = place.mounted().join("file");
    fs::write(&path, "first").unwrap();
    let mut other = disk::open(&place.store(), Mode::Close);
    other.sync_all().unwrap();
    for _ in 0..3 {
        let _ = fs::write(place.mounted().join("late"), "x");
        assert_eq!(errno(fs::create_dir(place.mounted().join("d"))), Errno::IO);
        assert_eq!(errno(fs::File::open(&path).and_then(|file| file.sync_all())), Errno::IO);
    }
    let ended = session.unmount();
    assert!(matches!(&ended, Err(MountError::Store { source: kvfs::Error::Fenced, .. })), "{ended:?}");
    let told = told.lock().unwrap();
    let fenced: Vec<_> = told.iter().filter(|text| text.contains("taken this volume over")).collect();
    assert_eq!(fenced.len(), 1, "{told:?}");
    let root = other.root().unwrap();
    assert_eq!(other.stat_at(&root, "file", kvfs::Follow::No).unwrap().size, 5);
    assert!(other.stat_at(&root, "d", kvfs::Follow::No).is_err());
}

/// What a [`Failing`] store does: it fails, it has no room, it waits for an apply, it has seen one.
const FAILS: u8 = 1;
const FULL: u8 = 2;
const WATCHES: u8 = 3;
const APPLIED: u8 = 4;

/// A store that behaves as its number says.
struct Failing(MemoryStore, Arc<AtomicU8>);

impl Failing {
    fn check(&self) -> Result<(), StoreError> {
        match self.1.load(Ordering::SeqCst) {
            FAILS => Err(StoreError::Unavailable("the cable is cut".to_owned())),
            _ => Ok(()),
        }
    }
}

impl KvStore for Failing {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.0.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.check()?;
        self.0.get(keys)
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.check()?;
        self.0.scan(start, end, max_entries, max_bytes)
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.check()?;
        match self.1.load(Ordering::SeqCst) {
            FULL => return Err(StoreError::QuotaExceeded),
            WATCHES => self.1.store(APPLIED, Ordering::SeqCst),
            _ => {}
        }
        self.0.apply(guards, mutations, level)
    }
}

fn mount_failing(place: &Place, options: MountOptions, quota: Option<Quota>) -> (Session, Arc<AtomicU8>) {
    let fails = Arc::new(AtomicU8::new(0));
    let shared = Arc::clone(&fails);
    let session = mount(&place.mounted(), options, move || {
        let store = Failing(MemoryStore::default(), shared);
        Volume::open(Box::new(store), Box::new(Now), Options { quota, ..Options::default() })
    });
    (session.unwrap(), fails)
}

#[test]
fn faults_of_the_store_are_told_and_nothing_is_lost_when_it_recovers() {
    if !available() {
        return;
    }
    let place = Place::new();
    let (told, options) = told();
    let (session, fails) = mount_failing(&place, options, None);
    let path = |name: &str| -> PathBuf { place.mounted().join(name) };
    let mut file = fs::File::create(path("file")).unwrap();
    file.write_all(b"kept in memory").unwrap();
    fails.store(FAILS, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(errno(file.sync_all()), Errno::IO);
    }
    assert_eq!(errno(fs::create_dir(path("d"))), Errno::IO);
    fails.store(0, Ordering::SeqCst);
    file.sync_all().unwrap();
    assert_eq!(fs::read(path("file")).unwrap(), b"kept in memory");
    drop(file);
    session.unmount().unwrap();
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("the cable is cut"), "{told:?}");
}

#[test]
fn a_mount_that_cannot_store_its_end_says_so() {
    if !available() {
        return;
    }
    let place = Place::new();
    let (session, fails) = mount_failing(&place, MountOptions::default(), None);
    let mut file = fs::File::create(place.mounted().join("file")).unwrap();
    file.write_all(b"lost").unwrap();
    fails.store(FAILS, Ordering::SeqCst);
    drop(file);
    let ended = session.unmount();
    assert!(matches!(ended, Err(MountError::Store { .. })), "{ended:?}");
    assert!(!is_mounted(&place));
}

#[test]
fn full_stores_and_quotas_are_told_apart() {
    if !available() {
        return;
    }
    let place = Place::new();
    let quota = Quota { bytes: Some(400_000), ..Quota::default() };
    let (session, fails) = mount_failing(&place, MountOptions::default(), Some(quota));
    let path = |name: &str| -> PathBuf { place.mounted().join(name) };
    let room = rustix::fs::statvfs(place.mounted()).unwrap();
    assert_eq!(room.f_blocks, 400_000_u64.div_ceil(4096));
    assert_eq!(errno(fs::write(path("large"), vec![1; 500_000])), Errno::DQUOT);
    fs::remove_file(path("large")).unwrap();
    fs::write(path("small"), vec![1; 100_000]).unwrap();
    fails.store(FULL, Ordering::SeqCst);
    let mut refused = None;
    for number in 0..4 {
        // The first close may find it out; from then on each write does.
        refused = fs::write(path(&format!("f{number}")), vec![1; 9_000]).err().or(refused);
    }
    assert_eq!(refused.as_ref().and_then(Errno::from_io_error), Some(Errno::NOSPC));
    fs::remove_file(path("small")).unwrap();
    fails.store(0, Ordering::SeqCst);
    fs::write(path("after"), "there is room").unwrap();
    session.unmount().unwrap();
}

#[test]
fn changes_become_durable_after_a_while_without_a_sync() {
    if !available() {
        return;
    }
    let place = Place::new();
    let options = MountOptions { sync_after: Some(Duration::from_millis(100)), ..MountOptions::default() };
    let session = mount_disk(&place, options);
    let mut file = fs::File::create(place.mounted().join("open")).unwrap();
    file.write_all(b"not closed").unwrap();
    thread::sleep(Duration::from_millis(800));
    // As a kill would leave it.
    let mut other = disk::open(&place.store(), Mode::Close);
    let root = other.root().unwrap();
    assert_eq!(other.stat_at(&root, "open", kvfs::Follow::No).unwrap().size, 10);
    drop(file);
    let _ = session.unmount();
}

#[test]
fn a_volume_that_cannot_be_opened_is_not_mounted() {
    if !available() {
        return;
    }
    let place = Place::new();
    let failed = mount(&place.mounted(), MountOptions::default(), || Err::<Volume, _>(kvfs::Error::NoEntry));
    assert!(matches!(failed, Err(MountError::Open { .. })), "{:?}", failed.err());
    assert!(!is_mounted(&place));
}

#[test]
fn a_volume_with_rules_on_paths_is_not_mounted() {
    if !available() {
        return;
    }
    let place = Place::new();
    let store = place.store();
    let failed = mount(&place.mounted(), MountOptions::default(), move || -> Result<_, MountError> {
        let mut volume = disk::open(&store, Mode::Close);
        volume.set_policy(Some(std::rc::Rc::new(kvfs::Policy::new(kvfs::Rights::ALL))));
        Ok(volume)
    });
    assert!(matches!(failed, Err(MountError::Rules { .. })), "{:?}", failed.err());
    assert!(!is_mounted(&place));
}
