//! Images, on their own and below a volume.

use crate::fixture::{WRITE, read, write};
use crate::repair::seal;
use crate::run::TestClock;
use crate::store::{LARGE, Map, TestStore};
use crate::tree;
use kvfs::image::{Image, pack};
use kvfs::{Access, At, Code, Descriptor, Error, Follow, MemoryStore, OpenFlags, Options, Volume};

/// Packs what `make` creates in an empty volume.
pub fn packed(make: impl FnOnce(&mut Volume, &Descriptor)) -> &'static [u8] {
    let mut store = MemoryStore::default();
    let clock = Box::new(TestClock::default());
    let mut volume = Volume::open(Box::new(store.clone()), clock, Options::default()).unwrap();
    let root = volume.root().unwrap();
    make(&mut volume, &root);
    volume.close(root).unwrap();
    volume.sync_all().unwrap();
    pack(&mut store, "main", "a tree").unwrap().leak()
}

fn sample() -> &'static [u8] {
    packed(|volume, root| {
        volume.create_directory_at(root, "dir").unwrap();
        for index in 0..100 {
            write(volume, root, &format!("dir/small{index}"), format!("content {index}").as_bytes());
        }
        write(volume, root, "large", &[7; 200_000]);
        volume.import_symlink_at("/etc/passwd", root, "absolute").unwrap();
    })
}

fn open_overlay(store: &TestStore, image: &'static [u8]) -> Result<(Volume, Descriptor), Error> {
    let clock = Box::new(TestClock::default());
    let image = Image::open(image)?;
    let mut volume = Volume::open_overlay(Box::new(store.clone()), clock, image, Options::default())?;
    let root = volume.root()?;
    Ok((volume, root))
}

#[test]
fn an_image_shows_what_was_packed_and_refuses_changes() {
    let bytes = sample();
    Image::open(bytes).unwrap().verify().unwrap();
    let mut volume = Volume::open_image(Image::open(bytes).unwrap(), Options::default()).unwrap();
    assert_eq!(tree::of_volume(&mut volume).unwrap().len(), 104);
    let root = volume.root().unwrap();
    assert_eq!(read(&mut volume, &root, "dir/small42").unwrap(), b"content 42");
    assert_eq!(read(&mut volume, &root, "large").unwrap(), [7; 200_000]);
    assert_eq!(volume.readlink_at(&root, "absolute").unwrap(), "/etc/passwd");
    assert_eq!(volume.stat_at(&root, "absolute", Follow::Yes), Err(Error::NotPermitted));
    assert_eq!(volume.unlink_file_at(&root, "large"), Err(Error::ReadOnly));
    assert_eq!(Error::ReadOnly.code(), Code::ReadOnly);
    volume.sync_all().unwrap();
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    assert_eq!(sample(), sample());
}

#[test]
fn an_overlay_reads_the_image_and_keeps_changes_and_removals_above_it() {
    let image = sample();
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open_overlay(&store, image).unwrap();
    store.reset_calls();
    assert_eq!(tree::of_volume(&mut volume).unwrap().len(), 104);
    assert_eq!(store.calls().total(), 0, "nothing was written yet");
    volume.unlink_file_at(&root, "dir/small3").unwrap();
    volume.rename_at(&root, "dir/small4", &root, "moved").unwrap();
    let file = volume.open_at(&root, "large", Follow::No, OpenFlags::default(), WRITE).unwrap();
    volume.write(&file, At::Offset(100_000), b"changed").unwrap();
    volume.close(file).unwrap();
    let before = tree::of_volume(&mut volume).unwrap();
    volume.sync_all().unwrap();
    drop(volume);

    let (mut volume, root) = open_overlay(&store, image).unwrap();
    assert_eq!(tree::difference(&before, &tree::of_volume(&mut volume).unwrap()), None);
    assert_eq!(read(&mut volume, &root, "dir/small3"), Err(Error::NoEntry));
    assert_eq!(read(&mut volume, &root, "moved").unwrap(), b"content 4");
    let large = read(&mut volume, &root, "large").unwrap();
    assert_eq!((&large[99_999..100_008], large.len()), (&b"\x07changed\x07"[..], 200_000));
}

/// Compares all answers about the paths in `expected`: each must be right or an error. Counts the
/// errors.
fn tells_nothing_else(volume: &mut Volume, expected: &tree::Tree) -> Result<u32, String> {
    let Ok(root) = volume.root() else { return Ok(0) };
    let mut errors = 0;
    for (path, leaf) in expected.iter().filter(|(path, _)| !path.is_empty()) {
        let stat = volume.stat_at(&root, path, Follow::No);
        let told = match (&stat, leaf.kind) {
            (Err(_), _) => Err(Error::NoEntry),
            (Ok(stat), _) if (stat.ino.0, stat.kind, stat.size) != (leaf.id, leaf.kind, leaf.size) => {
                Ok(false)
            }
            (Ok(_), kvfs::Kind::Symlink) => {
                volume.readlink_at(&root, path).map(|target| target == leaf.target)
            }
            (Ok(_), kvfs::Kind::File) => {
                let whole =
                    leaf.regions.iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>().concat();
                read(volume, &root, path).map(|bytes| bytes == whole)
            }
            (Ok(_), kvfs::Kind::Directory) => {
                let flags = OpenFlags { directory: true, ..OpenFlags::default() };
                volume.open_at(&root, path, Follow::No, flags, Access::default()).and_then(|directory| {
                    let names = tree::list(volume, &directory);
                    volume.close(directory)?;
                    let below = expected.keys().filter(|key| key.starts_with(&format!("{path}/"))).count();
                    names.map(|names| names.len() == below)
                })
            }
        };
        // An existing name must never be reported missing.
        if stat == Err(Error::NoEntry) {
            return Err(format!("{path} is missing"));
        }
        match told {
            Ok(true) => {}
            Ok(false) => return Err(format!("{path} has wrong content or attributes")),
            Err(_) => errors += 1,
        }
    }
    volume.close(root).map_err(|error| error.to_string())?;
    Ok(errors)
}

#[test]
fn an_image_with_any_byte_changed_gives_errors_and_nothing_wrong() {
    let bytes = packed(|volume, root| {
        volume.create_directory_at(root, "dir").unwrap();
        for index in 0..60 {
            write(volume, root, &format!("dir/{index}"), format!("content {index}").as_bytes());
        }
        write(volume, root, "large", &[7; 5_000]);
        volume.symlink_at("large", root, "link").unwrap();
    });
    let open = |bytes| Image::open(bytes).and_then(|image| Volume::open_image(image, Options::default()));
    let expected = tree::of_volume(&mut open(bytes).unwrap()).unwrap();
    let (mut refused, mut errors) = (0, 0);
    let mut rng = crate::rng::Rng::new(1);
    for turn in 0..3_000 {
        let mut changed = bytes.to_vec();
        match turn % 10 {
            0 => changed.truncate(rng.below(bytes.len() as u64) as usize),
            _ => changed[rng.below(bytes.len() as u64) as usize] ^= 1 << rng.below(8),
        }
        let changed: &'static [u8] = changed.leak();
        assert!(
            !Image::open(changed).is_ok_and(|mut image| image.verify().is_ok()),
            "the change of turn {turn} was not noticed"
        );
        match open(changed) {
            Err(_) => refused += 1,
            Ok(mut volume) => match tells_nothing_else(&mut volume, &expected) {
                Ok(found) => errors += u32::from(found > 0),
                Err(what) => panic!("turn {turn}: {what}"),
            },
        }
    }
    println!("{refused} refused, {errors} with errors");
    assert!(refused > 300 && errors > 1_500, "{refused} {errors}");
}

#[test]
fn hostile_images_can_be_opened_and_used() {
    let mut used = 0;
    for seed in crate::shrink::seeds(3_000) {
        let mut rng = crate::rng::Rng::new(seed);
        let data: Vec<u8> = (0..400).map(|_| rng.below(256) as u8).collect();
        let outcome = std::panic::catch_unwind(|| kvfs_trust::fuzz::images::run(&data));
        used += u32::from(outcome.unwrap_or_else(|_| panic!("seed {seed}")));
    }
    println!("{used} were used");
    assert!(used > 1 || std::env::var("KVFS_SEED").is_ok());
}

/// Returns a check's findings for a volume on an image, and the tree after a repair.
fn repaired(map: Map, image: &'static [u8]) -> (Vec<(u8, Vec<u8>)>, tree::Tree) {
    let mut store = TestStore::from_map(map, LARGE);
    let image = || Image::open(image).unwrap();
    let options = kvfs::RepairOptions::default();
    let done = kvfs::repair_overlay(&mut store, &mut TestClock::default(), "main", image(), options).unwrap();
    assert!(done.after.is_clean() && !done.fixes.is_empty(), "{done:#?}");
    let found = done.before.findings.into_iter().map(|finding| (finding.invariant.number(), finding.key));
    let mut volume =
        Volume::open_overlay(Box::new(store), Box::new(TestClock::default()), image(), Options::default());
    (found.collect(), tree::of_volume(volume.as_mut().unwrap()).unwrap())
}

#[test]
fn a_repair_restores_records_that_readers_would_not_look_for() {
    let image = packed(|volume, root| {
        volume.create_directory_at(root, "d").unwrap();
        write(volume, root, "d/old", b"of the image");
    });
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open_overlay(&store, image).unwrap();
    // The number of names stays, so the image's record of the directory contradicts nothing.
    write(&mut volume, &root, "d/new", b"above it");
    volume.unlink_file_at(&root, "d/old").unwrap();
    volume.sync_all().unwrap();
    let expected = tree::of_volume(&mut volume).unwrap();
    drop(volume);
    let map = store.0.borrow().map.clone();
    let key = |tag: u8, rest: &[u8]| [b"\x04main", &[tag][..], rest].concat();

    let superblock = key(0, &[]);
    let mut bad = map.clone();
    let mut value = bad[&superblock].to_vec();
    // The byte before the last two numbers, the counts of names, says whether anything was written
    // above the image.
    let written = value.len() - 17;
    assert_eq!(std::mem::take(&mut value[written]), 1);
    seal(&superblock, &mut value);
    bad.insert(superblock.clone(), value.into());
    let (found, tree) = repaired(bad, image);
    assert_eq!(found, [(20, superblock)]);
    assert_eq!(tree, expected);

    let directory = key(0x10, &expected["d"].id.to_be_bytes());
    let mut bad = map.clone();
    bad.remove(&directory).unwrap();
    let (found, tree) = repaired(bad, image);
    assert!(found.contains(&(20, directory)), "{found:02x?}");
    // The directory has the image's times again.
    let names = |tree: &tree::Tree| -> Vec<_> {
        tree.iter().map(|(path, leaf)| (path.clone(), leaf.id, leaf.regions.clone())).collect()
    };
    assert_eq!(names(&tree), names(&expected));
}

#[test]
fn a_wrong_missing_or_unexpected_image_is_refused_and_named() {
    let (one, other) = (sample(), packed(|volume, root| write(volume, root, "x", b"other")));
    let store = TestStore::new(LARGE);
    let named = |error: Error| match error {
        Error::OtherImage(images) => (images.recorded.is_some(), images.given.is_some(), images.to_string()),
        error => panic!("{error:?}"),
    };
    let options = || Options::default();
    let clock = || Box::new(TestClock::default());
    let open_plain = || Volume::open(Box::new(store.clone()), clock(), options());
    drop(open_overlay(&store, one).unwrap());
    let before = store.0.borrow().map.clone();

    let (recorded, given, text) = named(open_overlay(&store, other).map(drop).unwrap_err());
    let id = |bytes| Image::open(bytes).unwrap().id().clone();
    assert!(
        recorded && given && text.contains(&id(one).to_string()) && text.contains(&id(other).to_string())
    );
    assert_eq!(id(one).name, "a tree");
    let (recorded, given, text) = named(open_plain().map(drop).unwrap_err());
    assert!(recorded && !given && text.contains(&id(one).to_string()));
    let mut given_store = store.clone();
    named(kvfs::probe(&mut given_store, "main").unwrap_err());
    named(kvfs::fsck(&mut given_store, "main").map(drop).unwrap_err());
    let repaired = kvfs::repair(&mut given_store, &mut TestClock::default(), "main", Default::default());
    named(repaired.map(drop).unwrap_err());
    named(kvfs::fsck_overlay(&mut given_store, "main", Image::open(other).unwrap()).map(drop).unwrap_err());
    assert_eq!(kvfs::probe_overlay(&mut given_store, "main", &Image::open(one).unwrap()), Ok(true));
    assert!(kvfs::fsck_overlay(&mut given_store, "main", Image::open(one).unwrap()).unwrap().is_clean());
    assert!(store.0.borrow().map == before, "nothing of this changes the store");
    // The same tree packed again is the same image.
    drop(open_overlay(&store, sample()).unwrap());

    let store = TestStore::new(LARGE);
    drop(Volume::open(Box::new(store.clone()), clock(), options()).unwrap());
    let (recorded, given, text) = named(open_overlay(&store, one).map(drop).unwrap_err());
    assert!(!recorded && given && text.contains(&id(one).to_string()));
    // The checksums of an image's records cover the volume's name.
    let elsewhere = Options { volume: "elsewhere".to_owned(), ..options() };
    let image = Image::open(one).unwrap();
    let outcome = Volume::open_overlay(Box::new(store.clone()), clock(), image, elsewhere);
    assert!(matches!(outcome.map(drop), Err(Error::Format(_))));
}

#[test]
fn packing_an_unfit_volume_is_refused() {
    let store = TestStore::new(LARGE);
    let clock = || Box::new(TestClock::default());
    let pack_it = || pack(&mut store.clone(), "main", "name").map(drop);
    assert_eq!(pack_it(), Err(Error::NoEntry));
    let mut volume = Volume::open(Box::new(store.clone()), clock(), Options::default()).unwrap();
    let root = volume.root().unwrap();
    pack_it().unwrap();
    for name in [String::new(), "x".repeat(256)] {
        assert_eq!(pack(&mut store.clone(), "main", &name).map(drop), Err(Error::Invalid));
    }
    // An open file without a name.
    write(&mut volume, &root, "file", b"bytes");
    let file = volume.open_at(&root, "file", Follow::No, OpenFlags::default(), WRITE).unwrap();
    volume.unlink_file_at(&root, "file").unwrap();
    volume.sync_all().unwrap();
    assert!(matches!(pack_it(), Err(Error::Format(_))));
    volume.close(file).unwrap();
    volume.sync_all().unwrap();
    pack_it().unwrap();
    // A damaged record is not packed.
    write(&mut volume, &root, "other", b"bytes");
    volume.sync_all().unwrap();
    let key = store.0.borrow().map.keys().last().unwrap().clone();
    store.0.borrow_mut().map.insert(key, std::rc::Rc::from(&b"damage"[..]));
    assert!(matches!(pack_it(), Err(Error::Damaged(_))));
    // An image of a volume on an image would lack the lower half.
    let store = TestStore::new(LARGE);
    drop(open_overlay(&store, sample()).unwrap());
    assert!(matches!(pack(&mut store.clone(), "main", "name").map(drop), Err(Error::OtherImage(_))));
}

#[test]
fn above_an_image_only_records_that_may_exist_are_read() {
    let image = sample();
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open_overlay(&store, image).unwrap();
    // One call each: limits, the superblock, whether a root exists without one, and the new
    // superblock.
    assert_eq!(store.calls().total(), 4);
    write(&mut volume, &root, "new", b"bytes");
    volume.sync_all().unwrap();
    drop(volume);

    let (mut volume, root) = open_overlay(&store, image).unwrap();
    let calls = |volume: &mut Volume, ask: &dyn Fn(&mut Volume)| {
        store.reset_calls();
        ask(volume);
        let calls = store.calls();
        (calls.gets, calls.scans, calls.applies)
    };
    // The root was written to, so all its names are read from the store. So is the directory's own
    // record.
    let look = |path: &'static str| {
        let root = &root;
        move |volume: &mut Volume| drop(volume.stat_at(root, path, Follow::No))
    };
    assert_eq!(calls(&mut volume, &look("dir")), (1, 2, 0));
    // No name in `dir` has changed, so only the file's own record may be above.
    assert_eq!(calls(&mut volume, &look("dir/small1")), (1, 0, 0));
    assert_eq!(calls(&mut volume, &look("dir/small2")), (1, 0, 0));
    assert_eq!(calls(&mut volume, &look("dir/missing")), (0, 0, 0));
    let list = |volume: &mut Volume| {
        let flags = OpenFlags { directory: true, ..OpenFlags::default() };
        let dir = volume.open_at(&root, "dir", Follow::No, flags, Access::default()).unwrap();
        assert_eq!(tree::list(volume, &dir).unwrap().len(), 100);
        volume.close(dir).unwrap();
    };
    assert_eq!(calls(&mut volume, &list), (0, 0, 0));
    // After a change of its names and a restart, the directory's names are read from the store.
    volume.unlink_file_at(&root, "dir/small1").unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    let (mut volume, root) = open_overlay(&store, image).unwrap();
    store.reset_calls();
    assert_eq!(volume.stat_at(&root, "dir/small1", Follow::No), Err(Error::NoEntry));
    assert_eq!((store.calls().gets, store.calls().scans), (1, 2), "the name comes with the directory");
    store.reset_calls();
    assert!(volume.stat_at(&root, "dir/missing", Follow::No).is_err());
    assert_eq!((store.calls().gets, store.calls().scans), (0, 2));
    store.reset_calls();
    assert!(volume.stat_at(&root, "dir/missing too", Follow::No).is_err());
    assert_eq!(store.calls().total(), 0, "the directory is known whole");
}
