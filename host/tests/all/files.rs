//! The files of volumes of a host's stores.

use kvfs::{Error, Mode, Options};
use kvfs_host::{AnyStore, FilesError, Report, SyncStore, Volumes, VolumesError, open_store};
use std::ops::ControlFlow;

fn quiet(_: &Report) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn options(volume: &str) -> Options {
    Options { volume: volume.to_owned(), mode: Mode::Lazy, ..Options::default() }
}

#[test]
fn every_store_takes_a_tree_in_and_gives_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir_all(tree.join("d")).unwrap();
    for number in 0..200 {
        std::fs::write(tree.join(format!("d/f{number}")), format!("{number}")).unwrap();
    }
    std::fs::write(tree.join("large"), vec![7; 3_000_000]).unwrap();
    for (number, kind) in ["memory:", "file:", "redb:"].into_iter().enumerate() {
        let path = dir.path().join(format!("store{number}"));
        let url = if kind == "memory:" { kind.to_owned() } else { format!("{kind}{}", path.display()) };
        let store = open_store(&url).unwrap();
        let volumes = Volumes::new(store.clone());
        volumes.create("v").unwrap();
        let mut files = volumes.files(options("v")).unwrap();
        let report = files.import_tree(&tree, "/in", &mut quiet).unwrap();
        assert_eq!((report.files, report.directories), (201, 1), "{url}");
        files.close().unwrap();
        check(&store);
        let out = dir.path().join(format!("out{number}"));
        let report = volumes.look("v", None).unwrap().export_tree("/in", &out, &mut quiet).unwrap();
        assert_eq!(report.files, 201, "{url}");
        assert_eq!(std::fs::read(out.join("d/f77")).unwrap(), b"77");
        assert!(std::fs::read(out.join("large")).unwrap() == vec![7; 3_000_000]);
    }
}

fn check(store: &AnyStore) {
    let report = kvfs::fsck(&mut kvfs_host::EngineStore(store.clone()), "v").unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[test]
fn missing_volumes_are_not_made_and_readers_apply_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file:{}", dir.path().join("s").display());
    let store = open_store(&url).unwrap();
    let volumes = Volumes::new(store.clone());
    for failed in [volumes.files(options("v")).err(), volumes.look("v", None).err()] {
        let Some(FilesError::Open { source }) = failed else { panic!("{failed:?}") };
        assert!(matches!(source.downcast_ref(), Some(VolumesError::Missing { .. })), "{source}");
    }
    assert_eq!(volumes.names().unwrap(), [""; 0]);
    volumes.create("v").unwrap();
    let mut writer = volumes.files(options("v")).unwrap();
    writer.write("f", b"1").unwrap();
    writer.sync().unwrap();
    let before = store.scan(&[], &[], 1000, 1 << 20).unwrap();
    // From another handle of a process that may only read.
    let reader = kvfs_host::open_store_read_only(&url).unwrap();
    let mut reader = Volumes::new(reader).look("v", None).unwrap();
    assert_eq!(reader.read("f", 9).unwrap(), b"1");
    assert_eq!(reader.write("f", b"2").unwrap_err().in_volume(), Some(&Error::ReadOnly));
    assert_eq!(store.scan(&[], &[], 1000, 1 << 20).unwrap(), before);
    writer.write("g", b"3").unwrap();
    writer.sync().unwrap();
    // A second writer takes it over, and the first one is told.
    let mut second = volumes.files(options("v")).unwrap();
    writer.write("h", b"4").unwrap();
    assert_eq!(writer.sync().unwrap_err().in_volume(), Some(&Error::Fenced));
    assert_eq!(second.read("g", 9).unwrap(), b"3");
}

#[test]
fn a_store_that_is_full_in_the_middle_keeps_what_came_before() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..400 {
        std::fs::write(dir.path().join(format!("f{number:03}")), vec![number as u8; 5_000]).unwrap();
    }
    let store = open_store("memory:1M").unwrap();
    let volumes = Volumes::new(store.clone());
    volumes.create("v").unwrap();
    let mut files = volumes.files(Options { max_dirty_bytes: 100_000, ..options("v") }).unwrap();
    let error = files.import_tree(dir.path(), "/", &mut quiet).unwrap_err();
    assert!(error.is_full() && error.to_string().contains("make room"), "{error}");
    drop(files);
    check(&store);
    let mut files = volumes.files(options("v")).unwrap();
    let kept = files.list("/").unwrap().len();
    assert!(kept > 50 && kept < 400, "{kept}");
    assert_eq!(files.read("f010", 10_000).unwrap(), vec![10; 5_000]);
    drop(files);
    // In a store with room, the same import goes on.
    let larger = open_store("memory:").unwrap();
    let mut start = Vec::new();
    loop {
        let page = store.scan(&start, &[], 100, 1 << 20).unwrap();
        let Some(last) = page.last() else { break };
        start = [&last.key[..], &[0]].concat();
        let puts: Vec<_> = page
            .iter()
            .map(|entry| kvfs_host::Mutation::Put { key: &entry.key, value: &entry.value })
            .collect();
        larger.apply(&[], &puts, kvfs_host::Durability::Buffered).unwrap();
    }
    let mut files = Volumes::new(larger.clone()).files(options("v")).unwrap();
    let report = files.import_tree(dir.path(), "/", &mut quiet).unwrap();
    assert_eq!(report.files + report.unchanged, 400);
    assert!(report.unchanged > 40, "{report:?}");
    files.close().unwrap();
    check(&larger);
}
