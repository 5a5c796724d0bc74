//! A full store, and commits whose failure no call could report.

use crate::faults::settle;
use crate::fixture::{CREATE, WRITE};
use crate::lower::split;
use crate::ops::{Op, Setup};
use crate::rng::Rng;
use crate::run::{Check, Runner, TestClock};
use crate::shrink::{first_failure, no_seed_fails};
use crate::store::{Fault, LARGE, SMALL, Sabotage, TINY, TestStore};
use kvfs::image::Image;
use kvfs::{
    Access, At, Descriptor, Error, Follow, Limits, Mode, OpenFlags, Options, StoreError, Volume, fsck,
    fsck_overlay,
};
use std::sync::atomic::{AtomicU64, Ordering};

pub const FULL: Error = Error::Store(StoreError::QuotaExceeded);

/// A program's store, its volume, and the volume's root.
pub struct Program {
    pub store: TestStore,
    pub volume: Volume,
    pub root: Descriptor,
    /// The image below the volume, if any.
    image: Option<Image>,
}

impl Program {
    pub fn start(store: &TestStore, mode: Mode) -> Self {
        Self::start_on(store, Options { mode, ..Options::default() }, None)
    }

    pub fn start_on(store: &TestStore, options: Options, image: Option<Image>) -> Self {
        let options = Options { volume: "v".to_owned(), ..options };
        let (kept, clock) = (Box::new(store.clone()), Box::new(TestClock::default()));
        let mut volume = match &image {
            Some(image) => Volume::open_overlay(kept, clock, image.clone(), options).unwrap(),
            None => Volume::open(kept, clock, options).unwrap(),
        };
        let root = volume.root().unwrap();
        Self { store: store.clone(), volume, root, image }
    }

    pub fn create(&mut self, path: &str) -> Result<Descriptor, Error> {
        self.volume.open_at(&self.root, path, Follow::No, CREATE, WRITE)
    }

    /// Closes a file as a guest does, by a drop.
    pub fn drop_file(&mut self, file: Descriptor) {
        let outcome = self.volume.close(file);
        self.volume.tell_later(outcome);
    }

    pub fn put(&mut self, path: &str, bytes: usize) -> Result<(), Error> {
        let file = self.create(path)?;
        let mut wrote = Ok(0);
        while let Ok(at) = wrote
            && at < bytes
        {
            let data = vec![7; (bytes - at).min(1 << 20)];
            wrote = self.volume.write(&file, At::Offset(at as u64), &data).map(|count| at + count);
        }
        self.drop_file(file);
        wrote.map(drop)
    }

    pub fn size(&mut self, path: &str) -> Result<u64, Error> {
        self.volume.stat_at(&self.root, path, Follow::No).map(|stat| stat.size)
    }

    pub fn mkdir(&mut self, path: &str) -> Result<(), Error> {
        self.volume.create_directory_at(&self.root, path)
    }

    pub fn unlink(&mut self, path: &str) -> Result<(), Error> {
        self.volume.unlink_file_at(&self.root, path)
    }

    /// Opens the store again after a kill.
    pub fn again(self) -> Self {
        self.again_in(Mode::default())
    }

    fn again_in(self, mode: Mode) -> Self {
        let Self { store, volume, image, .. } = self;
        drop(volume);
        Self::start_on(&store, Options { mode, ..Options::default() }, image)
    }

    pub fn check(&self) {
        let store = &mut self.store.clone();
        let report = match &self.image {
            Some(image) => fsck_overlay(store, "v", image.clone()).unwrap(),
            None => fsck(store, "v").unwrap(),
        };
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
}

#[test]
fn only_the_next_change_reports_a_failed_close_and_only_once() {
    let store = TestStore::new(LARGE);
    let mut program = Program::start(&store, Mode::Close);
    program.put("old", 10).unwrap();
    program.put("other", 10).unwrap();
    store.set_fault(Fault::Unavailable, 0, u64::MAX);
    program.put("lost", 10).unwrap();
    assert_eq!(program.size("lost"), Ok(10));
    assert_eq!(program.unlink("old"), Ok(()));
    let open =
        program.volume.open_at(&program.root, "other", Follow::No, OpenFlags::default(), WRITE).unwrap();
    program.volume.read(&open, 0, 10, &mut Vec::new()).unwrap();
    // A call that fails anyway reports its own error.
    assert_eq!(program.mkdir("other"), Err(Error::Exist));
    let told = program.volume.write(&open, At::End, b"more");
    assert!(matches!(told, Err(Error::Store(StoreError::Unavailable(_)))), "{told:?}");
    assert_eq!(program.size("other"), Ok(10), "the failure came before the change");
    assert_eq!(program.volume.write(&open, At::End, b"more"), Ok(4), "the failure is reported once");
    store.clear_fault();
    program.volume.sync(&open).unwrap();
    program.drop_file(open);
    let mut program = program.again();
    assert_eq!((program.size("lost"), program.size("other")), (Ok(10), Ok(14)));
    assert_eq!(program.size("old"), Err(Error::NoEntry));
}

#[test]
fn a_failure_made_good_before_the_next_change_is_not_reported() {
    let store = TestStore::new(LARGE);
    let mut program = Program::start(&store, Mode::Close);
    program.put("old", 10).unwrap();
    store.set_fault(Fault::Unavailable, 0, 1);
    program.put("late", 10).unwrap();
    assert_eq!(store.0.borrow().faults_injected, 1);
    let file = program.create("next").unwrap();
    program.drop_file(file);
    assert_eq!(program.again().size("late"), Ok(10));
}

#[test]
fn a_sync_reports_an_unreported_failure_and_later_changes_do_not() {
    for mode in [Mode::Close, Mode::Lazy] {
        let store = TestStore::new(LARGE);
        let mut program = Program::start(&store, mode);
        program.put("old", 10).unwrap();
        store.set_fault(Fault::Unavailable, 0, u64::MAX);
        program.put("lost", 10).unwrap();
        assert!(program.volume.sync_all().is_err());
        assert!(program.create("next").is_ok());
    }
}

/// In a typical program's loop, at most one of the files acknowledged is missing.
#[test]
fn on_a_full_store_a_write_is_refused_and_changes_nothing() {
    for mode in [Mode::Strict, Mode::Close] {
        let store = TestStore::new(LARGE);
        let mut program = Program::start(&store, mode);
        store.set_room(2_000_000);
        let (mut believed, mut refused) = (Vec::new(), 0);
        for number in 0..300 {
            let path = format!("g{number}");
            match program.put(&path, 20_000) {
                Ok(()) => believed.push(path),
                Err(error) => {
                    assert_eq!(error, FULL);
                    refused += 1;
                }
            }
        }
        let used = program.volume.used();
        assert!(refused > 150, "{mode:?}: {refused}");
        assert!((90..=100).contains(&believed.len()), "{mode:?}: {}", believed.len());
        let new = "n".repeat(200);
        assert_eq!(program.mkdir(&new), Err(FULL));
        assert_eq!(program.volume.symlink_at("x", &program.root, &new), Err(FULL));
        assert_eq!(program.volume.link_at(&program.root, "g0", Follow::No, &program.root, &new), Err(FULL));
        assert_eq!(program.size(&new), Err(Error::NoEntry), "{mode:?}");
        assert_eq!(program.volume.used(), used, "{mode:?}");
        // Removing the last file acknowledged makes room for what was refused.
        program.unlink(&believed.pop().unwrap()).unwrap();
        program.put("now", 1_000).unwrap();
        believed.push("now".to_owned());
        program.volume.sync_all().unwrap();
        program.check();
        let mut program = program.again();
        for path in &believed {
            let size = if path == "now" { 1_000 } else { 20_000 };
            assert_eq!(program.size(path), Ok(size), "{mode:?} {path}");
        }
    }
}

#[test]
fn data_appended_again_after_a_refusal_is_there_once() {
    for mode in [Mode::Strict, Mode::Close, Mode::Lazy] {
        let store = TestStore::new(LARGE);
        let mut program = Program::start(&store, mode);
        program.put("room", 50_000).unwrap();
        program.put("log", 10).unwrap();
        program.volume.sync_all().unwrap();
        store.set_room(1000);
        // Fills the store until the volume knows that it is full.
        program.put("probe", 30_000).ok();
        assert!(program.volume.sync_all().is_err() || mode == Mode::Strict);
        program.unlink("probe").unwrap();
        let log =
            program.volume.open_at(&program.root, "log", Follow::No, OpenFlags::default(), WRITE).unwrap();
        for _ in 0..3 {
            assert_eq!(program.volume.write(&log, At::End, &[8; 20_000]), Err(FULL), "{mode:?}");
            assert_eq!(program.size("log"), Ok(10), "{mode:?}");
        }
        program.unlink("room").unwrap();
        assert_eq!(program.volume.write(&log, At::End, &[8; 20_000]), Ok(20_000), "{mode:?}");
        program.volume.sync(&log).unwrap();
        program.drop_file(log);
        program.check();
        assert_eq!(program.again().size("log"), Ok(20_010), "{mode:?}");
    }
}

#[test]
fn all_files_of_a_full_store_can_be_removed_whatever_is_dirty() {
    let many = Limits { max_batch_entries: 3000, ..LARGE };
    for (mode, limits) in
        [Mode::Strict, Mode::Close, Mode::Lazy].into_iter().flat_map(|mode| [(mode, LARGE), (mode, many)])
    {
        let store = TestStore::new(limits);
        let mut program = Program::start(&store, mode);
        program.mkdir("d").unwrap();
        for number in 0..1000 {
            program.put(&format!("d/f{number}"), 600).unwrap();
        }
        program.volume.sync_all().unwrap();
        store.set_room(100);
        program.put("big", 400_000).ok();
        assert!(program.volume.sync_all().is_err() || mode == Mode::Strict);
        assert_eq!(program.mkdir("told"), Err(FULL));
        // The file that finds no room goes last.
        for number in 0..1000 {
            let path = format!("d/f{number}");
            assert_eq!(program.unlink(&path), Ok(()), "{mode:?} {limits:?} {path}");
        }
        assert_eq!(program.volume.remove_directory_at(&program.root, "d"), Ok(()));
        if program.size("big").is_ok() {
            assert_eq!(program.unlink("big"), Ok(()));
        }
        program.volume.sync_all().unwrap();
        program.check();
        assert!(store.bytes() < 1000, "{mode:?}: {} bytes are left", store.bytes());
        program.put("again", 400_000).unwrap();
        program.volume.sync_all().unwrap();
        assert_eq!(program.again().size("again"), Ok(400_000));
    }
}

#[test]
fn on_a_full_store_a_file_can_be_replaced_and_cut() {
    for mode in [Mode::Strict, Mode::Close, Mode::Lazy] {
        let store = TestStore::new(LARGE);
        let mut program = Program::start(&store, mode);
        for path in ["old", "new", "cut", "shorter"] {
            program.put(path, 300_000).unwrap();
        }
        program.volume.sync_all().unwrap();
        store.set_room(100);
        program.put("lost", 100_000).ok();
        if mode != Mode::Strict {
            assert!(program.volume.sync_all().is_err());
        }
        program.volume.rename_at(&program.root, "new", &program.root, "old").unwrap();
        let truncate = OpenFlags { truncate: true, ..OpenFlags::default() };
        let cut = program.volume.open_at(&program.root, "cut", Follow::No, truncate, WRITE).unwrap();
        program.drop_file(cut);
        let shorter = program
            .volume
            .open_at(&program.root, "shorter", Follow::No, OpenFlags::default(), WRITE)
            .unwrap();
        program.volume.set_size(&shorter, 10).unwrap();
        program.drop_file(shorter);
        program.volume.sync_all().unwrap();
        program.check();
        let mut program = program.again();
        let sizes = ["old", "cut", "shorter"].map(|path| program.size(path));
        assert_eq!(sizes, [Ok(300_000), Ok(0), Ok(10)], "{mode:?}");
        assert_eq!(program.size("new"), Err(Error::NoEntry));
    }
}

/// A paged listing reads the store, which lacks the latest changes.
#[test]
fn a_directory_is_listed_and_emptied_while_the_store_refuses_everything() {
    for mode in [Mode::Close, Mode::Lazy] {
        for fault in [Fault::QuotaExceeded, Fault::ReadOnly] {
            let store = TestStore::new(LARGE);
            let mut program = Program::start(&store, mode);
            program.mkdir("d").unwrap();
            for number in 0..600 {
                program.put(&format!("d/f{number:03}"), 10).unwrap();
            }
            program.volume.sync_all().unwrap();
            store.0.borrow_mut().scan_entries_max = 100;
            let mut program = Program::start(&store, mode);
            store.set_fault(fault, 0, u64::MAX);
            for name in ["d/a", "d/f1000", "d/f300a", "d/z"] {
                program.put(name, 10).ok();
                // The first call reports the earlier failure; the second tries again.
                program.put(name, 10).ok();
            }
            program.unlink("d/f200").unwrap();
            program.unlink("d/f599").unwrap();
            let flags = OpenFlags { directory: true, ..OpenFlags::default() };
            let dir =
                program.volume.open_at(&program.root, "d", Follow::No, flags, Access::default()).unwrap();
            let mut expected: Vec<String> = (0..600).map(|number| format!("f{number:03}")).collect();
            expected.retain(|name| name != "f200" && name != "f599");
            let new = ["a", "f1000", "f300a", "z"];
            let there = new.into_iter().filter(|name| program.size(&format!("d/{name}")).is_ok());
            expected.extend(there.map(str::to_owned));
            expected.sort();
            assert!(expected.len() > 598, "too few of the new names are there");
            let listed = crate::tree::list(&mut program.volume, &dir).unwrap();
            let listed: Vec<String> = listed.into_iter().map(|(name, ..)| name).collect();
            assert!(listed == expected, "{mode:?} {fault:?}");

            let mut listing = program.volume.read_directory(&dir).unwrap();
            let mut removed = 0;
            while let Some(entry) = program.volume.next_entry(&mut listing).unwrap() {
                program.unlink(&format!("d/{}", entry.name)).unwrap();
                removed += 1;
            }
            program.volume.close_directory(listing).unwrap();
            assert_eq!(removed, expected.len());
            assert_eq!(crate::tree::list(&mut program.volume, &dir).unwrap(), []);
            store.clear_fault();
            program.volume.close(dir).unwrap();
            program.volume.remove_directory_at(&program.root, "d").unwrap();
            program.volume.sync_all().unwrap();
            program.check();
        }
    }
}

/// Removals may be stored between two pages of a listing. A page's count then says nothing about
/// the rest.
#[test]
fn a_commit_that_fails_for_one_page_of_a_listing_hides_no_name() {
    let store = TestStore::new(LARGE);
    let mut program = Program::start(&store, Mode::Close);
    program.mkdir("d").unwrap();
    let names: Vec<String> = (0..2100).map(|number| format!("f{number:04}")).collect();
    for name in &names {
        program.put(&format!("d/{name}"), 1).unwrap();
    }
    program.volume.sync_all().unwrap();
    let mut program = program.again();
    let (gone, left) = names.split_at(52);
    for name in gone {
        program.unlink(&format!("d/{name}")).unwrap();
    }
    store.set_fault(Fault::ReadOnly, 0, 1);
    let flags = OpenFlags { directory: true, ..OpenFlags::default() };
    let dir = program.volume.open_at(&program.root, "d", Follow::No, flags, Access::default()).unwrap();
    let listed = crate::tree::list(&mut program.volume, &dir).unwrap();
    program.volume.close(dir).unwrap();
    assert_eq!(store.0.borrow().faults_injected, 1);
    let listed: Vec<String> = listed.into_iter().map(|(name, ..)| name).collect();
    assert!(listed == left, "{} of {} names are listed", listed.len(), left.len());
    for name in left {
        assert_eq!(program.size(&format!("d/{name}")), Ok(1), "{name}");
    }
}

/// Removing a file with more extents than one commit deletes makes room in that commit.
#[test]
fn removing_a_large_file_makes_room_in_the_same_commit() {
    let limits = Limits { max_batch_entries: 100, ..LARGE };
    let store = TestStore::new(limits);
    let mut program = Program::start(&store, Mode::Close);
    program.put("huge", 100 * (32 << 10)).unwrap();
    program.volume.sync_all().unwrap();
    store.set_room(100);
    program.put("waits", 300_000).unwrap();
    assert_eq!(program.mkdir("d"), Err(FULL));
    assert_eq!(program.unlink("huge"), Ok(()));
    assert_eq!(program.mkdir("d"), Ok(()));
    program.check();
    assert_eq!(program.again().size("waits"), Ok(300_000));
}

/// A program that finds a full store does not know that it is full.
#[test]
fn a_new_program_removes_files_of_a_full_store_and_writes_into_their_room() {
    for mode in [Mode::Strict, Mode::Close, Mode::Lazy] {
        for limits in [LARGE, Limits { max_batch_entries: 100, ..LARGE }] {
            // Up to as many removals wait.
            for files in [1, 5, 60] {
                let store = TestStore::new(limits);
                let bytes = 12_000_000 / files;
                let mut program = Program::start(&store, mode);
                for number in 0..files {
                    program.put(&format!("f{number}"), bytes).unwrap();
                }
                program.volume.sync_all().unwrap();
                store.set_room(100);
                let mut program = program.again_in(mode);
                for number in 0..files {
                    program.unlink(&format!("f{number}")).unwrap();
                }
                let context = format!("{mode:?} {limits:?} {files} files");
                assert_eq!(program.put("new", 10_000_000), Ok(()), "{context}");
                assert_eq!(program.volume.sync_all(), Ok(()), "{context}");
                program.check();
                assert_eq!(program.again().size("new"), Ok(10_000_000), "{context}");
            }
        }
    }
}

/// A refused write does not bring back what was removed before it.
#[test]
fn removals_before_a_refused_write_are_stored() {
    for mode in [Mode::Close, Mode::Lazy] {
        let store = TestStore::new(LARGE);
        let mut program = Program::start(&store, mode);
        for path in ["gone", "stays"] {
            program.put(path, 1_000_000).unwrap();
        }
        program.volume.sync_all().unwrap();
        store.set_room(100);
        let mut program = program.again_in(mode);
        program.unlink("gone").unwrap();
        let told = program.put("large", 20_000_000).err().or_else(|| program.volume.sync_all().err());
        assert_eq!(told, Some(FULL), "{mode:?}");
        let mut program = program.again();
        assert_eq!(program.size("gone"), Err(Error::NoEntry), "{mode:?}");
        assert_eq!(program.size("stays"), Ok(1_000_000), "{mode:?}");
        program.check();
    }
}

static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Lets the store fill up. Whatever it refuses, nothing is torn, no removal reports a failure, and
/// acknowledged data is there once there is room.
fn fills_up(setup: &Setup, ops: &[Op], sabotage: Option<Sabotage>) -> Check {
    let setup = &Setup { quota: None, ..setup.clone() };
    let store = TestStore::new(setup.limits);
    store.0.borrow_mut().sabotage = sabotage;
    let mut runner = Runner::new(setup, store.clone(), false)?;
    runner.drops = true;
    let mut rng = Rng::new(ops.len() as u64 + setup.extent_bytes as u64 + setup.max_dirty_bytes as u64);
    for (index, op) in ops.iter().enumerate() {
        if index == ops.len() / 3 {
            store.set_room(rng.pick(&[0, 500, 3000, 20_000]));
        }
        if runner.is_occupied(op) || *op == Op::Reopen {
            continue;
        }
        let (before, refused) = (runner.model.clone(), store.0.borrow().faults_injected);
        let Err(story) = runner.step(index, op) else { continue };
        let is_full = story.contains("Store(QuotaExceeded") || story.contains("wrote Ok(");
        if store.0.borrow().faults_injected == refused || !is_full {
            return Err(story);
        }
        let removal = matches!(op, Op::Unlink { .. } | Op::Rmdir { .. });
        if removal && setup.mode != Mode::Strict && setup.limits == LARGE {
            return Err(format!("a removal failed: {story}"));
        }
        settle(&mut runner, &before, op).map_err(|what| format!("{what}\n({story})"))?;
    }
    REFUSED.fetch_add(store.0.borrow().faults_injected, Ordering::Relaxed);
    store.0.borrow_mut().bytes_max = usize::MAX;
    runner.finish()
}

#[test]
fn a_store_that_fills_up_tears_nothing_and_lets_everything_be_removed() {
    no_seed_fails(4_000, 60, &|setup, ops| fills_up(setup, ops, None));
    let refused = REFUSED.load(Ordering::Relaxed);
    println!("{refused} applies refused");
    assert!(std::env::var("KVFS_SEED").is_ok() || refused > 5_000, "{refused} applies refused");
}

#[test]
fn a_store_that_fills_up_above_an_image_tears_nothing() {
    no_seed_fails(1_500, 60, &|setup, ops| {
        let (setup, ops) = split(setup, ops)?;
        fills_up(&setup, ops, None)
    });
}

#[test]
fn a_full_store_that_keeps_part_of_a_refused_apply_is_noticed() {
    let kind = Sabotage::RefusalLeavesNames;
    let story = first_failure(0..400, 60, &|setup, ops| fills_up(setup, ops, Some(kind)));
    assert!(story.is_some(), "{kind:?} was not noticed");
}

/// On stores with small limits a removal may find no room beside the pending changes. It then fails
/// and has done nothing.
#[test]
fn a_removal_without_room_in_memory_does_nothing() {
    for limits in [SMALL, TINY] {
        let store = TestStore::new(limits);
        let mut program = Program::start(&store, Mode::Close);
        for number in 0..20 {
            program.put(&format!("f{number}"), 400).unwrap();
        }
        program.volume.sync_all().unwrap();
        store.set_room(0);
        program.put("waits", 300).ok();
        for number in 0..20 {
            let path = format!("f{number}");
            match program.unlink(&path) {
                Ok(()) => assert_eq!(program.size(&path), Err(Error::NoEntry)),
                Err(error) => {
                    assert_eq!(error, FULL);
                    assert_eq!(program.size(&path), Ok(400));
                }
            }
        }
        program.check();
    }
}
