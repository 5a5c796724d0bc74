//! The settings of a volume: who sets them, who keeps them, and that damage never lifts them.

use crate::fixture::{CREATE, WRITE, create, open_volume, read, write};
use crate::run::TestClock;
use crate::store::{Fault, JOURNALLED, LARGE, TestStore, tag_of};
use kvfs::fuzzing::framed;
use kvfs::image::{Image, pack};
use kvfs::{
    At, Code, Descriptor, Durability, Entry, Error, Follow, Guard, Invariant, KvStore, Limits, Mutation,
    OpenFlags, Options, Quota, RepairOptions, Report, Scope, Scrubbing, Settings, StoreError, Volume, fsck,
    probe, repair, set_settings, settings,
};
use std::rc::Rc;

const SUPERBLOCK: &[u8] = b"\x04main\x00";
const RECORD: &[u8] = b"\x04main\x01";

fn open(store: &TestStore) -> (Volume, Descriptor) {
    open_volume(store, Options::default())
}

fn reopen(store: &TestStore) -> Result<Volume, Error> {
    Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), Options::default())
}

fn open_with(store: &TestStore, quota: Option<Quota>) -> Volume {
    let options = Options { quota, ..Options::default() };
    Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), options).unwrap()
}

fn largest(bytes: u64) -> Quota {
    Quota { file_bytes: Some(bytes), ..Quota::default() }
}

fn to_quota(quota: Quota) -> impl FnMut(Result<Settings, Error>) -> Result<Settings, Error> {
    move |settings| {
        settings.map(|mut settings| {
            settings.quota = quota;
            settings
        })
    }
}

fn value(store: &TestStore, key: &[u8]) -> Option<Rc<[u8]>> {
    store.0.borrow().map.get(key).cloned()
}

fn incompat(store: &TestStore) -> u8 {
    value(store, SUPERBLOCK).unwrap()[39]
}

/// A store with one file and a limit on files.
fn limited() -> TestStore {
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open(&store);
    write(&mut volume, &root, "a", &[7; 6000]);
    volume.set_quota(largest(5000)).unwrap();
    volume.sync_all().unwrap();
    assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
    store
}

#[test]
fn a_file_grows_to_its_limit_and_no_further() {
    for limits in [LARGE, JOURNALLED[0], JOURNALLED[3]] {
        for limit in [1, 100, 4096, 5000, 100_000] {
            let store = TestStore::new(limits);
            let options = Options { quota: Some(largest(limit)), ..Options::default() };
            let (mut volume, root) = open_volume(&store, options);
            let file = create(&mut volume, &root, "a");
            let all = vec![1; 150_000];
            assert_eq!(volume.write(&file, At::Offset(0), &all), Ok(limit as usize), "cut short");
            for at in [At::End, At::Offset(limit), At::Offset(limit + 1), At::Offset(1 << 40)] {
                assert_eq!(volume.write(&file, at, &[2]), Err(Error::FileTooLarge), "{at:?}");
            }
            assert_eq!(Error::FileTooLarge.code(), Code::FileTooLarge);
            assert_eq!(volume.write(&file, At::End, &[]), Ok(0), "nothing fits everywhere");
            assert_eq!(volume.write(&file, At::Offset(limit - 1), &[3, 3]), Ok(1));
            assert_eq!(volume.set_size(&file, limit + 1), Err(Error::FileTooLarge));
            volume.set_size(&file, limit).unwrap();
            assert_eq!(volume.place(&file, At::Offset(limit - 1), 2, |_| {}), Ok(false), "it would be cut");
            assert_eq!(volume.place(&file, At::End, 1, |_| {}), Err(Error::FileTooLarge));
            volume.set_size(&file, 0).unwrap();
            assert_eq!(volume.write(&file, At::Offset(limit - 1), &[4, 4]), Ok(1), "behind a hole");
            assert_eq!(volume.stat(&file).unwrap().size, limit);
            volume.close(file).unwrap();
            volume.sync_all().unwrap();
            let mut expected = vec![0; limit as usize - 1];
            expected.push(4);
            drop(volume);
            let (mut volume, root) = open(&store);
            assert_eq!(read(&mut volume, &root, "a"), Ok(expected));
            assert_eq!(volume.quota(), largest(limit), "it stays with the volume");
            assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
        }
    }
}

#[test]
fn what_is_larger_than_the_limit_is_read_and_shrinks() {
    for size in [3000, 200_000] {
        let store = TestStore::new(LARGE);
        let (mut volume, root) = open(&store);
        write(&mut volume, &root, "a", &vec![7; size]);
        volume.set_quota(largest(1000)).unwrap();
        assert_eq!(read(&mut volume, &root, "a"), Ok(vec![7; size]));
        let file = create(&mut volume, &root, "a");
        assert_eq!(volume.write(&file, At::Offset(990), &[8; 20]), Ok(10), "as Linux: none behind the limit");
        assert_eq!(volume.write(&file, At::Offset(1000), &[8]), Err(Error::FileTooLarge));
        assert_eq!(volume.set_size(&file, size as u64 + 1), Err(Error::FileTooLarge));
        volume.set_size(&file, size as u64).unwrap();
        volume.set_size(&file, size as u64 - 1).unwrap();
        volume.rename_at(&root, "a", &root, "b").unwrap();
        volume.link_at(&root, "b", Follow::No, &root, "c").unwrap();
        volume.set_size(&file, 1000).unwrap();
        assert_eq!(volume.set_size(&file, 1001), Err(Error::FileTooLarge));
        volume.set_quota(Quota::default()).unwrap();
        assert_eq!(volume.write(&file, At::End, &[9; 9]), Ok(9));
        assert_eq!(volume.stat(&file).unwrap().size, 1009);
        volume.close(file).unwrap();
        volume.sync_all().unwrap();
        assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
    }
}

#[test]
fn what_is_larger_than_the_limit_is_scrubbed_behind_it_too() {
    const SECRET: &[u8] = b"a secret of old";
    for (size, at) in [(3000, 2000), (3000, 995), (200_000, 150_000)] {
        let store = TestStore::new(LARGE);
        let (mut volume, root) = open(&store);
        let mut bytes = vec![b'.'; size];
        bytes[at..at + SECRET.len()].copy_from_slice(SECRET);
        write(&mut volume, &root, "a", &bytes);
        volume.close(root).unwrap();
        let mut settings = volume.settings();
        settings.quota = largest(1000);
        settings.scrubbing = Some(Scrubbing::new([5; 16], &[SECRET], Scope::All).unwrap());
        volume.set_settings(&settings).unwrap();
        let root = volume.root().unwrap();
        let file = create(&mut volume, &root, "a");
        assert_eq!(volume.write(&file, At::Offset(0), b"new"), Ok(3));
        bytes[..3].copy_from_slice(b"new");
        bytes[at..at + SECRET.len()].fill(b'*');
        assert_eq!(read(&mut volume, &root, "a"), Ok(bytes));
        assert_eq!(volume.write(&file, At::Offset(1000), b"x"), Err(Error::FileTooLarge));
        volume.set_size(&file, size as u64 - 1).unwrap();
        volume.close(file).unwrap();
        volume.sync_all().unwrap();
        assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
    }
}

#[test]
fn a_volume_without_settings_is_as_older_versions_know_it() {
    let store = limited();
    assert_eq!(incompat(&store) & 16, 16, "older versions must refuse it");
    assert_eq!(value(&store, SUPERBLOCK).unwrap()[27], 4, "the format's minor");
    let mut volume = reopen(&store).unwrap();
    volume.set_quota(Quota::default()).unwrap();
    assert_eq!((value(&store, RECORD), incompat(&store) & 16), (None, 0));
    assert_eq!(value(&store, SUPERBLOCK).unwrap()[27], 3);
    // Also an opener may lift it.
    volume.set_quota(largest(9)).unwrap();
    assert!(value(&store, RECORD).is_some());
    drop(open_with(&store, Some(Quota::default())));
    assert_eq!((value(&store, RECORD), incompat(&store) & 16), (None, 0));
    assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
}

#[test]
fn opening_with_settings_costs_no_call_more_and_with_others_one_apply() {
    let store = limited();
    for (quota, applies) in [(None, 1), (Some(largest(5000)), 1), (Some(largest(6000)), 2)] {
        store.reset_calls();
        drop(open_with(&store, quota));
        let calls = store.calls();
        assert_eq!(
            (calls.limits, calls.gets, calls.keys_got, calls.applies, calls.scans),
            (1, 1, 2, applies, 1)
        );
    }
}

#[test]
fn an_opener_counts_by_its_own_limit_on_a_full_store_too() {
    let store = limited();
    store.set_room(0);
    let (mut volume, root) = open_volume(&store, Options { quota: Some(largest(10)), ..Options::default() });
    let file = create(&mut volume, &root, "a");
    assert_eq!(volume.write(&file, At::Offset(10), &[1]), Err(Error::FileTooLarge));
    volume.unlink_file_at(&root, "a").unwrap();
}

#[test]
fn settings_are_set_after_an_unknown_outcome_and_not_after_a_failure() {
    for (fault, counts, stored) in [
        (Fault::Unavailable, 5000, 5000),
        (Fault::ReadOnly, 5000, 5000),
        (Fault::UnknownNotApplied, 10, 5000),
        (Fault::UnknownApplied, 10, 10),
    ] {
        let store = limited();
        let (mut volume, root) = open(&store);
        store.set_fault(fault, 0, 1);
        assert!(volume.set_quota(largest(10)).is_err());
        store.clear_fault();
        assert_eq!(volume.quota(), largest(counts), "{fault:?}");
        write(&mut volume, &root, "b", &[1; 10]);
        volume.sync_all().unwrap();
        assert_eq!(reopen(&store).unwrap().quota(), largest(stored), "{fault:?}");
        assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
    }
}

#[test]
fn a_tool_sets_settings_without_opening_and_fences_who_has_it_open() {
    let mut store = limited();
    let (mut volume, root) = open(&store);
    let quota = Quota { bytes: Some(1 << 20), inodes: Some(9), names: Some(8), file_bytes: Some(70) };
    store.reset_calls();
    set_settings(&mut store, "main", &mut to_quota(quota)).unwrap();
    let calls = store.calls();
    assert_eq!((calls.limits, calls.gets, calls.applies, calls.total()), (1, 1, 1, 3));
    assert!(store.0.borrow().log.last().unwrap().durable);
    assert_eq!(volume.create_directory_at(&root, "late"), Err(Error::Fenced), "it knows other limits");
    let (shown, used) = settings(&mut store, "main").unwrap();
    assert_eq!((shown.quota, used.inodes, used.names), (quota, 2, 1));
    let (mut volume, root) = open(&store);
    assert_eq!(volume.quota(), quota);
    assert_eq!(read(&mut volume, &root, "a"), Ok(vec![7; 6000]));
    assert!(fsck(&mut store, "main").unwrap().is_clean());

    assert_eq!(settings(&mut store, "other").err(), Some(Error::NoEntry));
    let told = set_settings(&mut store, "other", &mut |_| panic!("there are none"));
    assert_eq!(told, Err(Error::NoEntry), "a tool makes no volume");
    assert_eq!(set_settings(&mut store, "", &mut |_| panic!("no volume")), Err(Error::Invalid));
    assert_eq!(set_settings(&mut store, "main", &mut |_| Err(Error::Access)), Err(Error::Access));
    let log = store.log_len();
    volume.create_directory_at(&root, "still").unwrap();
    assert_eq!(store.log_len(), log + 1, "nothing was taken over");
    store.0.borrow_mut().map.remove(SUPERBLOCK);
    assert!(matches!(settings(&mut store, "main"), Err(Error::Damaged(_))), "there is a root");
}

#[test]
fn a_tool_needs_several_attempts_if_the_outcome_is_unknown() {
    for fault in [Fault::UnknownApplied, Fault::UnknownNotApplied] {
        let mut store = limited();
        // After `get-limits` and `get`.
        store.set_fault(fault, 2, 1);
        set_settings(&mut store, "main", &mut to_quota(largest(3))).unwrap();
        store.clear_fault();
        assert_eq!(settings(&mut store, "main").unwrap().0.quota, largest(3));
        assert!(fsck(&mut store, "main").unwrap().is_clean());
    }
}

/// Ways to break settings, with the invariants that then do not hold.
type Breakage = (&'static str, fn(&TestStore), Invariant);

const BREAKAGES: [Breakage; 5] = [
    ("lost", |store| drop(store.0.borrow_mut().map.remove(RECORD)), Invariant::Settings),
    ("flipped", |store| put(store, RECORD, |value| *value.last_mut().unwrap() ^= 1), Invariant::Value),
    ("cut", |store| put(store, RECORD, |value| value.truncate(20)), Invariant::Value),
    ("stray", |store| tell_of(store, None), Invariant::Settings),
    ("old", |store| tell_of(store, Some(77)), Invariant::Settings),
];

fn put(store: &TestStore, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = value(store, key).unwrap_or_default().to_vec();
    change(&mut bytes);
    store.0.borrow_mut().map.insert(key.to_vec(), Rc::from(bytes));
}

/// Makes the superblock tell of settings of a generation, or of none.
fn tell_of(store: &TestStore, generation: Option<u8>) {
    put(store, SUPERBLOCK, |value| {
        let mut body = value[16..].to_vec();
        if body[23] & 16 != 0 {
            body.pop();
        }
        body[23] = body[23] & !16 | if generation.is_some() { 16 } else { 0 };
        body.extend(generation);
        *value = framed(SUPERBLOCK, 0, &body);
    });
}

fn found(report: &Report) -> Vec<Invariant> {
    report.findings.iter().map(|finding| finding.invariant).collect()
}

#[test]
fn broken_settings_keep_a_volume_from_being_opened() {
    for (name, breakage, invariant) in BREAKAGES {
        let mut store = limited();
        breakage(&store);
        let before = store.0.borrow().map.clone();
        let told = |outcome: Option<Error>| match outcome {
            Some(Error::Damaged(damage)) => assert_eq!(damage.record, "settings", "{name}"),
            other => panic!("{name}: {other:?}"),
        };
        told(reopen(&store).err());
        told(probe(&mut store, "main").err());
        told(settings(&mut store, "main").err());
        told(set_settings(&mut store, "main", &mut to_quota(Quota::default())).err());
        let lifts = Options { quota: Some(Quota::default()), ..Options::default() };
        told(Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), lifts).err());
        assert_eq!(store.0.borrow().map, before, "{name}: nothing was changed");
        let report = fsck(&mut store, "main").unwrap();
        assert_eq!(found(&report), [invariant], "{name}");
        assert_eq!(report.findings[0].key, RECORD);

        // A tool that knows of the damage sets them anew.
        let mut anew = |before: Result<Settings, Error>| {
            assert!(matches!(before, Err(Error::Damaged(_))), "{name}");
            let mut settings = Settings::default();
            settings.quota = largest(77);
            Ok(settings)
        };
        set_settings(&mut store, "main", &mut anew).unwrap();
        assert!(fsck(&mut store, "main").unwrap().is_clean(), "{name}");
        assert_eq!(reopen(&store).unwrap().quota(), largest(77), "{name}");
    }
}

#[test]
fn a_repair_believes_settings_and_gives_them_up_only_if_told_so() {
    for (name, breakage, invariant) in BREAKAGES {
        let readable = matches!(name, "stray" | "old");
        for accept_loss in [false, true] {
            let mut store = limited();
            breakage(&store);
            let options = RepairOptions { accept_loss };
            let done = repair(&mut store, &mut TestClock::default(), "main", options).unwrap();
            if readable {
                assert!(done.after.is_clean(), "{name}: {done:?}");
                assert_eq!(reopen(&store).unwrap().quota(), largest(5000), "{name}");
            } else if accept_loss {
                assert!(done.after.is_clean(), "{name}: {done:?}");
                assert_eq!(reopen(&store).unwrap().quota(), Quota::default(), "{name}");
                assert!(done.fixes.iter().any(|fix| fix.what.contains("count no more")), "{name}: {done:?}");
            } else {
                assert_eq!(found(&done.after), [invariant], "{name}");
                assert!(matches!(reopen(&store), Err(Error::Damaged(_))), "{name}");
            }
            let again = repair(&mut store, &mut TestClock::default(), "main", options).unwrap();
            assert_eq!(again.fixes, [], "{name}");
        }
    }
}

#[test]
fn a_repair_that_makes_the_superblock_anew_keeps_settings() {
    for (damaged, file_bytes) in [(false, Some(5000)), (true, None)] {
        let mut store = limited();
        put(&store, SUPERBLOCK, |value| value[60] ^= 1);
        if damaged {
            put(&store, RECORD, |value| *value.last_mut().unwrap() ^= 1);
        }
        let done = repair(&mut store, &mut TestClock::default(), "main", RepairOptions::default()).unwrap();
        match file_bytes {
            Some(bytes) => {
                assert!(done.after.is_clean(), "{done:?}");
                assert_eq!(reopen(&store).unwrap().quota(), largest(bytes));
            }
            None => assert!(matches!(reopen(&store), Err(Error::Damaged(_))), "{done:?}"),
        }
    }
}

/// The record with one more field, which this version does not know.
fn add_field(store: &TestStore, id: u16, bytes: &[u8]) {
    put(store, RECORD, |value| {
        let mut body = value[16..].to_vec();
        let length = u32::try_from(bytes.len()).unwrap();
        let field = [&id.to_be_bytes()[..], &length.to_be_bytes(), bytes].concat();
        // The field of the largest file, which has the number 4001.
        let at = if id < 0x4001 { 4 } else { body.len() };
        body.splice(at..at, field);
        *value = framed(RECORD, 1, &body);
    });
}

#[test]
fn settings_of_a_newer_version_are_kept_or_refused() {
    let newer = |outcome: Option<Error>| matches!(outcome, Some(Error::Format(_)));
    for (id, checks, opens) in [(0x8001, true, true), (0x4fff, true, false), (0x0001, false, false)] {
        let mut store = limited();
        add_field(&store, id, b"new");
        assert_eq!(fsck(&mut store, "main").is_ok_and(|report| report.is_clean()), checks, "{id:04x}");
        assert_eq!(newer(fsck(&mut store, "main").err()), !checks, "{id:04x}");
        assert_eq!(newer(reopen(&store).err()), !opens, "{id:04x}");
        let outcome = set_settings(&mut store, "main", &mut to_quota(largest(9)));
        assert_eq!(newer(outcome.err()), !opens, "{id:04x}");
        put(&store, SUPERBLOCK, |value| value[60] ^= 1);
        let outcome = repair(&mut store, &mut TestClock::default(), "main", RepairOptions::default());
        assert_eq!(newer(outcome.err()), !opens, "{id:04x}: a repair writes too");
        if opens {
            let mut volume = reopen(&store).unwrap();
            assert_eq!(volume.quota(), largest(9));
            volume.set_quota(largest(10)).unwrap();
            volume.set_quota(Quota::default()).unwrap();
            let value = value(&store, RECORD).unwrap();
            assert_eq!(&value[20..], b"\x80\x01\0\0\0\x03new", "it is kept");
            assert!(fsck(&mut store, "main").unwrap().is_clean());
        }
    }
}

#[test]
fn settings_that_do_not_fit_the_store_are_refused() {
    let store = limited();
    add_field(&store, 0x8001, &[7; 40_000]);
    let map = store.0.borrow().map.clone();
    for limits in [Limits { max_value_bytes: 34_000, ..LARGE }, Limits { max_batch_bytes: 40_000, ..LARGE }] {
        let mut small = TestStore::from_map(map.clone(), limits);
        let mut volume = reopen(&small).unwrap();
        assert!(matches!(volume.set_quota(largest(1)), Err(Error::StoreLimits(_))));
        assert_eq!(volume.quota(), largest(5000));
        let outcome = set_settings(&mut small, "main", &mut to_quota(largest(1)));
        assert!(matches!(outcome, Err(Error::StoreLimits(_))));
    }
    reopen(&TestStore::from_map(map, LARGE)).unwrap().set_quota(largest(1)).unwrap();
}

#[test]
fn an_image_has_no_settings_and_the_volume_above_it_its_own() {
    let mut below = limited();
    let plain = TestStore::new(LARGE);
    let (mut volume, root) = open(&plain);
    write(&mut volume, &root, "a", &[7; 6000]);
    volume.sync_all().unwrap();
    let bytes: &'static [u8] = pack(&mut below, "main", "base").unwrap().leak();
    assert_eq!(bytes, pack(&mut plain.clone(), "main", "base").unwrap(), "settings are no content");
    let image = || Image::open(bytes).unwrap();
    let mut store = TestStore::new(LARGE);
    let open = |store: &TestStore| {
        let options = Options::default();
        Volume::open_overlay(Box::new(store.clone()), Box::new(TestClock::default()), image(), options)
            .unwrap()
    };
    drop(open(&store));
    // A tool needs no image, and the volume still counts as not written to.
    set_settings(&mut store, "main", &mut to_quota(largest(100))).unwrap();
    let mut volume = open(&store);
    volume.set_quota(largest(200)).unwrap();
    store.reset_calls();
    let root = volume.root().unwrap();
    assert_eq!(read(&mut volume, &root, "a"), Ok(vec![7; 6000]));
    assert_eq!(store.calls().total(), 0, "all is in the image");
    assert!(kvfs::fsck_overlay(&mut store, "main", image()).unwrap().is_clean());
    let file = volume.open_at(&root, "a", Follow::No, OpenFlags::default(), WRITE).unwrap();
    assert_eq!(volume.write(&file, At::End, &[1]), Err(Error::FileTooLarge), "the image's file too");
    volume.set_size(&file, 200).unwrap();
    assert_eq!(volume.write(&file, At::End, &[1]), Err(Error::FileTooLarge));
    volume.close(file).unwrap();
    volume.sync_all().unwrap();
    assert!(kvfs::fsck_overlay(&mut store, "main", image()).unwrap().is_clean());
    assert!(store.0.borrow().map.keys().any(|key| tag_of(key) == 0x01));
    let mut alone =
        Volume::open_image(image(), Options { quota: Some(largest(1)), ..Options::default() }).unwrap();
    assert!(alone.set_quota(largest(1)).is_err());
    assert_eq!(alone.quota(), Quota::default());
}

/// A store whose first answer has the settings of before a change with the superblock of after it.
struct Halves {
    store: TestStore,
    before: Option<Vec<u8>>,
}

impl KvStore for Halves {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.store.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut values = self.store.get(keys)?;
        if let Some(at) = keys.iter().position(|key| *key == RECORD)
            && let Some(before) = self.before.take()
        {
            values[at] = Some(before);
        }
        Ok(values)
    }

    fn scan(&mut self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        self.store.scan(start, end, entries, bytes)
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.store.apply(guards, mutations, level)
    }
}

#[test]
fn an_opener_that_reads_halves_of_a_change_reads_again() {
    let mut store = limited();
    let before = value(&store, RECORD).map(|value| value.to_vec());
    set_settings(&mut store, "main", &mut to_quota(largest(3))).unwrap();
    let halves = || Box::new(Halves { store: store.clone(), before: before.clone() });
    let volume = Volume::open(halves(), Box::new(TestClock::default()), Options::default()).unwrap();
    assert_eq!(volume.quota(), largest(3));
    let mut seen = Vec::new();
    set_settings(&mut *halves(), "main", &mut |settings| {
        seen.push(settings.clone()?.quota);
        settings
    })
    .unwrap();
    assert_eq!(seen, [largest(3)]);
}

#[test]
fn no_operation_of_a_guest_reaches_the_settings() {
    let store = limited();
    let before = value(&store, RECORD);
    let (mut volume, root) = open(&store);
    for path in ["\u{1}", "\u{4}main\u{1}", ".settings", "/../\u{1}"] {
        let _ = volume.open_at(&root, path, Follow::No, CREATE, WRITE).map(|file| volume.close(file));
    }
    volume.unlink_file_at(&root, "a").unwrap();
    volume.sync_all().unwrap();
    assert_eq!(value(&store, RECORD), before);
}
