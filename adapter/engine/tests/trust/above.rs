//! Quotas of volumes on images: only what is made or changed above the image is charged.

use crate::fixture::{CREATE, WRITE, open_volume};
use crate::run::TestClock;
use crate::store::{LARGE, TestStore};
use kvfs::image::{Image, pack};
use kvfs::limits::{INODE_CHARGE_BYTES as INODE, NAME_CHARGE_BYTES as NAME};
use kvfs::{
    Access, At, CacheLimits, Descriptor, Error, Follow, OpenFlags, Options, Quota, SetTime, Used, Volume,
    fsck_overlay,
};

const EXTENT: u64 = 32 << 10;
const BIG: usize = 5 << 20;
const SMALL_FILES: usize = 300;

/// A tree of about 6 MiB: a large file, and many small files of 4,000 bytes in a directory.
fn image() -> &'static [u8] {
    thread_local!(static IMAGE: &'static [u8] = packed());
    IMAGE.with(|image| *image)
}

fn packed() -> &'static [u8] {
    let mut store = TestStore::new(LARGE);
    let (mut volume, root) =
        open_volume(&store, Options { extent_bytes: EXTENT as u32, ..Options::default() });
    file(&mut volume, &root, "big", &vec![1; BIG]).unwrap();
    volume.create_directory_at(&root, "d").unwrap();
    for number in 0..SMALL_FILES {
        file(&mut volume, &root, &format!("d/{number}"), &[2; 4000]).unwrap();
    }
    volume.close(root).unwrap();
    volume.sync_all().unwrap();
    pack(&mut store, "main", "tree").unwrap().leak()
}

fn file(volume: &mut Volume, root: &Descriptor, path: &str, bytes: &[u8]) -> Result<(), Error> {
    let file = volume.open_at(root, path, Follow::No, CREATE, WRITE)?;
    let mut rest = bytes;
    let outcome = loop {
        match volume.write(&file, At::End, rest) {
            Ok(written) if written < rest.len() => rest = &rest[written..],
            outcome => break outcome.map(drop),
        }
    };
    volume.close(file)?;
    outcome
}

struct Above {
    store: TestStore,
    volume: Volume,
    root: Descriptor,
}

impl Above {
    fn new(quota: Quota) -> Self {
        Self::open(TestStore::new(LARGE), Some(quota))
    }

    fn open(store: TestStore, quota: Option<Quota>) -> Self {
        let options = Options { quota, ..Options::default() };
        let (kept, clock) = (Box::new(store.clone()), Box::new(TestClock::default()));
        let mut volume = Volume::open_overlay(kept, clock, Image::open(image()).unwrap(), options).unwrap();
        let root = volume.root().unwrap();
        Self { store, volume, root }
    }

    /// Syncs, checks, opens again, and compares the counts.
    fn again(mut self) -> Self {
        self.volume.sync_all().unwrap();
        let (used, quota) = (self.volume.used(), self.volume.quota());
        let report = fsck_overlay(&mut self.store.clone(), "main", Image::open(image()).unwrap()).unwrap();
        assert!(report.is_clean(), "{}", report.findings[0]);
        assert_eq!(report.used_bytes, used.bytes);
        let again = Self::open(self.store, None);
        assert_eq!((again.volume.used(), again.volume.quota()), (used, quota));
        again
    }

    fn expect(&self, bytes: u64, inodes: u64, names: u64) {
        let mut used = Used::default();
        (used.bytes, used.inodes, used.names) = (bytes, inodes, names);
        assert_eq!(self.volume.used(), used);
    }

    fn write(&mut self, path: &str, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        let file = self.volume.open_at(&self.root, path, Follow::No, OpenFlags::default(), WRITE)?;
        let outcome = self.volume.write(&file, At::Offset(offset), bytes);
        self.volume.close(file)?;
        outcome
    }

    /// Bytes of keys and values in the store.
    fn held(&self) -> u64 {
        let inner = self.store.0.borrow();
        inner.map.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}

fn bytes(bytes: u64) -> Quota {
    Quota { bytes: Some(bytes), ..Quota::default() }
}

#[test]
fn a_volume_on_an_image_starts_empty_and_takes_exactly_its_quota() {
    let mut above = Above::new(bytes(1 << 20));
    above.expect(0, 0, 0);
    // The first new name copies the root up.
    file(&mut above.volume, &above.root, "new", &[7; 1 << 19]).unwrap();
    let made = 2 * INODE + NAME + 3;
    above.expect((1 << 19) + made, 2, 1);
    let mut above = above.again();
    let rest = (1 << 20) - (1 << 19) - made;
    let more = vec![8; rest as usize];
    let at_end = above.volume.open_at(&above.root, "new", Follow::No, OpenFlags::default(), WRITE).unwrap();
    assert_eq!(above.volume.write(&at_end, At::End, &more), Ok(more.len()));
    assert_eq!(above.volume.write(&at_end, At::End, b"x"), Err(Error::Quota));
    above.volume.close(at_end).unwrap();
    above.expect(1 << 20, 2, 1);
    above.again();
}

#[test]
fn writes_over_the_image_are_charged_by_extents() {
    let mut above = Above::new(bytes(1 << 20));
    assert_eq!(above.write("big", 5, b"x"), Ok(1));
    above.expect(INODE + EXTENT, 1, 0);
    assert_eq!(above.write("big", 9, b"x"), Ok(1));
    above.expect(INODE + EXTENT, 1, 0);
    let mut above = above.again();
    // Over an extent that is above already, across extents, over whole extents, and over some never
    // read.
    assert_eq!(above.write("big", 0, &[3; 100]), Ok(100));
    above.expect(INODE + EXTENT, 1, 0);
    assert_eq!(above.write("big", EXTENT - 1, b"xy"), Ok(2));
    above.expect(INODE + 2 * EXTENT, 1, 0);
    let whole = vec![4; 4 * EXTENT as usize];
    assert_eq!(above.write("big", 0, &whole), Ok(whole.len()));
    above.expect(INODE + 4 * EXTENT, 1, 0);
    let mut above = above.again();
    let mut taken = 4;
    for index in (0..160).rev() {
        let outcome = above.write("big", index * EXTENT, &[5; 3]);
        if index < 4 || taken < 31 {
            assert_eq!(outcome, Ok(3), "extent {index}");
            taken += u64::from(index >= 4);
        } else {
            assert_eq!(outcome, Err(Error::Quota), "extent {index}");
        }
    }
    above.expect(INODE + 31 * EXTENT, 1, 0);
    let above = above.again();
    assert!(above.held() < (1 << 20) + (64 << 10), "{} bytes", above.held());
}

#[test]
fn a_cut_returns_the_volumes_extents_and_keeps_the_images_free() {
    let mut above = Above::new(bytes(1 << 20));
    let cut = |above: &mut Above, size: u64| {
        let big = above.volume.open_at(&above.root, "big", Follow::No, OpenFlags::default(), WRITE).unwrap();
        let outcome = above.volume.set_size(&big, size);
        above.volume.close(big).unwrap();
        outcome
    };
    // A cut at an extent's boundary copies only the inode up.
    cut(&mut above, 100 * EXTENT).unwrap();
    above.expect(INODE, 1, 0);
    cut(&mut above, 99 * EXTENT + 1).unwrap();
    above.expect(INODE + EXTENT, 1, 0);
    for index in [0, 50, 98] {
        above.write("big", index * EXTENT, b"x").unwrap();
    }
    above.expect(INODE + 4 * EXTENT, 1, 0);
    let mut above = above.again();
    cut(&mut above, 60 * EXTENT).unwrap();
    above.expect(INODE + 2 * EXTENT, 1, 0);
    cut(&mut above, 200 * EXTENT).unwrap();
    above.expect(INODE + 2 * EXTENT, 1, 0);
    let mut above = above.again();
    above.write("big", 61 * EXTENT, b"x").unwrap();
    above.expect(INODE + 3 * EXTENT, 1, 0);
    cut(&mut above, 0).unwrap();
    above.expect(INODE, 1, 0);
    above.again();
}

/// Any change copies a small file up whole.
#[test]
fn changing_small_files_of_the_image_is_charged() {
    let mut above = Above::new(bytes(200_000));
    let each = INODE + 4000;
    let most = 200_000 / each;
    for number in 0..SMALL_FILES as u64 {
        let path = format!("d/{number}");
        let outcome = above.volume.set_times_at(&above.root, &path, Follow::No, SetTime::Now, SetTime::Keep);
        assert_eq!(outcome, if number < most { Ok(()) } else { Err(Error::Quota) }, "{path}");
    }
    above.expect(most * each, most, 0);
    let mut above = above.again();
    let (old, new) = ((&above.root, "d/200"), (&above.root, "link"));
    assert_eq!(above.volume.link_at(old.0, old.1, Follow::No, new.0, new.1), Err(Error::Quota));
    let path = above.volume.open_at(&above.root, "d/200", Follow::No, OpenFlags::default(), WRITE).unwrap();
    assert_eq!(
        above.volume.set_size(&path, 3999),
        Err(Error::Quota),
        "the file would be copied up, a byte shorter"
    );
    above.volume.close(path).unwrap();
    // A file above can be changed any number of times, and its removal returns its bytes.
    above.volume.set_times_at(&above.root, "d/0", Follow::No, SetTime::Now, SetTime::Now).unwrap();
    above.volume.unlink_file_at(&above.root, "d/0").unwrap();
    above.expect((most - 1) * each + INODE, most, 0);
    above.again();
}

#[test]
fn inodes_and_names_are_counted_above_the_image_only() {
    let mut above = Above::new(Quota { inodes: Some(3), names: Some(3), ..Quota::default() });
    // The root and a directory are above.
    above.volume.create_directory_at(&above.root, "e").unwrap();
    above.expect(2 * INODE + NAME + 1, 2, 1);
    // Removing a name of the image charges nothing above.
    above.volume.unlink_file_at(&above.root, "big").unwrap();
    above.expect(2 * INODE + NAME + 1, 2, 1);
    file(&mut above.volume, &above.root, "big", b"").unwrap();
    above.expect(3 * INODE + 2 * NAME + 4, 3, 2);
    let mut above = above.again();
    assert_eq!(above.volume.create_directory_at(&above.root, "f"), Err(Error::Quota), "one inode too many");
    above.volume.link_at(&above.root, "big", Follow::No, &above.root, "e/x").unwrap();
    above.expect(3 * INODE + 3 * NAME + 5, 3, 3);
    let again = above.volume.link_at(&above.root, "big", Follow::No, &above.root, "y");
    assert_eq!(again, Err(Error::Quota), "one name too many");
    let mut above = above.again();
    // A renamed file above keeps its charge of one name.
    above.volume.rename_at(&above.root, "e/x", &above.root, "e/z").unwrap();
    above.volume.unlink_file_at(&above.root, "e/z").unwrap();
    above.volume.unlink_file_at(&above.root, "big").unwrap();
    above.expect(2 * INODE + NAME + 1, 2, 1);
    above.again();
}

/// Renaming a file of the image takes one name above; renaming it again takes none. Replacing a
/// name above returns it.
#[test]
fn a_renamed_name_of_the_image_counts_once() {
    let mut above = Above::new(Quota { names: Some(1), ..Quota::default() });
    above.volume.rename_at(&above.root, "d/7", &above.root, "d/8").unwrap();
    above.expect(INODE + NAME + 1, 1, 1);
    let mut above = above.again();
    above.volume.rename_at(&above.root, "d/8", &above.root, "d/9").unwrap();
    above.expect(INODE + NAME + 1, 1, 1);
    assert_eq!(above.volume.rename_at(&above.root, "d/10", &above.root, "d/11"), Err(Error::Quota));
    above.volume.unlink_file_at(&above.root, "d/9").unwrap();
    above.volume.rename_at(&above.root, "d/10", &above.root, "d/11").unwrap();
    above.again();
}

/// A full volume lets the whole tree be removed; the store space that this takes is bounded by the
/// tree.
#[test]
fn a_full_volume_lets_everything_above_and_below_be_removed() {
    let mut above = Above::new(bytes(100_000));
    while file(&mut above.volume, &above.root, "fill", &[6; 4096]).is_ok() {}
    for number in 0..SMALL_FILES {
        above.volume.unlink_file_at(&above.root, &format!("d/{number}")).unwrap();
    }
    above.volume.remove_directory_at(&above.root, "d").unwrap();
    above.volume.unlink_file_at(&above.root, "big").unwrap();
    above.volume.unlink_file_at(&above.root, "fill").unwrap();
    above.expect(INODE, 1, 0);
    let mut above = above.again();
    file(&mut above.volume, &above.root, "d", &[6; 4096]).unwrap();
    above.expect(2 * INODE + NAME + 1 + 4096, 2, 1);
    above.again();
}

/// The superblock's counts and an inode's count of the image's extents are checked and repaired.
#[test]
fn wrong_counts_above_an_image_are_found_and_repaired() {
    let mut above = Above::new(Quota::default());
    above.write("big", 0, b"x").unwrap();
    file(&mut above.volume, &above.root, "new", b"bytes").unwrap();
    above.volume.sync_all().unwrap();
    let (store, used) = (above.store.clone(), above.volume.used());
    drop(above);
    let image = || Image::open(image()).unwrap();
    let tamper = |key: &[u8], change: &dyn Fn(&mut Vec<u8>), expected: &[u8]| {
        let sound = store.0.borrow().map[key].clone();
        let mut body = sound[16..].to_vec();
        change(&mut body);
        store.0.borrow_mut().map.insert(key.to_vec(), kvfs::fuzzing::framed(key, key[5], &body).into());
        let found = fsck_overlay(&mut store.clone(), "main", image()).unwrap().findings;
        let found: Vec<u8> = found.iter().map(|found| found.invariant.number()).collect();
        assert_eq!(found, expected);
        let (clock, options) = (&mut TestClock::default(), kvfs::RepairOptions::default());
        let done = kvfs::repair_overlay(&mut store.clone(), clock, "main", image(), options).unwrap();
        assert!(done.after.is_clean(), "{done:?}");
        assert_eq!(Above::open(store.clone(), None).volume.used(), used);
    };
    let superblock = b"\x04main\x00";
    let names = |body: &mut Vec<u8>| {
        let at = body.len() - 9;
        body[at] ^= 5;
    };
    tamper(superblock, &names, &[21]);
    // Bytes and inodes in use.
    tamper(superblock, &|body| body[79] ^= 1, &[17]);
    tamper(superblock, &|body| body[87] ^= 1, &[16]);
    // The last byte of a file's record counts its extents in the image.
    let big = [&b"\x04main\x10"[..], &2_u64.to_be_bytes()].concat();
    assert_eq!(store.0.borrow().map[&big].last(), Some(&159));
    tamper(&big, &|body| *body.last_mut().unwrap() = 100, &[12, 17]);
}

/// Walking a path longer than the cache of names evicts the names looked up before. Names of the
/// image must stay free nevertheless.
#[test]
fn a_rename_deep_down_keeps_names_of_the_image_free() {
    const DEPTH: usize = 1500;
    let mut store = TestStore::new(LARGE);
    let mut volume =
        Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), Options::default()).unwrap();
    let descend = |volume: &mut Volume, make: bool| {
        let flags = OpenFlags { directory: true, ..OpenFlags::default() };
        let access = Access { mutate_directory: true, ..Access::default() };
        let mut dir = volume.root().unwrap();
        for _ in 0..DEPTH {
            if make {
                volume.create_directory_at(&dir, "d").unwrap();
            }
            let next = volume.open_at(&dir, "d", Follow::No, flags, access).unwrap();
            volume.close(std::mem::replace(&mut dir, next)).unwrap();
        }
        dir
    };
    let deep = descend(&mut volume, true);
    volume.create_directory_at(&deep, "moved").unwrap();
    volume.create_directory_at(&deep, "replaced").unwrap();
    volume.close(deep).unwrap();
    volume.sync_all().unwrap();
    let image = Image::open(pack(&mut store, "main", "tree").unwrap().leak()).unwrap();

    let store = TestStore::new(LARGE);
    let cache = CacheLimits { dentries: 1, ..CacheLimits::default() };
    let quota = Some(Quota { names: Some(4), ..Quota::default() });
    let options = Options { cache, quota, ..Options::default() };
    let (kept, clock) = (Box::new(store.clone()), Box::new(TestClock::default()));
    let mut volume = Volume::open_overlay(kept, clock, image.clone(), options).unwrap();
    let deep = descend(&mut volume, false);
    for name in ["first", "second", "third"] {
        volume.create_directory_at(&deep, name).unwrap();
    }
    volume.rename_at(&deep, "moved", &deep, "replaced").unwrap();
    assert_eq!(volume.used().names, 4);
    // One name goes and one comes, so there is room.
    volume.rename_at(&deep, "second", &deep, "fourth").unwrap();
    assert_eq!(volume.used().names, 4);
    volume.close(deep).unwrap();
    volume.sync_all().unwrap();
    let report = fsck_overlay(&mut store.clone(), "main", image).unwrap();
    assert!(report.is_clean(), "{}", report.findings[0]);
}
