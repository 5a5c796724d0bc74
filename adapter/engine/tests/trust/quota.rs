//! Quotas are exact, refuse growth alone, and stay with the volume. The model test compares every
//! answer; this suite checks the rest.

use crate::fixture::{CREATE, WRITE, create, open_volume};
use crate::run::TestClock;
use crate::store::{Fault, JOURNALLED, LARGE, TestStore};
use kvfs::limits::{INODE_CHARGE_BYTES as INODE, NAME_CHARGE_BYTES as NAME};
use kvfs::{At, Code, Descriptor, Error, Follow, OpenFlags, Options, Quota, Used, Volume, fsck};

fn open(store: &TestStore, quota: Option<Quota>) -> (Volume, Descriptor) {
    open_volume(store, Options { quota, ..Options::default() })
}

fn used(bytes: u64, inodes: u64, names: u64) -> Used {
    let mut used = Used::default();
    (used.bytes, used.inodes, used.names) = (bytes, inodes, names);
    used
}

#[test]
fn the_last_byte_inode_and_name_of_a_quota_are_granted_and_no_more() {
    for limits in [LARGE, JOURNALLED[0], JOURNALLED[3]] {
        let store = TestStore::new(limits);
        let full = used(5000 + 3 * INODE + 3 * (NAME + 1), 3, 3);
        let quota = Quota { bytes: Some(full.bytes), inodes: Some(3), names: Some(3), file_bytes: None };
        let (mut volume, root) = open(&store, Some(quota));
        let file = create(&mut volume, &root, "a");
        volume.create_directory_at(&root, "d").unwrap();
        assert_eq!(volume.create_directory_at(&root, "e"), Err(Error::Quota), "one inode too many");
        volume.link_at(&root, "a", Follow::No, &root, "b").unwrap();
        assert_eq!(
            volume.link_at(&root, "a", Follow::No, &root, "c"),
            Err(Error::Quota),
            "one name too many"
        );
        assert_eq!(volume.write(&file, At::End, &[1; 5000]), Ok(5000));
        assert_eq!(volume.write(&file, At::End, &[1]), Err(Error::Quota));
        assert_eq!(volume.write(&file, At::Offset(10), &[2; 4990]), Ok(4990), "over existing bytes");
        assert_eq!(Error::Quota.code(), Code::Quota);
        assert_eq!(volume.symlink_at("x", &root, "e"), Err(Error::Quota));
        assert!(volume.open_at(&root, "e", Follow::No, CREATE, WRITE).is_err());
        assert_eq!(volume.rename_at(&root, "b", &root, "longer"), Err(Error::Quota), "the name is longer");
        assert_eq!(volume.used(), full);
        // Changes that do not grow anything succeed.
        volume.rename_at(&root, "b", &root, "d/b").unwrap();
        volume.remove_directory_at(&root, "d").unwrap_err();
        volume.rename_at(&root, "a", &root, "e").unwrap();
        volume.rename_at(&root, "e", &root, "d/a").unwrap();
        assert_eq!(volume.used(), full);
        volume.unlink_file_at(&root, "d/b").unwrap();
        volume.rename_at(&root, "d/a", &root, "a").unwrap();
        volume.remove_directory_at(&root, "d").unwrap();
        assert_eq!(volume.symlink_at(&"x".repeat(NAME as usize + 2), &root, "e"), Err(Error::Quota));
        volume.symlink_at(&"x".repeat(NAME as usize + 1), &root, "e").unwrap();
        assert_eq!(volume.used(), used(full.bytes, 3, 2));
        volume.close(file).unwrap();
        volume.sync_all().unwrap();
        assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
        // The quota stays with the volume until an opener brings another.
        let (volume, _) = open(&store, None);
        assert_eq!((volume.quota(), volume.used()), (quota, used(full.bytes, 3, 2)));
        drop(volume);
        let less = Quota { bytes: Some(10), ..Quota::default() };
        let (mut volume, root) = open(&store, Some(less));
        assert_eq!((volume.quota(), volume.used()), (less, used(full.bytes, 3, 2)));
        let file = volume.open_at(&root, "a", Follow::No, OpenFlags::default(), WRITE).unwrap();
        assert_eq!(volume.set_size(&file, 5001), Err(Error::Quota));
        volume.set_size(&file, 0).unwrap();
        volume.set_quota(Quota::default()).unwrap();
        volume.set_size(&file, 5001).unwrap();
    }
}

#[test]
fn a_quota_is_unset_after_a_failure_and_set_after_an_unknown_outcome() {
    let quota = Quota { bytes: Some(10), inodes: Some(10), names: Some(10), file_bytes: None };
    for (fault, is_set) in [
        (Fault::Unavailable, false),
        (Fault::ReadOnly, false),
        (Fault::UnknownNotApplied, true),
        (Fault::UnknownApplied, true),
    ] {
        let store = TestStore::new(LARGE);
        let (mut volume, root) = open(&store, None);
        store.set_fault(fault, 0, 1);
        assert!(volume.set_quota(quota).is_err());
        store.clear_fault();
        let expected = if is_set { quota } else { Quota::default() };
        assert_eq!(volume.quota(), expected, "{fault:?}");
        volume.set_times_at(&root, ".", Follow::No, kvfs::SetTime::Now, kvfs::SetTime::Keep).unwrap();
        volume.sync_all().unwrap();
        assert_eq!(open(&store, None).0.quota(), expected, "{fault:?}");
    }
}

/// A host composes a guest with limits of its own; a tool has set others for the volume.
#[test]
fn of_each_limit_the_smaller_of_the_openers_and_the_volumes_counts_and_none_is_stored() {
    let create = |volume: &mut Volume, root: &Descriptor, name: &str| {
        volume.open_at(root, name, Follow::No, CREATE, WRITE)
    };
    let set = Quota { bytes: None, inodes: Some(3), names: Some(9), file_bytes: Some(100) };
    for (own, inodes, names, file_bytes) in [
        (Quota::default(), 3, 9, 100),
        (Quota { inodes: Some(2), ..Quota::default() }, 2, 9, 100),
        (Quota { inodes: Some(50), names: Some(2), ..Quota::default() }, 3, 2, 100),
        (Quota { file_bytes: Some(40), ..Quota::default() }, 3, 9, 40),
        (Quota { file_bytes: Some(200), names: Some(200), ..Quota::default() }, 3, 9, 100),
    ] {
        let store = TestStore::new(LARGE);
        open(&store, Some(set)).0.sync_all().unwrap();
        let options = Options { own_quota: own, ..Options::default() };
        store.reset_calls();
        let (mut volume, root) = open_volume(&store, options);
        assert_eq!((store.calls().applies, volume.quota()), (1, set), "{own:?}");
        let file = create(&mut volume, &root, "0").unwrap();
        assert_eq!(volume.write(&file, At::Offset(0), &[1; 300]), Ok(file_bytes as usize), "{own:?}");
        assert_eq!(volume.set_size(&file, file_bytes + 1), Err(Error::FileTooLarge), "{own:?}");
        assert_eq!(volume.place(&file, At::End, 1, |_| {}), Err(Error::FileTooLarge), "{own:?}");
        // The root counts as one.
        for inode in 2..inodes.min(names + 1) {
            let file = create(&mut volume, &root, &inode.to_string()).unwrap();
            volume.close(file).unwrap();
        }
        if inodes <= names {
            assert_eq!(create(&mut volume, &root, "last").err(), Some(Error::Quota), "{own:?}");
        }
        let made = volume.used().names;
        for name in made..names {
            volume.link_at(&root, "0", Follow::No, &root, &format!("link {name}")).unwrap();
        }
        assert_eq!(volume.link_at(&root, "0", Follow::No, &root, "last"), Err(Error::Quota), "{own:?}");
        volume.close(file).unwrap();
        volume.sync_all().unwrap();
        drop(volume);
        assert_eq!(open(&store, None).0.quota(), set, "the volume keeps what was set: {own:?}");
        assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
    }
}

#[test]
fn an_openers_bytes_count_beside_the_volumes() {
    for (set, own, limit) in
        [(None, Some(5000), 5000), (Some(5000), Some(9000), 5000), (Some(9000), Some(5000), 5000)]
    {
        let store = TestStore::new(LARGE);
        let bytes = |bytes| Quota { bytes, ..Quota::default() };
        open(&store, Some(bytes(set))).0.sync_all().unwrap();
        let (mut volume, root) = open_volume(&store, Options { own_quota: bytes(own), ..Options::default() });
        let file = volume.open_at(&root, "a", Follow::No, CREATE, WRITE).unwrap();
        let room = limit - volume.used().bytes;
        assert_eq!(volume.set_size(&file, room), Ok(()), "a hole is free");
        assert_eq!(volume.write(&file, At::Offset(0), &vec![1; room as usize + 1]), Err(Error::Quota));
        volume.write(&file, At::Offset(0), &vec![1; room as usize]).unwrap();
        volume.close(file).unwrap();
        assert_eq!(volume.create_directory_at(&root, "d"), Err(Error::Quota));
        volume.unlink_file_at(&root, "a").unwrap();
        volume.create_directory_at(&root, "d").unwrap();
    }
}

#[test]
fn a_quota_is_durable_when_it_is_set() {
    let store = TestStore::new(LARGE);
    let (mut volume, _) = open(&store, None);
    volume.set_quota(Quota { bytes: Some(1), ..Quota::default() }).unwrap();
    assert!(store.0.borrow().log.last().unwrap().durable);
}

/// Repeats `grow`, which gets the turn's number, until it is refused. Returns the bytes that the
/// store then holds.
fn held_when_refused(
    quota: Quota,
    mut grow: impl FnMut(&mut Volume, &Descriptor, u32) -> Result<(), Error>,
) -> usize {
    let store = TestStore::new(LARGE);
    let options = Options { quota: Some(quota), extent_bytes: 512, inline_bytes: 512, ..Options::default() };
    let (mut volume, root) = open_volume(&store, options);
    for turn in 0..100_000 {
        match grow(&mut volume, &root, turn) {
            Ok(()) => {}
            Err(Error::Quota | Error::TooManyLinks) => break,
            Err(error) => panic!("turn {turn}: {error:?}"),
        }
    }
    volume.sync_all().unwrap();
    assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
    let inner = store.0.borrow();
    inner.map.iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// Whatever a guest makes, the store holds about as much as the quota says.
#[test]
fn nothing_a_guest_makes_grows_the_store_far_over_the_quota() {
    const BYTES: usize = 1 << 20;
    let quota = Quota { bytes: Some(BYTES as u64), ..Quota::default() };
    let make = |volume: &mut Volume, root: &Descriptor, name: &str| {
        volume.open_at(root, name, Follow::No, CREATE, WRITE)
    };
    let close = |volume: &mut Volume, file: Descriptor| volume.close(file);
    let long = |turn: u32| format!("{turn:06}-{}", "x".repeat(240));
    let held = [
        (
            "links",
            held_when_refused(quota, |volume, root, turn| {
                if turn == 0 {
                    let file = make(volume, root, "a")?;
                    return close(volume, file);
                }
                volume.link_at(root, "a", Follow::No, root, &long(turn))
            }),
        ),
        (
            "empty files",
            held_when_refused(quota, |volume, root, turn| {
                let file = make(volume, root, &format!("{turn}"))?;
                close(volume, file)
            }),
        ),
        (
            "directories",
            held_when_refused(quota, |volume, root, turn| volume.create_directory_at(root, &long(turn))),
        ),
        (
            "targets",
            held_when_refused(quota, |volume, root, turn| {
                volume.symlink_at(&"x/".repeat(250), root, &turn.to_string())
            }),
        ),
        (
            "open files without a name",
            held_when_refused(quota, |volume, root, turn| {
                // The descriptor is dropped and never closed.
                let _file = make(volume, root, "a")?;
                volume.unlink_file_at(root, "a")?;
                if turn % 1000 == 999 {
                    volume.sync_all()?;
                }
                Ok(())
            }),
        ),
        (
            "a byte in each extent",
            held_when_refused(quota, |volume, root, turn| {
                let file = make(volume, root, "a")?;
                volume.write(&file, At::Offset(1024 * u64::from(turn)), b"x")?;
                close(volume, file)
            }),
        ),
    ];
    for (what, held) in held {
        assert!((BYTES / 50..BYTES * 9 / 8).contains(&held), "{what}: the store holds {held} bytes");
        println!("{what}: {held}");
    }
}

/// Removals are free, and garbage is not charged. It must be deleted before it fills the store.
#[test]
fn garbage_fills_no_more_than_the_quota_leaves_free() {
    const BYTES: usize = 1 << 20;
    let store = TestStore::new(LARGE);
    let quota = Quota { bytes: Some(BYTES as u64), ..Quota::default() };
    let options = Options { quota: Some(quota), extent_bytes: 512, ..Options::default() };
    let (mut volume, root) = open_volume(&store, options);
    let mut most = 0;
    for turn in 0..40 {
        let file = create(&mut volume, &root, "a");
        volume.write(&file, At::Offset(0), &vec![turn; BYTES * 9 / 10]).unwrap();
        volume.sync_all().unwrap();
        if turn % 2 == 0 {
            volume.set_size(&file, 0).unwrap();
        }
        volume.close(file).unwrap();
        volume.unlink_file_at(&root, "a").unwrap();
        volume.sync_all().unwrap();
        let inner = store.0.borrow();
        most = most.max(inner.map.iter().map(|(key, value)| key.len() + value.len()).sum());
    }
    assert!(most < BYTES * 5 / 4, "the store held {most} bytes");
    assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
}

#[test]
fn a_wrong_count_of_names_is_found_and_repaired() {
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open(&store, Some(Quota { names: Some(9), ..Quota::default() }));
    volume.create_directory_at(&root, "d").unwrap();
    volume.symlink_at("x", &root, "d/l").unwrap();
    volume.link_at(&root, "d/l", Follow::No, &root, "m").unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    let key = b"\x04main\x00".to_vec();
    let mut body = store.0.borrow().map[&key][16..].to_vec();
    // The last two numbers are the names in use and their quota.
    let at = body.len() - 16;
    assert_eq!(body[at..], [3_u64.to_be_bytes(), 9_u64.to_be_bytes()].concat());
    body[at + 7] = 200;
    store.0.borrow_mut().map.insert(key.clone(), kvfs::fuzzing::framed(&key, 0, &body).into());
    let found = fsck(&mut store.clone(), "main").unwrap().findings;
    assert_eq!(found.iter().map(|found| found.invariant.number()).collect::<Vec<_>>(), [21]);
    let options = kvfs::RepairOptions::default();
    let done = kvfs::repair(&mut store.clone(), &mut TestClock::default(), "main", options).unwrap();
    assert!(done.after.is_clean() && done.fixes.len() == 1, "{done:?}");
    let (volume, _) = open(&store, None);
    assert_eq!((volume.used().names, volume.quota().names), (3, Some(9)));
}
