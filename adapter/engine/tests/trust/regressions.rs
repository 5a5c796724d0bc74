//! Regressions: each test is the shortest sequence that shows a bug found once.

use crate::fixture::{CREATE, WRITE, create, open_volume, read};
use crate::ops::Setup;
use crate::run::TestClock;
use crate::store::{Applied, Fault, Map, SMALL, TestStore};
use kvfs::{
    Access, At, CacheLimits, Descriptor, Error, Follow, Limits, Mode, OpenFlags, Options, SetTime, Volume,
    fsck,
};

struct Fixture {
    store: TestStore,
    options: Options,
}

impl Fixture {
    fn new(limits: Limits, options: Options) -> Self {
        Self { store: TestStore::new(limits), options }
    }

    fn open(&self) -> (Volume, Descriptor) {
        open_volume(&self.store, self.options.clone())
    }

    /// The store after every cut, with the number of applies that it keeps.
    fn cuts(&self) -> Vec<(usize, TestStore)> {
        let (limits, log) = (self.store.0.borrow().limits, self.store.0.borrow().log.clone());
        let mut map = Map::new();
        let cut = |(applies, applied): (usize, &Applied)| {
            applied.replay(&mut map);
            (applies, TestStore::from_map(map.clone(), limits))
        };
        (1..).zip(&log).map(cut).collect()
    }

    /// Checks what a cut after any apply leaves.
    fn check_every_cut(&self) {
        for (applies, mut store) in self.cuts() {
            let report = fsck(&mut store, &self.options.volume).unwrap();
            assert!(report.is_clean(), "cut after {applies} applies: {:#?}", report.findings);
        }
    }

    /// Passes `check` the content of the file `a` after every cut that keeps `first` applies or
    /// more.
    fn read_after_every_cut(&self, first: usize, mut check: impl FnMut(usize, &[u8])) {
        for (applies, store) in self.cuts().into_iter().filter(|(applies, _)| *applies >= first) {
            let (mut volume, root) = open_volume(&store, options());
            check(applies, &read(&mut volume, &root, "a").unwrap());
        }
    }

    fn check(&self) {
        let report = fsck(&mut self.store.clone(), &self.options.volume).unwrap();
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
}

fn options() -> Options {
    Options { volume: "v".to_owned(), extent_bytes: 512, inline_bytes: 0, ..Options::default() }
}

fn touch(volume: &mut Volume, root: &Descriptor, name: &str) {
    let file = volume.open_at(root, name, Follow::No, CREATE, WRITE).unwrap();
    volume.close(file).unwrap();
}

#[test]
fn regression_names_missing_when_a_scan_answers_less_than_asked() {
    let fixture = Fixture::new(Setup::plain().limits, options());
    let (mut volume, root) = fixture.open();
    for name in ["a", "b", "c", "d"] {
        touch(&mut volume, &root, name);
    }
    fixture.store.0.borrow_mut().scan_entries_max = 2;
    let (mut volume, root) = fixture.open();
    assert!(volume.stat_at(&root, "d", Follow::No).is_ok());
    let (mut volume, root) = fixture.open();
    assert_eq!(crate::tree::list(&mut volume, &root).unwrap().len(), 4);
}

#[test]
fn regression_garbage_forgotten_when_a_scan_answers_less_than_asked() {
    let fixture = Fixture::new(SMALL, Options { mode: Mode::Close, ..options() });
    let (mut volume, root) = fixture.open();
    let files: Vec<_> = ["a", "b"]
        .map(|name| {
            let file = create(&mut volume, &root, name);
            volume.write(&file, At::End, &[7; 10_000]).unwrap();
            volume.sync_all().unwrap();
            file
        })
        .into();
    for file in &files {
        volume.set_size(file, 1).unwrap();
    }
    volume.sync_all().unwrap();
    drop(volume);

    fixture.store.0.borrow_mut().scan_entries_max = 1;
    let (mut volume, root) = fixture.open();
    for name in ["a", "b"] {
        let file = volume.open_at(&root, name, Follow::No, OpenFlags::default(), WRITE).unwrap();
        volume.set_size(&file, 10_000).unwrap();
        let mut bytes = Vec::new();
        volume.read(&file, 0, 10_000, &mut bytes).unwrap();
        assert!(bytes[0] == 7 && bytes[1..].iter().all(|byte| *byte == 0), "{name}: old bytes are back");
        volume.close(file).unwrap();
    }
    volume.sync_all().unwrap();
    fixture.check();
}

#[test]
fn regression_zeros_when_a_file_moves_from_its_record_to_smaller_extents() {
    let fixture = Fixture::new(Setup::plain().limits, Options { inline_bytes: 4096, ..options() });
    let (mut volume, root) = fixture.open();
    let file = create(&mut volume, &root, "a");
    volume.write(&file, At::End, &[7; 4096]).unwrap();
    volume.write(&file, At::End, &[7; 4096]).unwrap();
    let mut bytes = Vec::new();
    volume.read(&file, 0, 10_000, &mut bytes).unwrap();
    assert_eq!(bytes, [7; 8192]);
    volume.close(file).unwrap();
    fixture.check();
}

/// Makes small commits, each of which takes some garbage along.
fn idle_commits(volume: &mut Volume, root: &Descriptor, count: u32) {
    for _ in 0..count {
        volume.set_times_at(root, ".", Follow::No, SetTime::Now, SetTime::Keep).unwrap();
    }
}

#[test]
fn regression_garbage_never_deleted_on_a_store_with_small_batches() {
    let fixture = Fixture::new(SMALL, options());
    let (mut volume, root) = fixture.open();
    let file = create(&mut volume, &root, "a");
    volume.write(&file, At::End, &[7; 10_000]).unwrap();
    volume.close(file).unwrap();
    volume.unlink_file_at(&root, "a").unwrap();
    idle_commits(&mut volume, &root, 10);
    assert_eq!(fsck(&mut fixture.store.clone(), "v").unwrap().garbage_extents, 0);
}

#[test]
fn regression_garbage_of_a_large_or_sparse_file_never_deleted() {
    let fixture = Fixture::new(Setup::plain().limits, options());
    let (mut volume, root) = fixture.open();
    let file = create(&mut volume, &root, "a");
    for offset in [0, 512 * 5000, 1 << 40, i64::MAX as u64 - 1] {
        volume.write(&file, At::Offset(offset), &[7]).unwrap();
    }
    volume.close(file).unwrap();
    volume.unlink_file_at(&root, "a").unwrap();
    idle_commits(&mut volume, &root, 10);
    assert_eq!(fsck(&mut fixture.store.clone(), "v").unwrap().garbage_extents, 0);
    fixture.check();
}

#[test]
fn regression_orphans_behind_the_first_page_never_removed() {
    let fixture = Fixture::new(SMALL, options());
    let (mut volume, root) = fixture.open();
    for name in ["a", "b", "c", "d"] {
        let file = create(&mut volume, &root, name);
        volume.unlink_file_at(&root, name).unwrap();
        volume.write(&file, At::End, &[7; 2000]).unwrap();
    }
    volume.sync_all().unwrap();
    fixture.store.0.borrow_mut().scan_entries_max = 1;
    let (mut volume, root) = fixture.open();
    idle_commits(&mut volume, &root, 10);
    let report = fsck(&mut fixture.store.clone(), "v").unwrap();
    assert_eq!((report.orphans, report.inodes), (0, 1));
    fixture.check();
}

#[test]
fn regression_commit_over_the_batch_limit_after_closing_unlinked_files() {
    let limits = Limits { max_batch_entries: 60, ..Setup::plain().limits };
    let fixture = Fixture::new(limits, Options { mode: Mode::Lazy, ..options() });
    let (mut volume, root) = fixture.open();
    let names: Vec<String> = (0..6).map(|number| number.to_string()).collect();
    let mut files = Vec::new();
    for name in &names {
        let file = create(&mut volume, &root, name);
        volume.write(&file, At::End, &[7; 512 * 14]).unwrap();
        files.push(file);
    }
    volume.sync_all().unwrap();
    for name in &names {
        volume.unlink_file_at(&root, name).unwrap();
    }
    for file in files {
        volume.close(file).unwrap();
    }
    for _ in 0..6 {
        idle_commits(&mut volume, &root, 1);
        volume.sync_all().unwrap();
    }
    fixture.check();
    assert_eq!((volume.used().inodes, volume.used().names), (1, 0));
}

#[test]
fn regression_garbage_without_a_record_after_an_unknown_outcome() {
    for fault in [Fault::UnknownNotApplied, Fault::UnknownApplied] {
        for call in 0..8 {
            let fixture = Fixture::new(SMALL, options());
            let (mut volume, root) = fixture.open();
            let file = create(&mut volume, &root, "a");
            volume.write(&file, At::End, &[7; 9000]).unwrap();
            fixture.store.set_fault(fault, call, 1);
            volume.close(file).unwrap();
            volume.sync_all().unwrap();
            fixture.check_every_cut();
        }
    }
}

#[test]
fn regression_wrong_extent_count_after_a_cut_while_holes_are_filled() {
    let fixture = Fixture::new(SMALL, options());
    let (mut volume, root) = fixture.open();
    let file = create(&mut volume, &root, "a");
    volume.set_size(&file, 20_000).unwrap();
    volume.sync_all().unwrap();
    assert_eq!(volume.write(&file, At::Offset(0), &[7; 15_000]), Ok(15_000));
    volume.close(file).unwrap();
    fixture.check_every_cut();
}

#[test]
fn regression_zeros_in_a_file_cut_while_it_is_rewritten() {
    let limits = Limits { max_batch_entries: 30, ..Setup::plain().limits };
    let fixture = Fixture::new(limits, Options { mode: Mode::Lazy, ..options() });
    let (mut volume, root) = fixture.open();
    let file = create(&mut volume, &root, "a");
    volume.write(&file, At::Offset(0), &[7; 1800]).unwrap();
    volume.sync_all().unwrap();
    let before = fixture.store.log_len();
    volume.set_size(&file, 0).unwrap();
    for extent in 0..40 {
        volume.write(&file, At::Offset(512 * extent), &[8; 10]).unwrap();
    }
    volume.sync_all().unwrap();
    // The old bytes are whole, or the file was cut.
    fixture.read_after_every_cut(before + 1, |applies, bytes| {
        let untouched = bytes.len() == 1800 && bytes.iter().all(|byte| *byte == 7);
        let cut_short = bytes.len() != 1800 && !bytes.contains(&7);
        assert!(untouched || cut_short, "cut after {applies} applies: {} bytes", bytes.len());
    });
    fixture.check_every_cut();
}

#[test]
fn regression_moving_a_directory_into_itself_is_not_invalid_over_an_existing_name() {
    let fixture = Fixture::new(Setup::plain().limits, options());
    let (mut volume, root) = fixture.open();
    volume.create_directory_at(&root, "d").unwrap();
    touch(&mut volume, &root, "d/a");
    for target in ["d/a", "d/b"] {
        assert_eq!(volume.rename_at(&root, "d", &root, target), Err(kvfs::Error::Invalid));
    }
}

#[test]
fn regression_the_path_slash_is_permitted_to_some_operations() {
    let fixture = Fixture::new(Setup::plain().limits, options());
    let (mut volume, root) = fixture.open();
    let not_permitted = Err(kvfs::Error::NotPermitted);
    assert_eq!(volume.create_directory_at(&root, "/"), not_permitted);
    assert_eq!(volume.remove_directory_at(&root, "//"), not_permitted);
    assert_eq!(volume.rename_at(&root, "/", &root, "a"), not_permitted);
}

#[test]
fn regression_an_inode_number_is_reused_after_a_cut_in_a_split_commit() {
    let limits = Limits { max_batch_entries: 30, ..Setup::plain().limits };
    let fixture = Fixture::new(limits, Options { mode: Mode::Lazy, ..options() });
    let (mut volume, root) = fixture.open();
    let file = create(&mut volume, &root, "a");
    volume.write(&file, At::Offset(0), &[7; 15_000]).unwrap();
    volume.sync_all().unwrap();
    fixture.check_every_cut();
}

#[test]
fn regression_a_listing_shows_a_removed_name() {
    let fixture = Fixture::new(Setup::plain().limits, options());
    let (mut volume, root) = fixture.open();
    touch(&mut volume, &root, "a");
    touch(&mut volume, &root, "b");
    let (mut volume, root) = fixture.open();
    let mut listing = volume.read_directory(&root).unwrap();
    assert_eq!(&*volume.next_entry(&mut listing).unwrap().unwrap().name, "a");
    volume.unlink_file_at(&root, "b").unwrap();
    assert_eq!(volume.next_entry(&mut listing).unwrap(), None);
    volume.close_directory(listing).unwrap();
}

/// Flips a bit in the last value whose key has this tag.
fn damage_last(fixture: &Fixture, tag: u8) {
    let mut inner = fixture.store.0.borrow_mut();
    let (_, value) = inner.map.iter_mut().rfind(|(key, _)| crate::store::tag_of(key) == tag).unwrap();
    let mut bytes = value.to_vec();
    bytes[20] ^= 1;
    *value = std::rc::Rc::from(bytes);
}

#[test]
fn regression_damage_makes_the_good_bytes_before_it_unreadable() {
    let fixture = Fixture::new(Setup::plain().limits, options());
    let (mut volume, root) = fixture.open();
    let file = create(&mut volume, &root, "a");
    volume.write(&file, At::Offset(0), &[7; 5 * 512]).unwrap();
    volume.sync_all().unwrap();
    damage_last(&fixture, 0x20);
    let (mut volume, root) = fixture.open();
    let file = volume.open_at(&root, "a", Follow::No, OpenFlags::default(), WRITE).unwrap();
    let mut bytes = Vec::new();
    for extent in 0..4 {
        assert_eq!(volume.read(&file, extent * 512, 512, &mut bytes), Ok(512), "extent {extent}");
    }
    assert!(matches!(volume.read(&file, 4 * 512, 512, &mut bytes), Err(kvfs::Error::Damaged(_))));
    assert_eq!(bytes, [7; 4 * 512]);
}

#[test]
fn regression_damage_hides_the_good_names_beside_it() {
    let fixture = Fixture::new(Setup::plain().limits, options());
    let (mut volume, root) = fixture.open();
    touch(&mut volume, &root, "a");
    touch(&mut volume, &root, "b");
    damage_last(&fixture, 0x11);
    let (mut volume, root) = fixture.open();
    assert!(volume.stat_at(&root, "a", Follow::No).is_ok());
    assert_eq!(volume.stat_at(&root, "c", Follow::No), Err(kvfs::Error::NoEntry));
    assert!(matches!(volume.stat_at(&root, "b", Follow::No), Err(kvfs::Error::Damaged(_))));
}

/// The random suites missed this bug when it was planted: the cut-off tail of a file must not reach
/// the store before the new size.
#[test]
fn a_cut_tail_stays_with_its_inode() {
    let limits = Limits { max_batch_entries: 30, ..Setup::plain().limits };
    let fixture = Fixture::new(limits, Options { mode: Mode::Lazy, ..options() });
    let (mut volume, root) = fixture.open();
    let file = create(&mut volume, &root, "a");
    volume.write(&file, At::Offset(0), &[7; 500]).unwrap();
    volume.sync_all().unwrap();
    let before = fixture.store.log_len();
    volume.set_size(&file, 100).unwrap();
    let other = create(&mut volume, &root, "b");
    volume.write(&other, At::Offset(0), &[8; 40 * 512]).unwrap();
    volume.sync_all().unwrap();
    let is_split = fixture.store.0.borrow().log[before..].iter().any(Applied::is_stage);
    assert!(is_split, "the commit was not split");
    fixture.read_after_every_cut(before, |applies, bytes| {
        assert!(bytes == [7; 500] || bytes == [7; 100], "cut after {applies} applies: {bytes:?}");
    });
}

/// With more open files than the cache holds, every operation walked all of them and freed nothing.
#[test]
fn regression_operations_slow_down_when_more_files_are_open_than_the_cache_holds() {
    let options = kvfs::Options {
        cache: kvfs::CacheLimits { inodes: 1000, ..kvfs::CacheLimits::default() },
        mode: Mode::Lazy,
        ..kvfs::Options::default()
    };
    let store = kvfs::MemoryStore::default();
    let mut volume = Volume::open(Box::new(store), Box::new(TestClock::default()), options).unwrap();
    let root = volume.root().unwrap();
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let files: Vec<_> = (0..20_000)
        .map(|i| volume.open_at(&root, &format!("f{i}"), Follow::No, create, Access::default()).unwrap())
        .collect();
    let start = std::time::Instant::now();
    for _ in 0..10_000 {
        volume.stat_at(&root, "f1", Follow::No).unwrap();
    }
    // A walk over 20,000 files takes a millisecond, so all would take ten seconds and more.
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
    for file in files {
        volume.close(file).unwrap();
    }
}

#[test]
fn regression_a_full_store_stays_full_when_new_bytes_follow_a_removal() {
    let fixture = Fixture::new(Setup::plain().limits, options());
    fixture.store.set_room(200_000);
    let (mut volume, root) = fixture.open();
    let file = create(&mut volume, &root, "big");
    let full = (0..400).map_while(|piece| {
        volume.write(&file, At::Offset(piece * 1024), &[7; 1024]).ok()?;
        volume.sync(&file).ok()
    });
    let pieces = full.count();
    assert!((100..300).contains(&pieces), "{pieces}");
    // Its last bytes found no room, and the close reports it too.
    assert!(volume.close(file).is_err());
    volume.unlink_file_at(&root, "big").unwrap();
    // Before the next commit.
    let again = create(&mut volume, &root, "again");
    volume.write(&again, At::Offset(0), &[8; 50_000]).unwrap();
    volume.sync(&again).unwrap();
    volume.close(again).unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    fixture.check();
    let (mut volume, root) = fixture.open();
    assert_eq!(volume.stat_at(&root, "again", Follow::No).unwrap().size, 50_000);
}

/// The page of a small store had as many names as were counted before an apply of unknown outcome,
/// which had added one: the directory was taken for complete, and its last name for missing.
#[test]
fn regression_a_lookup_in_doubt_hides_the_names_behind_a_page() {
    for (call, fault) in (0..6).flat_map(|call| [(call, Fault::GoneApplied), (call, Fault::GoneNotApplied)]) {
        let cache = CacheLimits { dentries: 0, ..CacheLimits::default() };
        let fixture = Fixture::new(SMALL, Options { cache, ..options() });
        fixture.store.0.borrow_mut().scan_entries_max = 3;
        let (mut volume, root) = fixture.open();
        for name in ["b", "c", "d"] {
            volume.create_directory_at(&root, name).unwrap();
        }
        volume.sync_all().unwrap();
        fixture.store.set_fault(fault, call, u64::MAX);
        let made = volume.create_directory_at(&root, "a");
        fixture.store.clear_fault();
        // Looks do not ask whether the apply took.
        volume.stat_at(&root, "e", Follow::No).unwrap_err();
        for name in ["b", "c", "d"] {
            assert!(volume.stat_at(&root, name, Follow::No).is_ok(), "{name}, {fault:?} at {call}: {made:?}");
        }
        assert_eq!(volume.create_directory_at(&root, "d"), Err(Error::Exist), "{fault:?} at {call}");
        volume.sync_all().unwrap();
        drop(volume);
        fixture.check();
    }
}
