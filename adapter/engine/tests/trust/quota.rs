//! Quotas: exact, growth alone is refused, and they stay with the volume. (The model test compares every
//! answer; here is what it does not look at.)

use crate::run::TestClock;
use crate::store::{Fault, JOURNALLED, LARGE, TestStore};
use kvfs::{Access, At, Code, Descriptor, Error, Follow, OpenFlags, Options, Quota, Volume};

const CREATE: OpenFlags = OpenFlags { create: true, directory: false, exclusive: false, truncate: false };
const WRITE: Access = Access { read: true, write: true, mutate_directory: false, sync: false };

fn open(store: &TestStore, quota: Option<Quota>) -> (Volume, Descriptor) {
    let options = Options { quota, ..Options::default() };
    let mut volume = Volume::open(Box::new(store.clone()), Box::new(TestClock::default()), options).unwrap();
    let root = volume.root().unwrap();
    (volume, root)
}

#[test]
fn the_last_byte_and_inode_within_a_quota_are_given_and_the_next_are_not() {
    for limits in [LARGE, JOURNALLED[0], JOURNALLED[3]] {
        let store = TestStore::new(limits);
        let quota = Quota { bytes: Some(5000), inodes: Some(3) };
        let (mut volume, root) = open(&store, Some(quota));
        let file = volume.open_at(&root, "a", Follow::No, CREATE, WRITE).unwrap();
        assert_eq!(volume.write(&file, At::End, &[1; 5000]), Ok(5000));
        assert_eq!(volume.write(&file, At::End, &[1]), Err(Error::Quota));
        assert_eq!(volume.write(&file, At::Offset(10), &[2; 4990]), Ok(4990), "over what is there");
        assert_eq!(Error::Quota.code(), Code::Quota);
        volume.create_directory_at(&root, "d").unwrap();
        assert_eq!(volume.create_directory_at(&root, "e"), Err(Error::Quota));
        assert_eq!(volume.symlink_at("x", &root, "e"), Err(Error::Quota));
        assert!(volume.open_at(&root, "e", Follow::No, CREATE, WRITE).is_err());
        assert_eq!(volume.used(), (5000, 3));
        // What does not grow goes on.
        volume.link_at(&root, "a", Follow::No, &root, "b").unwrap();
        volume.rename_at(&root, "b", &root, "d/b").unwrap();
        volume.remove_directory_at(&root, "d").unwrap_err();
        volume.unlink_file_at(&root, "d/b").unwrap();
        volume.remove_directory_at(&root, "d").unwrap();
        volume.symlink_at("x", &root, "e").unwrap_err();
        volume.set_size(&file, 4999).unwrap();
        volume.symlink_at("x", &root, "e").unwrap();
        assert_eq!(volume.used(), (5000, 3));
        volume.close(file).unwrap();
        volume.sync_all().unwrap();
        // It stays with the volume, until an opener brings another.
        let (volume, _) = open(&store, None);
        assert_eq!((volume.quota(), volume.used()), (quota, (5000, 3)));
        drop(volume);
        let less = Quota { bytes: Some(10), inodes: None };
        let (mut volume, root) = open(&store, Some(less));
        assert_eq!((volume.quota(), volume.used()), (less, (5000, 3)));
        let file = volume.open_at(&root, "a", Follow::No, OpenFlags::default(), WRITE).unwrap();
        assert_eq!(volume.set_size(&file, 5001), Err(Error::Quota));
        volume.set_size(&file, 100).unwrap();
        volume.set_quota(Quota::default()).unwrap();
        assert_eq!(volume.write(&file, At::Offset(0), &[3; 50_000]), Ok(50_000));
        volume.close(file).unwrap();
    }
}

#[test]
fn a_quota_that_could_not_be_set_is_not_and_one_of_unknown_outcome_is() {
    let quota = Quota { bytes: Some(10), inodes: Some(10) };
    for (fault, is_set) in [
        (Fault::Unavailable, false),
        (Fault::Conflict, false),
        (Fault::UnknownApplied, true),
        (Fault::UnknownNotApplied, true),
    ] {
        let store = TestStore::new(LARGE);
        let (mut volume, root) = open(&store, None);
        store.set_fault(fault, 0, 1);
        assert!(volume.set_quota(quota).is_err());
        store.clear_fault();
        let expected = if is_set { quota } else { Quota::default() };
        assert_eq!(volume.quota(), expected, "{fault:?}");
        volume.create_directory_at(&root, "d").unwrap();
        volume.sync_all().unwrap();
        assert_eq!(open(&store, None).0.quota(), expected, "{fault:?}");
    }
}

#[test]
fn a_quota_is_durable_when_it_is_set() {
    let store = TestStore::new(LARGE);
    let (mut volume, _) = open(&store, None);
    volume.set_quota(Quota { bytes: Some(1), inodes: None }).unwrap();
    assert!(store.0.borrow().log.last().unwrap().durable);
}
