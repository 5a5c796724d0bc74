//! Volumes of the engine in one store, each with an opener of its own.

use crate::disk::{Disk, SimDirectory, taking_turns};
use kvfs::volumes::{Taken, fork};
use kvfs::{Access, At, Clock, Error, Follow, OpenFlags, Timestamp, Volume};
use kvfs_contract::{Durability, KvStore, Mutation};
use kvfs_file_store::{FileStore, Options};
use kvfs_store_rig::Handle;

const OPTIONS: Options = Options {
    min_garbage_bytes: 8 << 10,
    reserve_bytes: 256,
    min_segment_bytes: 16 << 10,
    max_recent_changes: 100,
    ..Options::DEFAULT
};

struct Noon;

impl Clock for Noon {
    fn now(&mut self) -> Timestamp {
        Timestamp { seconds: 43_200, nanoseconds: 0 }
    }
}

fn volume(directory: &SimDirectory, name: &str) -> Volume {
    volume_in(FileStore::open_with(directory.clone(), OPTIONS).unwrap(), name)
}

fn volume_in(store: FileStore<SimDirectory>, name: &str) -> Volume {
    let options = kvfs::Options { volume: name.into(), ..kvfs::Options::default() };
    Volume::open(Box::new(store), Box::new(Noon), options).unwrap()
}

fn write(volume: &mut Volume, name: &str, content: &[u8]) -> Result<(), Error> {
    let root = volume.root()?;
    let create = OpenFlags { create: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, name, Follow::Yes, create, access)?;
    volume.write(&file, At::End, content)?;
    volume.close(file)?;
    volume.close(root)
}

fn size(volume: &mut Volume, name: &str) -> u64 {
    let root = volume.root().unwrap();
    let size = volume.stat_at(&root, name, Follow::Yes).unwrap().size;
    volume.close(root).unwrap();
    size
}

#[test]
fn two_volumes_with_an_opener_each_go_on_call_by_call() {
    let directory = SimDirectory::new(Disk::default());
    let mut volumes = [volume(&directory, "one"), volume(&directory, "two")];
    for round in 0..60usize {
        for volume in &mut volumes {
            write(volume, &format!("file {}", round % 7), &[round as u8; 300]).unwrap();
            if round % 5 == 0 {
                volume.sync_all().unwrap();
            }
        }
    }
    drop(volumes);
    let directory = SimDirectory::new(directory.disk(|disk| disk.after_kill()));
    for name in ["one", "two"] {
        let mut volume = volume(&directory, name);
        for file in 0..7usize {
            let rounds = (0..60).filter(|round| round % 7 == file).count();
            assert_eq!(size(&mut volume, &format!("file {file}")), 300 * rounds as u64, "{name}");
        }
    }
}

#[test]
fn two_programs_on_two_volumes_race_and_lose_nothing() {
    let mut written = 0;
    for seed in 0..40 {
        let handles = taking_turns(Disk::default(), 2, seed);
        let done = Handle::run_all(&handles, &format!("seed {seed}"), |handle, thread| {
            let directory = SimDirectory(handle.clone());
            let Ok(store) = FileStore::open_with(directory, OPTIONS) else { return 0 };
            let options = kvfs::Options { volume: format!("of {thread}"), ..kvfs::Options::default() };
            let Ok(mut volume) = Volume::open(Box::new(store), Box::new(Noon), options) else { return 0 };
            let mut done = 0;
            // Both at every call may keep each other from getting anywhere: then a call says so.
            while done < 8 && write(&mut volume, &format!("file {done}"), &[1; 100]).is_ok() {
                done += 1;
            }
            if volume.sync_all().is_ok() { done } else { 0 }
        });
        let directory = SimDirectory::new(handles[0].look(|disk| disk.after_kill()));
        for (thread, files) in done.into_iter().enumerate().filter(|(_, files)| *files > 0) {
            let mut volume = volume(&directory, &format!("of {thread}"));
            for file in 0..files {
                assert_eq!(size(&mut volume, &format!("file {file}")), 100, "seed {seed}, thread {thread}");
            }
            written += files;
        }
    }
    assert!(written > 300, "{written} files");
}

#[test]
fn of_two_openers_of_one_volume_the_newer_has_it() {
    let directory = SimDirectory::new(Disk::default());
    let mut older = volume(&directory, "one");
    write(&mut older, "a", b"before").unwrap();
    older.sync_all().unwrap();
    let mut newer = volume(&directory, "one");
    assert_eq!(size(&mut newer, "a"), 6);
    write(&mut newer, "a", b" and after").unwrap();
    let late = write(&mut older, "late", b"too late").and_then(|()| older.sync_all());
    assert_eq!(late, Err(Error::Fenced));
    write(&mut newer, "b", b"goes on").unwrap();
    newer.sync_all().unwrap();
    let mut third = volume(&SimDirectory::new(directory.disk(|disk| disk.after_kill())), "one");
    assert_eq!((size(&mut third, "a"), size(&mut third, "b")), (16, 7));
}

/// A snapshot waits for the disk as often as one durable apply of one value does, whatever was written.
#[test]
fn a_snapshot_is_one_durable_apply() {
    for files in [1, 300] {
        let directory = SimDirectory::new(Disk::default());
        // Full segments would be synced beside it, and garbage freed.
        let open = || FileStore::open_with(directory.clone(), Options::DEFAULT).unwrap();
        let mut writer = volume_in(open(), "main");
        let mut syncs_of = |number: usize, act: &dyn Fn(&mut FileStore<SimDirectory>)| {
            for file in 0..files {
                write(&mut writer, &format!("file {number} {file}"), &[1; 100]).unwrap();
            }
            let mut store = open();
            let before = directory.disk(|disk| disk.syncs);
            act(&mut store);
            directory.disk(|disk| disk.syncs) - before
        };
        let apply = syncs_of(0, &|store| {
            let put = Mutation::Put { key: b"\xffkey".as_slice(), value: b"value".as_slice() };
            store.apply(&[], &[put], Durability::Durable).unwrap();
        });
        let snapshots: Vec<u64> = (1..4)
            .map(|number| {
                syncs_of(number, &|store| {
                    fork(store, &mut Noon, "main", &format!("s{number}"), Taken::ReadOnly).unwrap();
                })
            })
            .collect();
        println!("{files} files: {apply} syncs of an apply, {snapshots:?} of snapshots");
        assert!(
            apply > 0 && snapshots.iter().all(|syncs| *syncs == apply),
            "{snapshots:?}, an apply {apply}"
        );
    }
}
