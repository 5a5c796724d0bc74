//! Volumes as wholes through the host's interface, and volumes under other names.

use super::{Ends, stores::conforms};
use kvfs::{Access, At, Follow, Mode, OpenFlags, Options, Volume};
use kvfs_host::{
    Aliased, AnyStore, BlockOn, EngineStore, MemoryStore, SyncStore, Volumes, VolumesError, open_store,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn options(volume: &str) -> Options {
    Options { volume: volume.to_owned(), mode: Mode::Close, ..Options::default() }
}

fn write(volume: &mut Volume, name: &str, bytes: &[u8]) -> Result<(), kvfs::Error> {
    let root = volume.root()?;
    let create = OpenFlags { create: true, truncate: true, ..OpenFlags::default() };
    let write = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, name, Follow::No, create, write)?;
    let mut at = 0;
    while at < bytes.len() {
        at += volume.write(&file, At::Offset(at as u64), &bytes[at..])?;
    }
    volume.close(file)?;
    volume.close(root)
}

fn read(volume: &mut Volume, name: &str) -> Result<Vec<u8>, kvfs::Error> {
    let root = volume.root()?;
    let read = Access { read: true, ..Access::default() };
    let file = volume.open_at(&root, name, Follow::No, OpenFlags::default(), read)?;
    let size = volume.stat(&file)?.size;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        volume.read(&file, bytes.len() as u64, size as usize, &mut bytes)?;
    }
    volume.close(file)?;
    volume.close(root)?;
    Ok(bytes)
}

fn check(store: &(impl SyncStore + Clone + 'static), volume: &str) {
    let report = kvfs::fsck(&mut EngineStore(store.clone()), volume).unwrap();
    assert!(report.is_clean(), "{volume}: {:?}", report.findings);
}

/// Takes snapshots from this thread while another one writes, and checks each.
fn snapshot_beside_a_writer(store: AnyStore) {
    let volumes = Volumes::new(store.clone());
    volumes.create("main").unwrap();
    let (written, is_done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut main = volumes.open(options("main")).unwrap();
            let mut number = 0_u64;
            while !is_done.load(Ordering::Relaxed) {
                number += 1;
                // In this order: a state of a moment has the second one of now or of before.
                for name in ["first", "second"] {
                    write(&mut main, name, &[number.to_be_bytes(); 300].concat()).unwrap();
                }
                let file = format!("file-{}", number % 50);
                write(&mut main, &file, &vec![number as u8; number as usize % 3000]).unwrap();
                if number.is_multiple_of(10) {
                    main.sync_all().unwrap();
                }
                written.store(number, Ordering::Relaxed);
            }
            main.sync_all().unwrap();
            number
        });
        let ends = Ends(&is_done);
        for round in 0..20 {
            let before = written.load(Ordering::Relaxed);
            while written.load(Ordering::Relaxed) < before + 5 {
                assert!(!writer.is_finished(), "the writer was disturbed");
                std::thread::yield_now();
            }
            let least = written.load(Ordering::Relaxed);
            let name = format!("s{round}");
            volumes.snapshot("main", &name).unwrap();
            let most = written.load(Ordering::Relaxed) + 1;
            check(&store, &name);
            let mut opened = volumes.open(options(&name)).unwrap();
            let [first, second] = ["first", "second"].map(|file| {
                let bytes = read(&mut opened, file).unwrap();
                let number = u64::from_be_bytes(*bytes.first_chunk().unwrap());
                assert!(bytes == [number.to_be_bytes(); 300].concat(), "{name}: {file} is torn");
                number
            });
            assert!(second <= first && first <= second + 1, "{name}: {first} beside {second}");
            assert!((least..=most).contains(&first), "{name}: {first}, not {least} to {most}");
        }
        drop(ends);
        let last = writer.join().unwrap();
        let mut main = volumes.open(options("main")).unwrap();
        let bytes = read(&mut main, "second").unwrap();
        assert_eq!(bytes[..8], last.to_be_bytes(), "the writer has lost what it wrote");
    });
    check(&store, "main");
    for name in volumes.names().unwrap() {
        volumes.remove(&name).unwrap();
    }
    while !volumes.collect(100).unwrap().done {}
    let rest = store.scan(b"", b"", 100, 1 << 20).unwrap();
    assert!(rest.iter().all(|entry| entry.key[0] == 0), "{rest:?}");
}

#[test]
fn snapshots_beside_a_writer_in_memory_are_states_of_a_moment() {
    snapshot_beside_a_writer(open_store("memory:").unwrap());
}

#[test]
fn snapshots_beside_a_writer_in_files_are_states_of_a_moment() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["redb", "file"] {
        let url = format!("{kind}:{}", dir.path().join(kind).display());
        snapshot_beside_a_writer(open_store(&url).unwrap());
    }
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let store = MemoryStore::new();
    let volumes = Volumes::new(store.clone());
    volumes.create("main").unwrap();
    volumes.snapshot("main", "then").unwrap();
    let before = store.scan(b"", b"", 100, 1 << 20).unwrap();
    let long = "x".repeat(256);
    let cases: Vec<(Result<(), VolumesError>, &str)> = vec![
        (volumes.create("main"), "there is a volume `main` already"),
        (volumes.create(""), "cannot be the name of a volume"),
        (volumes.create(&long), "cannot be the name of a volume"),
        (volumes.fork("none", "new"), "there is no volume `none`"),
        (volumes.fork("main", "then"), "there is a volume `then` already"),
        (volumes.snapshot("main", "a\0b"), "`a\0b` cannot be the name of a volume"),
        (volumes.fork(&long, "new"), &long),
        (volumes.rename("main", "then"), "there is a volume `then` already"),
        (volumes.rename("main", ""), "`` cannot be the name of a volume"),
        (volumes.rename("none", "new"), "there is no volume `none`"),
        (volumes.restore("none", "then"), "there is no volume `none`"),
        (volumes.restore("main", "none"), "there is no volume `none`"),
        (volumes.restore("then", "main"), "volume `then` is frozen; thaw it first"),
        (volumes.restore("main", "main"), "name another one"),
        (volumes.remove("none"), "there is no volume `none`"),
        (volumes.freeze("none"), "there is no volume `none`"),
        (volumes.thaw("none"), "there is no volume `none`"),
        (volumes.flatten("none"), "there is no volume `none`"),
        (volumes.info("none").map(drop), "there is no volume `none`"),
    ];
    for (result, expected) in cases {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(store.scan(b"", b"", 100, 1 << 20).unwrap() == before);
    let stopped = volumes.list(|_, _| Err(VolumesError::Missing { name: "stop".into() }));
    assert!(matches!(stopped, Err(VolumesError::Missing { name }) if name == "stop"));
}

#[test]
fn a_store_with_a_volume_under_another_name_keeps_the_contract() {
    for (actual, shown) in [("actual", "m"), ("m", "shown"), ("same", "same"), ("", "")] {
        conforms(&BlockOn(Aliased::new(MemoryStore::new(), actual, shown).unwrap()));
    }
    assert!(Aliased::new(MemoryStore::new(), "x", &"x".repeat(256)).is_err());
}

#[test]
fn a_fork_takes_the_place_of_the_volume_that_a_guest_names() {
    let store = MemoryStore::new();
    let volumes = Volumes::new(store.clone());
    for name in ["main", "prepared"] {
        let mut volume = volumes.open(options(name)).unwrap();
        write(&mut volume, "who", name.as_bytes()).unwrap();
        volume.sync_all().unwrap();
    }
    for fork in ["f", "a-fork-with-a-longer-name"] {
        volumes.fork("prepared", fork).unwrap();
        let others =
            |volumes: &Volumes<MemoryStore>| ["main", "prepared"].map(|name| volumes.info(name).unwrap());
        let before = others(&volumes);
        let view = BlockOn(Aliased::new(store.clone(), fork, "main").unwrap());
        let inside = Volumes::new(view.clone());
        {
            let mut main = inside.open(options("main")).unwrap();
            assert_eq!(read(&mut main, "who").unwrap(), b"prepared");
            // Large enough for a commit through the journal, whose records are the volume's own.
            let root = main.root().unwrap();
            for number in 0..40 {
                main.create_directory_at(&root, &format!("d{number}")).unwrap();
            }
            write(&mut main, "large", &vec![7; 9 << 20]).unwrap();
            write(&mut main, "who", fork.as_bytes()).unwrap();
            main.sync_all().unwrap();
            // A tool beside the guest, by the real name: the guest goes on.
            volumes.snapshot(fork, "then").unwrap();
            write(&mut main, "who", b"later").unwrap();
            main.sync_all().unwrap();
        }
        check(&view, "main");
        check(&store, fork);
        assert_eq!(inside.info("main").unwrap().used, volumes.info(fork).unwrap().used);
        assert_eq!(others(&volumes), before, "other volumes have changed");
        for (name, who) in [(fork, "later"), ("then", fork), ("main", "main"), ("prepared", "prepared")] {
            let mut volume = volumes.open(options(name)).unwrap();
            assert_eq!(read(&mut volume, "who").unwrap(), who.as_bytes(), "{name}");
        }
        volumes.remove("then").unwrap();
        // What is damaged by the real name is damaged under the other one.
        let key = [&[fork.len() as u8], fork.as_bytes(), &[0]].concat();
        let value = store.get(&[&key]).unwrap().remove(0).unwrap();
        let mut damaged = value.to_vec();
        damaged[30] ^= 1;
        let put = |value: &[u8]| {
            super::write(&store, &[(&key, value)], kvfs_host::Durability::Buffered).unwrap();
        };
        put(&damaged);
        assert!(inside.open(options("main")).is_err());
        put(&value);
        inside.open(options("main")).unwrap();
    }
}
