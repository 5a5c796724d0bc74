//! Volumes of format minor 2, which counted no names, charged contents alone, and counted the image
//! below too. They open, and their first opener recounts them, wherever it is cut. They are checked
//! and repaired as they are.
//!
//! The last version of that format wrote the stores in `format_2`. Each file holds an image (empty
//! without one), the listing of a walk over the volume, and the store's entries. Every part follows
//! its length as a big-endian u32.

use crate::fixture::{WRITE, create, open_volume};
use crate::run::TestClock;
use crate::store::{Fault, LARGE, Map, TINY, TestStore, tag_of};
use crate::tree;
use kvfs::fuzzing::framed;
use kvfs::image::{Image, pack};
use kvfs::{
    At, Error, Follow, Invariant, KvStore, OpenFlags, Options, Quota, Repair, RepairOptions, Report, Used,
    Volume, volumes,
};
use std::fmt::Write as _;
use std::path::Path;

/// A store of the old format.
struct Old {
    name: String,
    image: &'static [u8],
    listing: String,
    map: Map,
}

fn all() -> Vec<Old> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trust/format_2");
    let mut all: Vec<Old> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let bytes: &'static [u8] = std::fs::read(path).unwrap().leak();
            let mut rest = bytes;
            let mut field = || {
                let (length, behind) = rest.split_first_chunk::<4>()?;
                let (field, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
                rest = behind;
                Some(field)
            };
            let image = field().unwrap();
            let listing = String::from_utf8(field().unwrap().to_vec()).unwrap();
            let mut map = Map::new();
            while let Some(key) = field() {
                map.insert(key.to_vec(), field().unwrap().into());
            }
            Old { name, image, listing, map }
        })
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(all.len() >= 14 && all.iter().any(|old| old.map.keys().any(|key| tag_of(key) == 0x02)));
    all
}

fn known(name: &str) -> Old {
    all().into_iter().find(|old| old.name == name).unwrap()
}

/// Lists a volume by a walk.
fn listing(volume: &mut Volume) -> String {
    let mut text = String::new();
    for (path, leaf) in tree::of_volume(volume).unwrap() {
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        for (offset, bytes) in &leaf.regions {
            for byte in offset.to_be_bytes().iter().chain(bytes) {
                sum = (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
        let time = |time: &kvfs::Timestamp| format!("{}.{}", time.seconds, time.nanoseconds);
        let times = leaf.times.iter().map(time).collect::<Vec<_>>().join(" ");
        let (id, kind, nlink, size, target) = (leaf.id, leaf.kind, leaf.nlink, leaf.size, leaf.target);
        writeln!(text, "{path:?} {id} {kind:?} {nlink} {size} {times} {target:?} {sum:016x}").unwrap();
    }
    text
}

impl Old {
    fn store(&self) -> TestStore {
        TestStore::from_map(self.map.clone(), LARGE)
    }

    fn open(&self, store: &TestStore) -> Result<Volume, Error> {
        self.open_with(store, None)
    }

    fn open_with(&self, store: &TestStore, quota: Option<Quota>) -> Result<Volume, Error> {
        self.open_as(store, "v", quota)
    }

    /// Opens the volume, or a fork of it.
    fn open_as(&self, store: &TestStore, volume: &str, quota: Option<Quota>) -> Result<Volume, Error> {
        let (store, clock) = (Box::new(store.clone()), Box::new(TestClock::default()));
        let options = Options { volume: volume.into(), quota, ..Options::default() };
        match self.image {
            [] => Volume::open(store, clock, options),
            image => Volume::open_overlay(store, clock, Image::open(image)?, options),
        }
    }

    fn fsck(&self, store: &TestStore) -> Report {
        self.fsck_of(store, "v")
    }

    fn fsck_of(&self, store: &TestStore, volume: &str) -> Report {
        let store: &mut dyn KvStore = &mut store.clone();
        match self.image {
            [] => kvfs::fsck(store, volume).unwrap(),
            image => kvfs::fsck_overlay(store, volume, Image::open(image).unwrap()).unwrap(),
        }
    }

    fn repair(&self, store: &TestStore) -> Repair {
        self.repair_of(store, "v")
    }

    fn repair_of(&self, store: &TestStore, volume: &str) -> Repair {
        let (store, clock): (&mut dyn KvStore, _) = (&mut store.clone(), &mut TestClock::default());
        let options = RepairOptions::default();
        match self.image {
            [] => kvfs::repair(store, clock, volume, options).unwrap(),
            image => {
                kvfs::repair_overlay(store, clock, volume, Image::open(image).unwrap(), options).unwrap()
            }
        }
    }

    fn check(&self, store: &TestStore, when: &str) {
        let report = self.fsck(store);
        assert!(report.is_clean(), "{}, {when}: {}", self.name, report.findings[0]);
    }
}

fn superblock(map: &Map) -> (Vec<u8>, Vec<u8>) {
    let (key, value) = map.iter().find(|(key, _)| tag_of(key) == 0).unwrap();
    (key.clone(), value.to_vec())
}

/// Returns whether the superblock has the bit for counted names, which old versions refuse.
fn counts_names(store: &TestStore) -> bool {
    let (_, value) = superblock(&store.0.borrow().map);
    u32::from_be_bytes(value[36..40].try_into().unwrap()) & 8 != 0
}

#[test]
fn old_volumes_are_sound_and_open_complete() {
    for old in all() {
        let store = old.store();
        assert!(!counts_names(&store), "{} is of the new format", old.name);
        old.check(&store, "as it was");
        let mut volume = old.open(&store).unwrap();
        assert!(counts_names(&store));
        assert_eq!(listing(&mut volume), old.listing, "{}", old.name);
        old.check(&store, "recounted");
        // The image's names are not counted for the volume.
        let names = volume.used().names;
        let report = old.fsck(&store);
        if old.image.is_empty() {
            assert_eq!(names, report.dentries, "{}", old.name);
        }
        drop(volume);
        let again = old.open(&store).unwrap();
        assert_eq!(again.used().names, names);
    }
}

#[test]
fn the_contents_of_old_volumes_are_counted_to_the_byte() {
    let with = |old: &Old| {
        let volume = old.open(&old.store()).unwrap();
        (volume.used(), volume.quota())
    };
    let mut expected = Used::default();
    // A file of 1,000 bytes and 21 names, a directory, a file of 4 bytes and a link to `small`.
    (expected.bytes, expected.inodes, expected.names) = (1009 + 5 * 128 + 24 * 64 + 148, 5, 24);
    let quota = Quota { bytes: Some(100_000), inodes: Some(50), ..Quota::default() };
    assert_eq!(with(&known("known-plain")), (expected, quota));
    // Above the image: one extent of eight, the cut tail of another file, a small file with new
    // times and one more name, a new file, and a name moved within a directory.
    let bytes = 512 + 512 + 100 + 10 + 6 * 128 + 3 * 64 + "small2newyy".len() as u64;
    (expected.bytes, expected.inodes, expected.names) = (bytes, 6, 3);
    assert_eq!(with(&known("known-above")), (expected, Quota::default()));
}

#[test]
fn the_next_opener_completes_a_recount_that_was_cut() {
    for old in all() {
        let store = old.store();
        drop(old.open(&store).unwrap());
        let log = store.0.borrow().log.clone();
        assert!(log.len() >= 2, "{}: the epoch, and the counts", old.name);
        let mut map = old.map.clone();
        for (cut, applied) in log.iter().enumerate() {
            applied.replay(&mut map);
            let store = TestStore::from_map(map.clone(), LARGE);
            let when = format!("cut after apply {cut}");
            old.check(&store, &when);
            let mut volume = old.open(&store).unwrap();
            assert_eq!(listing(&mut volume), old.listing, "{}, {when}", old.name);
            old.check(&store, &format!("opened, {when}"));
            assert!(counts_names(&store), "{}, {when}", old.name);
        }
    }
}

/// A full store refuses the sixteen bytes of the counts. The volume opens, and a removal stores
/// them.
#[test]
fn an_old_volume_opens_on_a_full_store_or_after_unknown_outcomes() {
    let faults = [Fault::QuotaExceeded, Fault::UnknownApplied, Fault::UnknownNotApplied];
    // On the smallest store the commit with the counts goes through a journal, which leaves no byte
    // free.
    for (fault, limits) in faults.into_iter().flat_map(|fault| [(fault, LARGE), (fault, TINY)]) {
        for old in all().into_iter().filter(|old| old.name.starts_with("known")) {
            let store = TestStore::from_map(old.map.clone(), limits);
            let all = old.open(&old.store()).unwrap().used();
            // The first apply claims the epoch and is no longer than before.
            store.set_fault(fault, 1, u64::MAX);
            let mut volume = old.open(&store).unwrap();
            store.clear_fault();
            assert_eq!(listing(&mut volume), old.listing, "{}", old.name);
            old.check(&store, "not recounted");
            assert_eq!((volume.used().names, volume.used().inodes), (all.names, all.inodes));
            let root = volume.root().unwrap();
            let name = if old.image.is_empty() { "link-03" } else { "small2" };
            volume.unlink_file_at(&root, name).unwrap();
            volume.sync_all().unwrap();
            assert!(counts_names(&store), "{}", old.name);
            old.check(&store, "after a removal");
            assert_eq!(volume.used().names, all.names - 1);
            let file = create(&mut volume, &root, "new one");
            volume.write(&file, At::Offset(0), &[1; 3000]).unwrap();
            volume.close(file).unwrap();
            volume.sync_all().unwrap();
            old.check(&store, "after a file");
        }
    }
}

#[test]
fn a_quota_that_the_first_opener_brings_is_kept() {
    let old = known("known-plain");
    let store = old.store();
    let quota = Quota { names: Some(25), ..Quota::default() };
    let mut volume = old.open_with(&store, Some(quota)).unwrap();
    let root = volume.root().unwrap();
    volume.link_at(&root, "a", Follow::No, &root, "more").unwrap();
    assert_eq!(volume.link_at(&root, "a", Follow::No, &root, "too many"), Err(Error::Quota));
    volume.sync_all().unwrap();
    assert_eq!(old.open(&store).unwrap().quota(), quota);
}

/// Old counts are checked and repaired by the old rules, and recounted afterwards.
#[test]
fn miscounted_old_volumes_are_found_and_repaired() {
    for old in all() {
        let mut map = old.map.clone();
        let (key, value) = superblock(&map);
        let mut body = value[16..].to_vec();
        for at in [72, 80] {
            let number = u64::from_be_bytes(body[at..at + 8].try_into().unwrap());
            body[at..at + 8].copy_from_slice(&(number + 3).to_be_bytes());
        }
        map.insert(key.clone(), framed(&key, 0, &body).into());
        let store = TestStore::from_map(map, LARGE);
        let found: Vec<Invariant> = old.fsck(&store).findings.iter().map(|found| found.invariant).collect();
        assert_eq!(found, [Invariant::UsedInodes, Invariant::UsedBytes], "{}", old.name);
        let repair = old.repair(&store);
        assert!(repair.after.is_clean(), "{}: {:?}", old.name, repair.after.findings);
        let mut volume = old.open(&store).unwrap();
        assert_eq!(listing(&mut volume), old.listing, "{}", old.name);
        old.check(&store, "repaired and opened");
    }
}

/// A repair copies a file of the image up, and stores its extents' origin in a form that an old
/// version can read.
#[test]
fn a_repair_writes_the_old_format_into_an_old_volume() {
    const SAME: u64 = 5; // The file `same`, of which nothing is above.
    let old = known("known-above");
    let mut map = old.map.clone();
    assert!(!map.keys().any(|key| tag_of(key) == 0x10 && key.ends_with(&SAME.to_be_bytes())));
    let is_file = |value: &[u8]| value[9] != 0x40 && value[16] == 1;
    let (key, value) = map.iter_mut().find(|(key, value)| tag_of(key) == 0x11 && is_file(value)).unwrap();
    let mut body = value[16..].to_vec();
    body[1..9].copy_from_slice(&SAME.to_be_bytes());
    *value = framed(key, 0x11, &body).into();
    let store = TestStore::from_map(map, LARGE);
    let repair = old.repair(&store);
    assert!(repair.after.is_clean(), "{:?}", repair.after.findings);
    assert!(!counts_names(&store));
    let map = store.0.borrow().map.clone();
    let mut inodes = map.iter().filter(|(key, _)| tag_of(key) == 0x10);
    assert!(inodes.all(|(_, value)| value.get(17) != Some(&4)));
    let (_, value) =
        map.iter().find(|(key, _)| tag_of(key) == 0x10 && key.ends_with(&SAME.to_be_bytes())).unwrap();
    assert_eq!((value[17], value[23]), (2, 2), "in extents, with two names");
    let mut volume = old.open(&store).unwrap();
    tree::of_volume(&mut volume).unwrap();
    old.check(&store, "repaired and opened");
}

/// A lost superblock is rebuilt in this format over old records.
#[test]
fn old_volumes_without_a_superblock_are_repaired() {
    for old in all().into_iter().filter(|old| old.name.starts_with("known")) {
        let mut map = old.map.clone();
        map.remove(&superblock(&old.map).0);
        let store = TestStore::from_map(map, LARGE);
        assert!(old.repair(&store).after.is_clean());
        assert!(counts_names(&store));
        assert_eq!(listing(&mut old.open(&store).unwrap()), old.listing, "{}", old.name);
    }
}

#[test]
fn old_files_go_on_sharing_extents_with_their_image() {
    let old = known("known-above");
    let store = old.store();
    let mut volume = old.open(&store).unwrap();
    let root = volume.root().unwrap();
    let before = volume.used().bytes;
    let big = volume.open_at(&root, "big", Follow::No, OpenFlags::default(), WRITE).unwrap();
    volume.write(&big, At::Offset(1024), &[9; 512]).unwrap();
    assert_eq!(volume.used().bytes, before, "over an extent of the volume");
    volume.write(&big, At::Offset(0), &[9; 512]).unwrap();
    assert_eq!(volume.used().bytes, before + 512, "over an extent of the image");
    volume.close(big).unwrap();
    volume.sync_all().unwrap();
    old.check(&store, "after writes");
}

/// Every version packs a tree to the same image. Otherwise a program composed anew could not open
/// its volume.
#[test]
fn a_tree_packs_to_the_same_image_as_before() {
    let mut store = TestStore::new(LARGE);
    let options = Options { volume: "v".into(), extent_bytes: 512, inline_bytes: 256, ..Options::default() };
    let (mut volume, root) = open_volume(&store, options);
    let mut file = |path: &str, bytes: &[u8]| {
        let file = create(&mut volume, &root, path);
        volume.write(&file, At::Offset(0), bytes).unwrap();
        volume.close(file).unwrap();
    };
    file("big", &[2; 8 * 512]);
    file("small", &[3; 100]);
    file("gone", &[4; 3000]);
    file("same", &[5; 600]);
    file("cut", &[6; 2000]);
    volume.create_directory_at(&root, "d").unwrap();
    let file = create(&mut volume, &root, "d/x");
    volume.write(&file, At::Offset(0), b"x").unwrap();
    volume.close(file).unwrap();
    volume.sync_all().unwrap();
    assert!(pack(&mut store, "v", "tree").unwrap() == known("known-above").image);
}

/// A store that an older version wrote is forked as one of today's is, and goes on.
#[test]
fn old_volumes_are_forked_checked_and_repaired() {
    for old in all() {
        let store = old.store();
        let volume = "v".to_owned();
        let mut clock = TestClock::default();
        let fork = |clock: &mut TestClock, to: &str| {
            volumes::fork(&mut store.clone(), clock, &volume, to, volumes::Taken::Writable)
        };
        // Nobody has counted its names yet.
        let untouched = store.0.borrow().map.clone();
        let refused = fork(&mut clock, "fork").unwrap_err();
        assert!(refused.to_string().contains("open it once for writing"), "{}: {refused}", old.name);
        assert!(store.0.borrow().map == untouched, "{}: a refused fork changed the store", old.name);
        let mut writer = old.open(&store).unwrap();
        fork(&mut clock, "fork").unwrap();
        assert_eq!(listing(&mut writer), old.listing, "{}", old.name);
        let root = writer.root().unwrap();
        writer.create_directory_at(&root, "after the fork").unwrap();
        writer.close(root).unwrap();
        writer.sync_all().unwrap();
        old.check(&store, "after it was forked");
        let layers = volumes::check_layers(&mut store.clone()).unwrap();
        assert_eq!((layers.volumes, layers.layers, layers.findings), (2, 3, Vec::new()), "{}", old.name);
        let mut other = old.open_as(&store, "fork", None).unwrap();
        assert_eq!(listing(&mut other), old.listing, "{}", old.name);
        let root = other.root().unwrap();
        other.create_directory_at(&root, "in the fork").unwrap();
        other.close(root).unwrap();
        other.sync_all().unwrap();
        // A record in the fork's own layer is damaged: the repair keeps to that layer.
        let mut map = store.0.borrow().map.clone();
        let key = map.keys().rev().find(|key| tag_of(key) == 0x11 && key[0] == 10).unwrap().clone();
        let mut value = map[&key].to_vec();
        value[20] ^= 1;
        map.insert(key, value.into());
        let store = TestStore::from_map(map, LARGE);
        let names = [volume.clone(), "fork".to_owned()];
        let damaged: Vec<&String> =
            names.iter().filter(|name| !old.fsck_of(&store, name).is_clean()).collect();
        let [damaged] = damaged.as_slice() else { panic!("{}: {damaged:?}", old.name) };
        let sound = names.iter().find(|name| name != damaged).unwrap();
        old.repair_of(&store, damaged);
        for name in &names {
            assert!(old.fsck_of(&store, name).is_clean(), "{}: {name}", old.name);
        }
        let mut sound = old.open_as(&store, sound, None).unwrap();
        assert!(listing(&mut sound).lines().count() > old.listing.lines().count(), "{}", old.name);
    }
}
