//! Values that were changed, cut, moved or made up below.

use crate::disk::{Disk, entry, key, open, open_with};
use kvfs_contract::{Limits, StoreError};
use kvfs_sealed_store::OpenError;
use kvfs_store_rig::{Calls, State};

/// Entries of two prefixes, hidden and open ones, and of no prefix.
fn entries() -> State {
    State::from([
        (b"\x01v\0".to_vec(), b"superblock".to_vec()),
        (b"\x01v\x10inode".to_vec(), b"an inode".to_vec()),
        (entry(1, "a"), b"to an inode".to_vec()),
        (entry(1, "b"), b"to an inode".to_vec()),
        (entry(2, "a"), b"to an inode".to_vec()),
        (b"\x01w\0".to_vec(), b"superblock".to_vec()),
        (b"\0layer".to_vec(), b"header".to_vec()),
        (b"\0odd".to_vec(), b"".to_vec()),
    ])
}

/// Returns what a store with them has below.
fn sealed() -> State {
    let disk = Disk::empty();
    let mut store = open(&disk);
    for (key, value) in entries() {
        store.set(&[], &[(&key, Some(&value))], false).unwrap();
    }
    disk.entries()
}

/// The outcome of reading everything from a changed store.
#[derive(Debug, PartialEq)]
enum Found {
    All,
    /// Entries are missing, and the others are right.
    Missing,
    Error,
}

fn read(below: State, what: &str) -> Found {
    let disk = Disk::new(below, Limits::standard(true));
    let mut store = match open_with(&disk, &key(1)) {
        Ok(store) => store,
        Err(error) => {
            assert!(error.to_string().contains("; "), "{what}: {error} does not say what to do");
            return Found::Error;
        }
    };
    let expected = entries();
    let words = |error: &StoreError| match error {
        StoreError::Corrupt(text) => assert!(text.contains("from a copy"), "{what}: {text}"),
        error => panic!("{what}: {error}"),
    };
    let mut missing = false;
    let mut failed = false;
    for (key, value) in &expected {
        match store.value_of(key) {
            Ok(Some(found)) => assert!(found == *value, "{what}: other bytes"),
            Ok(None) => missing = true,
            Err(error) => {
                words(&error);
                failed = true;
            }
        }
    }
    match store.entries(b"", b"") {
        Ok(found) => {
            assert!(found.iter().all(|(key, value)| expected.get(key) == Some(value)), "{what}: other bytes");
            assert!(!failed, "{what}: only a get failed");
            if missing || found != expected { Found::Missing } else { Found::All }
        }
        Err(error) => {
            words(&error);
            Found::Error
        }
    }
}

#[test]
fn every_flipped_bit_of_a_value_is_an_error_in_words() {
    let below = sealed();
    assert_eq!(read(below.clone(), "as it was"), Found::All);
    assert_eq!(below.len(), entries().len() + 1 + 3, "a header, and one for each of three prefixes");
    for (key, value) in &below {
        for bit in 0..value.len() * 8 {
            let mut changed = below.clone();
            changed.get_mut(key).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let what = format!("bit {bit} of {key:?}");
            assert_eq!(read(changed, &what), Found::Error, "{what}");
        }
    }
}

#[test]
fn every_value_cut_short_or_made_longer_is_an_error_in_words() {
    let below = sealed();
    for (key, value) in &below {
        for length in (0..value.len()).chain([value.len() + 1, 70_000]) {
            let mut changed = below.clone();
            changed.get_mut(key).unwrap().resize(length, 0);
            let what = format!("{length} bytes of {key:?}");
            assert_eq!(read(changed, &what), Found::Error, "{what}");
        }
    }
}

#[test]
fn every_pair_of_values_swapped_is_an_error_in_words() {
    let below = sealed();
    for (i, (a, of_a)) in below.iter().enumerate() {
        for (b, of_b) in below.iter().skip(i + 1) {
            let mut changed = below.clone();
            changed.insert(a.clone(), of_b.clone());
            changed.insert(b.clone(), of_a.clone());
            let what = format!("{a:?} and {b:?}");
            assert_eq!(read(changed, &what), Found::Error, "{what}");
            let mut copied = below.clone();
            copied.insert(a.clone(), of_b.clone());
            assert_eq!(read(copied, &what), Found::Error, "copied: {what}");
        }
    }
}

#[test]
fn a_flipped_bit_of_a_key_never_gives_other_bytes() {
    let below = sealed();
    let mut errors = 0;
    for (key, value) in &below {
        for bit in 0..key.len() * 8 {
            let mut moved = key.clone();
            moved[bit / 8] ^= 1 << (bit % 8);
            let mut changed = below.clone();
            changed.remove(key);
            changed.insert(moved, value.clone());
            let found = read(changed, &format!("bit {bit} of the key {key:?}"));
            assert_ne!(found, Found::All);
            errors += usize::from(found == Found::Error);
        }
    }
    assert!(errors > 500, "only {errors} errors");
}

#[test]
fn a_lost_key_of_a_volume_does_not_make_it_seem_empty() {
    let below = sealed();
    for header in below.keys().filter(|key| key[0] == 1) {
        let mut lost = below.clone();
        lost.remove(header);
        let disk = Disk::new(lost, Limits::standard(true));
        let prefix = &header[1..];
        let (open_key, hidden) = if prefix.is_empty() {
            (b"\0layer".to_vec(), None)
        } else {
            ([prefix, b"\0"].concat(), Some([prefix, b"\x11\0\0\0\0\0\0\0\x01a"].concat()))
        };
        let mut store = open(&disk);
        let before = disk.entries();
        for key in [Some(open_key.clone()), hidden].into_iter().flatten() {
            let found = store.value_of(&key).map_err(|error| error.to_string());
            assert!(found.as_ref().is_err_and(|text| text.contains("without their key")), "{found:?}");
            let put = store.set(&[], &[(&key, Some(b"new"))], false).map_err(|error| error.to_string());
            assert!(put.as_ref().is_err_and(|text| text.contains("without their key")), "{put:?}");
        }
        let guarded = store.set(&[(&open_key, Some(b"superblock"))], &[], false);
        assert!(matches!(guarded, Err(StoreError::Corrupt(_))), "{guarded:?}");
        assert!(disk.entries() == before, "something was stored");
    }
}

#[test]
fn a_store_sealed_by_another_key_is_told_from_a_damaged_one() {
    let below = sealed();
    let disk = Disk::new(below, Limits::standard(true));
    assert_eq!(open_with(&disk, &key(2)).unwrap_err(), OpenError::WrongKey);
    disk.contents(|contents| contents.entries.get_mut(&b"\0kvfs-sealed"[..]).unwrap()[70] ^= 1);
    assert!(matches!(open_with(&disk, &key(1)), Err(OpenError::DamagedHeader { .. })));
}

/// The limit of this store, which the README states: fresh is not checked.
#[test]
fn an_old_value_put_back_is_believed() {
    let disk = Disk::empty();
    let mut store = open(&disk);
    store.set(&[], &[(b"\x01v\0", Some(b"old"))], false).unwrap();
    let old = disk.entries();
    store.set(&[], &[(b"\x01v\0", Some(b"new"))], false).unwrap();
    let disk = Disk::new(old, Limits::standard(true));
    assert_eq!(open(&disk).value_of(b"\x01v\0").unwrap().as_deref(), Some(&b"old"[..]));
}

#[test]
fn a_file_of_a_volume_reads_right_or_not_at_all_whatever_bit_is_flipped() {
    use kvfs::{Clock, Options, Timestamp, Volume};
    struct Noon;
    impl Clock for Noon {
        fn now(&mut self) -> Timestamp {
            Timestamp { seconds: 43_200, nanoseconds: 0 }
        }
    }
    let open_volume = |disk: &Disk| -> Result<Volume, String> {
        let store = open_with(disk, &key(1)).map_err(|error| error.to_string())?;
        Volume::open(Box::new(store), Box::new(Noon), Options::default()).map_err(|error| error.to_string())
    };
    let disk = Disk::empty();
    let mut volume = open_volume(&disk).unwrap();
    crate::hidden::write_file(&mut volume, "file", b"the content of a file");
    drop(volume);
    let whole = disk.entries();
    let (mut right, mut refused) = (0, 0);
    for (key, value) in &whole {
        for bit in 0..value.len() * 8 {
            let mut changed = whole.clone();
            changed.get_mut(key).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let disk = Disk::new(changed, Limits::standard(true));
            match open_volume(&disk).and_then(|mut volume| {
                crate::hidden::read_file(&mut volume, "file").map_err(|error| error.to_string())
            }) {
                Ok(content) => {
                    assert_eq!(content, b"the content of a file", "bit {bit} of {key:?}");
                    right += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 4 * 8 * 60, "{refused} refused, {right} right");
}

#[test]
fn removing_a_name_under_a_lost_key_of_a_volume_is_an_error_and_not_done() {
    let mut lost = sealed();
    lost.remove(&b"\x01\x01v"[..]);
    let disk = Disk::new(lost.clone(), Limits::standard(true));
    let removed = open(&disk).set(&[], &[(&entry(1, "a"), None)], false);
    assert!(
        matches!(&removed, Err(StoreError::Corrupt(text)) if text.contains("without their key")),
        "{removed:?}"
    );
    assert!(disk.entries() == lost);
    // Where nothing ever was, there is nothing to remove.
    let empty = Disk::empty();
    open(&empty).set(&[], &[(&entry(1, "a"), None)], false).unwrap();
    assert_eq!(empty.entries().len(), 1);
}

#[test]
fn a_prefix_of_the_highest_bytes_is_not_taken_for_an_unused_one() {
    let (open_key, hidden) =
        ([&[0xff; 256][..], b"\0"].concat(), [&[0xff; 256][..], &entry(1, "a")[2..]].concat());
    let disk = Disk::empty();
    open(&disk).set(&[], &[(&open_key, Some(b"1")), (&hidden, Some(b"1"))], false).unwrap();
    disk.contents(|contents| contents.entries.retain(|key, _| key[0] != 1));
    for key in [&open_key, &hidden] {
        let put = open(&disk).set(&[], &[(key, Some(b"new"))], false);
        assert!(matches!(put, Err(StoreError::Corrupt(_))), "{put:?}");
    }
}

#[test]
fn a_store_without_its_header_is_told_from_one_that_was_never_sealed() {
    use kvfs_sealed_store::{Blocking, is_sealed, now};
    let ask = |entries: &State| {
        let disk = Disk::new(entries.clone(), Limits::standard(true));
        let opened = open_with(&disk, &key(1)).map(drop);
        assert!(disk.entries() == *entries, "it was changed");
        (opened, now(is_sealed(&Blocking::new(disk))))
    };
    let whole = sealed();
    assert_eq!(ask(&whole), (Ok(()), Ok(true)));
    let mut lost = whole.clone();
    lost.remove(&b"\0kvfs-sealed"[..]);
    assert_eq!(ask(&lost), (Err(OpenError::HeaderGone), Err(OpenError::HeaderGone)));
    // Also if only entries, or only keys of volumes, are left.
    for kind in [1, 2] {
        let some: State = lost.clone().into_iter().filter(|(key, _)| key[0] == kind).collect();
        assert_eq!(ask(&some).1, Err(OpenError::HeaderGone), "{kind}");
    }
    // Volumes with the shortest names have keys in the same place.
    for name in ["v", "vv", "\u{1}", "\u{1}v"] {
        let disk = Disk::empty();
        let options = kvfs::Options { volume: name.into(), ..kvfs::Options::default() };
        struct Noon;
        impl kvfs::Clock for Noon {
            fn now(&mut self) -> kvfs::Timestamp {
                kvfs::Timestamp { seconds: 43_200, nanoseconds: 0 }
            }
        }
        let mut volume = kvfs::Volume::open(Box::new(disk.clone()), Box::new(Noon), options).unwrap();
        for length in 1..=255 {
            crate::hidden::write_file(&mut volume, &"n".repeat(length), &vec![1; length]);
        }
        drop(volume);
        assert_eq!(ask(&disk.entries()), (Err(OpenError::NotSealed), Ok(false)), "{name:?}");
    }
}
