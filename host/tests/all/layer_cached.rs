//! Stores whose frozen layers are kept on this host.

use kvfs_host::{
    AnyStore, BlockOn, LayerCache, LayerCached, MemoryStore, OpenOptions, SyncStore, UserKey, Volumes,
    conformance,
};

#[test]
fn a_store_with_a_cache_in_front_passes_the_suite() {
    let cache = LayerCache::new(1 << 20);
    let store = BlockOn(LayerCached::new(MemoryStore::new(), &cache, "memory:"));
    let report = conformance::check(&store);
    assert!(report.passed(), "{report}");
}

/// Makes a volume, a fork of it, and reads the fork's root twice.
fn fork_and_read(store: &AnyStore, name: &str) {
    let volumes = Volumes::new(store.clone());
    if volumes.info("main").is_err() {
        volumes.create("main").unwrap();
    }
    volumes.fork("main", name).unwrap();
    let mut volume = volumes.open(kvfs::Options { volume: name.to_owned(), ..Default::default() }).unwrap();
    let root = volume.root().unwrap();
    for missing in ["a", "b"] {
        assert!(volume.stat_at(&root, missing, kvfs::Follow::Yes).is_err());
    }
    volume.close(root).unwrap();
}

#[test]
fn a_sealed_store_leaves_nothing_on_disk_and_another_one_does() {
    let dir = tempfile::tempdir().unwrap();
    for (at, key) in [None, Some(UserKey::from_key_file(vec![7; 32]).unwrap())].iter().enumerate() {
        let files = dir.path().join(format!("cache{at}"));
        let cache = LayerCache::new(1 << 20).on_disk(&files, 1 << 20).unwrap();
        let url = format!("file:{}", dir.path().join(format!("store{at}")).display());
        let options = OpenOptions::new().layer_cache(&cache);
        let store = key.iter().fold(options, |options, key| options.key(key)).open(&url).unwrap();
        assert!(matches!(store, AnyStore::LayerCached(_)));
        fork_and_read(&store, "one");
        fork_and_read(&store, "two");
        assert!(cache.counts().kept > 0, "{:?}", cache.counts());
        store.close().unwrap();
        cache.flush();
        let kept = std::fs::read_dir(&files).unwrap().count();
        assert_eq!(kept == 0, key.is_some(), "{kept} files");
        assert_eq!(cache.trouble(), None);
    }
}

#[test]
fn a_store_that_is_looked_at_or_checked_is_seen_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("redb:{}", dir.path().join("state.redb").display());
    let cache = LayerCache::new(1 << 20);
    let options = OpenOptions::new().layer_cache(&cache);
    let store = options.open(&url).unwrap();
    assert!(store.limits().unwrap().durable && store.marks().is_some());
    store.close().unwrap();
    drop(store);
    let checked = options.read_only(true).salvage(true).open(&url).unwrap();
    assert!(!matches!(checked, AnyStore::LayerCached(_)));
}
