//! The hidden parts of a sealed store, and the visible ones.

use crate::disk::{Disk, entry, open};
use kvfs::{Access, At, Clock, Follow, OpenFlags, Options, Timestamp, Volume};
use kvfs_store_rig::{Calls, State};

struct Noon;

impl Clock for Noon {
    fn now(&mut self) -> Timestamp {
        Timestamp { seconds: 43_200, nanoseconds: 0 }
    }
}

fn holds(below: &State, secret: &[u8]) -> bool {
    below.iter().any(|(key, value)| {
        [key, value].iter().any(|bytes| bytes.windows(secret.len()).any(|part| part == secret))
    })
}

#[test]
fn content_names_and_targets_are_nowhere_below_and_the_volumes_name_is() {
    let disk = Disk::empty();
    let options = Options { volume: "visible-volume".into(), ..Options::default() };
    let mut volume = Volume::open(Box::new(open(&disk)), Box::new(Noon), options).unwrap();
    let root = volume.root().unwrap();
    volume.create_directory_at(&root, "secret-directory").unwrap();
    volume.symlink_at("secret-target", &root, "secret-link").unwrap();
    write_file(&mut volume, "secret-file", b"secret-content, inline");
    write_file(&mut volume, "secret-directory/secret-large", &b"secret-extent".repeat(20_000));
    drop(volume);
    let below = disk.entries();
    assert!(below.values().map(Vec::len).sum::<usize>() > 13 * 20_000);
    for part in ["secret", "directory", "large", "content", "target", "extent"] {
        assert!(!holds(&below, part.as_bytes()), "{part} is visible");
    }
    assert!(holds(&below, b"visible-volume"), "a test that cannot see what is there proves nothing");
}

#[test]
fn a_name_looks_different_in_each_directory_and_each_volume() {
    let disk = Disk::empty();
    let mut store = open(&disk);
    let other = [&b"\x01w"[..], &entry(1, "name")[2..]].concat();
    let keys = [entry(1, "name"), entry(2, "name"), entry(1, "eman"), other];
    for key in &keys {
        store.set(&[], &[(key, Some(b"same"))], false).unwrap();
    }
    let tags: std::collections::BTreeSet<Vec<u8>> = disk
        .entries()
        .into_iter()
        .filter(|(key, _)| key[0] == 2)
        .map(|(key, _)| key[key.len() - kvfs_sealed_store::NAME_TAG_BYTES..].to_vec())
        .collect();
    assert_eq!(tags.len(), keys.len());
    // Tags of long and short names have one length; values alone tell how long a name is.
    store.set(&[], &[(&entry(3, &"n".repeat(255)), Some(b"")), (&entry(3, "n"), Some(b""))], false).unwrap();
    let below = disk.entries();
    let lengths: Vec<_> = below
        .range([&[2], &entry(3, "")[..]].concat()..)
        .map(|(key, value)| (key.len(), value.len()))
        .take(2)
        .collect();
    assert_eq!(lengths[0].0, lengths[1].0);
    assert_eq!(lengths[0].1.abs_diff(lengths[1].1), 254);
}

#[test]
fn the_same_value_is_sealed_differently_each_time() {
    let disk = Disk::empty();
    let mut store = open(&disk);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        store.set(&[], &[(b"\x01v\0", Some(b"same")), (b"\x01v\x01", Some(b"same"))], false).unwrap();
        seen.extend(
            disk.entries().into_iter().filter(|(key, _)| key[0] == 2).map(|(_, value)| value[1..25].to_vec()),
        );
    }
    assert_eq!(seen.len(), 200, "nonces are used once");
}

pub(crate) fn write_file(volume: &mut Volume, path: &str, content: &[u8]) {
    let root = volume.root().unwrap();
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::Yes, create, access).unwrap();
    let mut rest = content;
    while !rest.is_empty() {
        let written = volume.write(&file, At::End, rest).unwrap();
        rest = &rest[written..];
    }
    volume.close(file).unwrap();
    volume.close(root).unwrap();
    volume.sync_all().unwrap();
}

pub(crate) fn read_file(volume: &mut Volume, path: &str) -> Result<Vec<u8>, kvfs::Error> {
    let root = volume.root()?;
    let access = Access { read: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::Yes, OpenFlags::default(), access)?;
    let mut bytes = Vec::new();
    while volume.read(&file, bytes.len() as u64, 64 << 10, &mut bytes)? > 0 {}
    Ok(bytes)
}
