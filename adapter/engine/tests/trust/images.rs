//! Images, alone and below a volume.

use crate::run::TestClock;
use crate::store::{LARGE, TestStore};
use crate::tree;
use kvfs::image::{Image, pack};
use kvfs::{Access, At, Code, Descriptor, Error, Follow, MemoryStore, OpenFlags, Options, Volume};

const CREATE: OpenFlags = OpenFlags { create: true, directory: false, exclusive: false, truncate: false };
const WRITE: Access = Access { read: true, write: true, mutate_directory: false, sync: false };

pub fn write(volume: &mut Volume, root: &Descriptor, path: &str, data: &[u8]) {
    let file = volume.open_at(root, path, Follow::No, CREATE, WRITE).unwrap();
    assert_eq!(volume.write(&file, At::Offset(0), data), Ok(data.len()));
    volume.close(file).unwrap();
}

pub fn read(volume: &mut Volume, root: &Descriptor, path: &str) -> Result<Vec<u8>, Error> {
    let file = volume.open_at(root, path, Follow::No, OpenFlags::default(), Access::default())?;
    let mut bytes = Vec::new();
    let outcome = volume.read(&file, 0, 1 << 20, &mut bytes);
    volume.close(file)?;
    outcome.map(|_| bytes)
}

/// Packs what `make` puts into an empty volume.
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
fn an_image_is_what_was_packed_and_takes_no_changes() {
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
fn what_is_packed_twice_is_the_same_to_the_byte() {
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
