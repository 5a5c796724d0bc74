//! Checks and repairs of a volume some of whose values do not open.

use crate::disk::{Disk, Sealed, entry, key, open, open_with};
use crate::hidden::{read_file, write_file};
use kvfs::{Clock, Options, RepairOptions, Timestamp, Volume};
use kvfs_contract::{Limits, StoreError};
use kvfs_store_rig::{Calls, State};

struct Noon;

impl Clock for Noon {
    fn now(&mut self) -> Timestamp {
        Timestamp { seconds: 43_200, nanoseconds: 0 }
    }
}

fn volume(disk: &Disk) -> Result<Volume, kvfs::Error> {
    Volume::open(Box::new(open(disk)), Box::new(Noon), Options::default())
}

fn salvaging(disk: &Disk) -> Sealed {
    open_with(disk, &key(1)).unwrap().salvaging()
}

/// Files and their content. Small ones lie in their inode, the large one in extents.
fn files() -> Vec<(String, Vec<u8>)> {
    let small = (0..12).map(|file| format!("file-{file}"));
    let below = (0..4).map(|file| format!("directory/file-{file}"));
    let mut files: Vec<_> =
        small.chain(below).map(|path| (path.clone(), format!("content of {path}").into_bytes())).collect();
    files.push(("large".into(), b"0123456789abcdef".repeat(20_000)));
    files
}

fn disk_with_files() -> Disk {
    let disk = Disk::empty();
    let mut volume = volume(&disk).unwrap();
    let root = volume.root().unwrap();
    volume.create_directory_at(&root, "directory").unwrap();
    for (path, content) in files() {
        write_file(&mut volume, &path, &content);
    }
    drop(volume);
    disk
}

fn flip(disk: &Disk, located: &[u8]) {
    disk.contents(|contents| {
        let value = contents.entries.get_mut(located).unwrap();
        let middle = value.len() / 2;
        value[middle] ^= 4;
    });
}

/// The values of the volume, by where they lie.
fn values(disk: &Disk) -> Vec<Vec<u8>> {
    disk.entries().into_keys().filter(|key| key[0] == 2).collect()
}

#[test]
fn one_damaged_value_costs_a_repair_one_file_and_no_other() {
    let whole = disk_with_files();
    let (mut lost, mut none_lost, mut kept_names) = (0, 0, 0);
    for located in values(&whole) {
        let disk = Disk::new(whole.entries(), Limits::standard(true));
        flip(&disk, &located);
        // Without a salvage a check ends there.
        let ended = kvfs::fsck(&mut open(&disk), kvfs::DEFAULT_VOLUME);
        assert!(matches!(ended, Err(kvfs::Error::Store(StoreError::Corrupt(_)))), "{located:?}: {ended:?}");
        let before = disk.entries();
        let mut store = salvaging(&disk);
        let report = kvfs::fsck(&mut store, kvfs::DEFAULT_VOLUME).unwrap();
        assert!(!report.is_clean(), "{located:?}");
        assert_eq!(store.does_not_open(), 1, "{located:?}");
        assert!(disk.entries() == before, "a check changed the store");

        let mut store = salvaging(&disk);
        let repair =
            kvfs::repair(&mut store, &mut Noon, kvfs::DEFAULT_VOLUME, RepairOptions { accept_loss: true })
                .unwrap();
        assert!(repair.after.is_clean(), "{located:?}: {:?}", repair.after);
        assert_eq!(store.does_not_open(), 1);
        // Everything opens again, without a salvage.
        assert!(kvfs::fsck(&mut open(&disk), kvfs::DEFAULT_VOLUME).unwrap().is_clean(), "{located:?}");
        let mut volume = volume(&disk).unwrap();
        let missing: Vec<_> = files()
            .into_iter()
            .filter(|(path, content)| read_file(&mut volume, path).ok().as_ref() != Some(content))
            .map(|(path, _)| path)
            .collect();
        let is_directory = missing.iter().all(|path| path.starts_with("directory/"));
        assert!(missing.len() <= 1 || is_directory, "{located:?}: {missing:?}");
        lost += usize::from(!missing.is_empty());
        none_lost += usize::from(missing.is_empty());
        let root = volume.root().unwrap();
        kept_names += usize::from(volume.stat_at(&root, "lost+found", kvfs::Follow::No).is_ok());
    }
    assert!(lost > 30 && none_lost > 0 && kept_names > 15, "{lost} {none_lost} {kept_names}");
}

#[test]
fn without_leave_to_lose_bytes_a_repair_keeps_the_error_and_all_other_files() {
    let disk = disk_with_files();
    let extents: Vec<_> = values(&disk).into_iter().filter(|key| key.contains(&0x20)).collect();
    flip(&disk, extents.last().unwrap());
    let mut store = salvaging(&disk);
    let repair = kvfs::repair(&mut store, &mut Noon, kvfs::DEFAULT_VOLUME, RepairOptions::default()).unwrap();
    assert!(!repair.after.is_clean());
    let mut volume = volume(&disk).unwrap();
    for (path, content) in files() {
        match read_file(&mut volume, &path) {
            Ok(found) => assert!(found == content, "{path}"),
            Err(error) => assert!(path == "large", "{path}: {error}"),
        }
    }
    assert!(read_file(&mut volume, "large").is_err());
}

/// The frame of the engine has a checksum, and no key: anybody can make one.
#[test]
fn bytes_that_somebody_put_there_are_never_handed_out() {
    let disk = Disk::empty();
    open(&disk).set(&[], &[(b"\x01v\x10", Some(b"1")), (&entry(1, "a"), Some(b"1"))], false).unwrap();
    let forged: State = disk
        .entries()
        .into_iter()
        .map(|(key, value)| {
            let value = if key[0] == 2 { b"a record that somebody made up".to_vec() } else { value };
            (key, value)
        })
        .collect();
    let disk = Disk::new(forged, Limits::standard(true));
    let mut store = salvaging(&disk);
    assert_eq!(store.value_of(b"\x01v\x10").unwrap(), Some(Vec::new()));
    let found = store.entries(b"", b"").unwrap();
    assert_eq!(found.len(), 2);
    assert!(found.values().all(Vec::is_empty), "{found:?}");
    // The name is lost with the value: what stands for it can be read, guarded and removed.
    let stand_in = found.keys().find(|key| key.contains(&b'/')).unwrap().clone();
    assert_eq!(store.value_of(&stand_in).unwrap(), Some(Vec::new()));
    assert_eq!(store.set(&[(&stand_in, Some(b"1"))], &[], false), Err(StoreError::Conflict));
    store.set(&[(&stand_in, Some(b""))], &[(&stand_in, None)], false).unwrap();
    store.set(&[], &[(b"\x01v\x10", Some(b"new"))], false).unwrap();
    assert_eq!(
        open(&disk).entries(b"", b"").unwrap(),
        State::from([(b"\x01v\x10".to_vec(), b"new".to_vec())])
    );
    assert_eq!(store.does_not_open(), 2);
}

#[test]
fn a_lost_key_of_a_volume_stays_an_error() {
    let disk = disk_with_files();
    disk.contents(|contents| contents.entries.retain(|key, _| key[0] != 1));
    let ended = kvfs::fsck(&mut salvaging(&disk), kvfs::DEFAULT_VOLUME);
    assert!(
        matches!(&ended, Err(kvfs::Error::Store(StoreError::Corrupt(text))) if text.contains("without their key"))
    );
}
