//! Policies that come, change and go, and volumes side by side of which one has a policy.

use crate::fixture::{open_volume, read, write};
use crate::mounts::{root, spec, table_on};
use crate::store::{LARGE, TestStore};
use kvfs::{Access, At, Error, Follow, MountNo, OpenFlags, Options, Scope, Scrubbing, SetTime, Volume, fsck};

fn set(volume: &mut Volume, secrets: &[&[u8]], scope: Scope) -> Result<(), Error> {
    let mut settings = volume.settings();
    settings.scrubbing = (!secrets.is_empty()).then(|| Scrubbing::new([1; 16], secrets, scope).unwrap());
    volume.set_settings(&settings)
}

/// Opens the volume `main`, which nothing has open then.
fn reopened(store: &TestStore, secrets: &[&[u8]]) -> Volume {
    let (mut volume, root) = open_volume(store, Options::default());
    volume.close(root).unwrap();
    set(&mut volume, secrets, Scope::All).unwrap();
    volume
}

#[test]
fn a_policy_does_not_change_under_what_is_open() {
    let store = TestStore::new(LARGE);
    let (mut volume, root) = open_volume(&store, Options::default());
    assert_eq!(set(&mut volume, &[b"password"], Scope::All), Err(Error::Busy));
    assert_eq!(volume.settings().scrubbing, None);
    // Other settings do.
    let settings = volume.settings();
    volume.set_settings(&settings).unwrap();
    volume.close(root).unwrap();
    set(&mut volume, &[b"password"], Scope::All).unwrap();
    assert!(volume.settings().scrubbing.is_some());
}

#[test]
fn what_was_clean_of_one_policy_is_looked_through_for_the_next() {
    let store = TestStore::new(LARGE);
    let large = [&[b'.'; 40_000][..], b"password passport"].concat();
    for name in ["small", "large"] {
        let mut volume = reopened(&store, &[b"password"]);
        let root = volume.root().unwrap();
        let bytes = if name == "small" { &large[39_000..] } else { &large };
        write(&mut volume, &root, name, bytes);
        assert!(read(&mut volume, &root, name).unwrap().ends_with(b".******** passport"));
        volume.sync_all().unwrap();
        // A time without a policy between them must not make the next one the first again.
        drop(reopened(&store, &[]));
        let mut volume = reopened(&store, &[b"passport"]);
        let root = volume.root().unwrap();
        assert!(read(&mut volume, &root, name).unwrap().ends_with(b".******** passport"), "not written to");
        write(&mut volume, &root, name, b"x");
        assert!(read(&mut volume, &root, name).unwrap().ends_with(b".******** ********"), "{name}");
        volume.sync_all().unwrap();
        assert!(fsck(&mut store.clone(), "main").unwrap().is_clean());
    }
}

#[test]
fn a_small_file_is_masked_when_its_record_is_stored_again() {
    let store = TestStore::new(LARGE);
    let mut volume = reopened(&store, &[]);
    let root = volume.root().unwrap();
    write(&mut volume, &root, "file", b"a password");
    volume.sync_all().unwrap();
    let mut volume = reopened(&store, &[b"password"]);
    let root = volume.root().unwrap();
    volume.set_times_at(&root, "file", Follow::No, SetTime::Now, SetTime::Keep).unwrap();
    assert_eq!(read(&mut volume, &root, "file").unwrap(), b"a ********");
}

#[test]
fn only_the_volume_with_a_policy_masks_names_and_bytes() {
    let store = TestStore::new(LARGE);
    let tree = || table_on(&store, vec![spec("/", 0, false), spec("/m", 1, false), spec("/m/n", 2, false)]);
    // The volumes are made, and one gets a policy.
    let mut mounts = tree();
    let at = root(&mut mounts);
    crate::mounts::stat(&mut mounts, &at, "m/n").unwrap();
    drop(mounts);
    kvfs::set_settings(&mut store.clone(), "v1", &mut |settings| {
        let mut settings = settings?;
        settings.scrubbing = Some(Scrubbing::new([1; 16], &[b"password"], Scope::All).unwrap());
        Ok(settings)
    })
    .unwrap();
    let mut mounts = tree();
    let at = root(&mut mounts);
    let (create, access) =
        (OpenFlags { create: true, ..OpenFlags::default() }, Access { write: true, ..Access::default() });
    for (mount, path, masked) in [
        (0, "password", "password"),
        (1, "m/password", "m/********"),
        // The walk comes through the scrubbed volume, and back out of it.
        (2, "m/n/password", "m/n/password"),
        (0, "m/n/../../other password", "other password"),
    ] {
        let (from, start) = at.start();
        let (on, file) = mounts
            .walk(from, start, path, |volume, start, path| {
                volume.open_at(start, path, Follow::No, create, access)
            })
            .unwrap();
        assert_eq!(on, MountNo(mount), "{path}");
        let volume = mounts.volume(on).unwrap();
        volume.write(&file, At::End, b"a password").unwrap();
        volume.close(file).unwrap();
        // It is there under the name that was given, and under the one that it has.
        for path in [path, masked] {
            let (_, stat) = crate::mounts::stat(&mut mounts, &at, path).unwrap();
            assert_eq!(stat.size, 10, "{path}");
        }
    }
    mounts.sync_all().unwrap();
    let has_secret = |volume: &str| {
        let is_in = |bytes: &[u8]| bytes.windows(8).any(|window| window == b"password");
        let map = &store.0.borrow().map;
        map.iter().any(|(key, value)| key.starts_with(volume.as_bytes()) && (is_in(key) || is_in(value)))
    };
    assert_eq!(["\x02v0", "\x02v1", "\x02v2"].map(has_secret), [true, false, true]);
}

#[test]
fn a_check_lists_files_that_are_scrubbed_by_some_of_their_names() {
    let store = TestStore::new(LARGE);
    let mut volume = reopened(&store, &[]);
    let root = volume.root().unwrap();
    volume.create_directory_at(&root, "logs").unwrap();
    volume.create_directory_at(&root, "logs/deep").unwrap();
    for file in ["one", "logs/two", "three", "logs/four\n"] {
        write(&mut volume, &root, file, b"x");
    }
    for (old, new) in [("one", "logs/deep/one"), ("logs/two", "logs/deep/two"), ("three", "third")] {
        volume.link_at(&root, old, Follow::No, &root, new).unwrap();
    }
    volume.link_at(&root, "logs/four\n", Follow::No, &root, "four").unwrap();
    volume.close(root).unwrap();
    volume.sync_all().unwrap();
    let names = |report: &kvfs::Report| -> Vec<String> {
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.half_scrubbed, report.half_scrubbed_names.len() as u64);
        report.half_scrubbed_names.iter().map(ToString::to_string).collect()
    };
    let check = || names(&fsck(&mut store.clone(), "main").unwrap());
    assert_eq!(check(), [""; 0]);
    let one = |scrubbed, other| format!("{scrubbed} is scrubbed, and {other}, the same file, is not");
    for (scope, expected) in [
        (Scope::All, vec![]),
        (
            Scope::Only(vec!["logs/**".into()]),
            vec![one("/logs/deep/one", "/one"), one("/logs/four\\n", "/four")],
        ),
        (
            Scope::Except(vec!["logs/deep/**".into()]),
            vec![one("/one", "/logs/deep/one"), one("/logs/two", "/logs/deep/two")],
        ),
    ] {
        set(&mut volume, &[b"password"], scope).unwrap();
        volume.sync_all().unwrap();
        assert_eq!(check(), expected);
    }
    // Without its other name, it is not listed any more.
    let root = volume.root().unwrap();
    volume.unlink_file_at(&root, "one").unwrap();
    volume.close(root).unwrap();
    volume.sync_all().unwrap();
    assert_eq!(check(), [one("/logs/two", "/logs/deep/two")]);
}
