//! Stores on real servers, opened by URL.

use kvfs_host::{
    CopySide, Durability, Mutation, OpenError, OpenOptions, StoreError, SyncStore, conformance, copy_store,
    open_store,
};
use kvfs_test_servers::Etcd;

use crate::{value_of, write};

/// Runs the suite on a store that is opened again and again, and copies it away and back.
fn check(url: &str) {
    let missing = open_store(url);
    let create = OpenOptions::new().create(true);
    let store = create.open(url).unwrap();
    write(&store, &[(b"k", b"v")], Durability::Buffered).unwrap();
    store.close().unwrap();
    drop(store);
    let reader = OpenOptions::new().read_only(true).open(url).unwrap();
    assert_eq!(value_of(&reader, b"k").as_deref(), Some(&b"v"[..]));
    assert_eq!(write(&reader, &[(b"k", b"w")], Durability::Durable), Err(StoreError::ReadOnly));
    reader.close().unwrap();
    drop(reader);
    let dir = tempfile::tempdir().unwrap();
    let near = format!("redb:{}", dir.path().join("near").display());
    let side = |url| CopySide { url, options: OpenOptions::new() };
    assert_eq!(copy_store(side(url), side(&near), false, &mut |_| {}).unwrap().amount.entries, 1);
    let store = open_store(url).unwrap();
    // The suite wants it empty.
    store.apply(&[], &[Mutation::Delete { key: b"k" }], Durability::Durable).unwrap();
    let report = conformance::check(&store);
    assert!(report.passed(), "{report}");
    store.close().unwrap();
    if let Err(error) = missing {
        assert!(matches!(error, OpenError::Distant { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(url) && text.contains("--create") && !text.contains('\n'), "{text}");
    }
}

#[test]
fn a_store_in_etcd_passes_the_suite() {
    let server = Etcd::start_unsynced();
    check(&format!("etcd://{}/agents", server.address()));
}

#[test]
fn a_store_in_slatedb_passes_the_suite() {
    let dir = tempfile::tempdir().unwrap();
    check(&format!("slatedb:file://{}", dir.path().join("objects").display()));
}

#[test]
fn urls_of_served_stores_that_are_wrong_say_how_they_are_right() {
    for (url, told) in [
        ("etcd://127.0.0.1:1", "prefix"),
        ("etcd://me:hunter2@127.0.0.1:1/agents", "ETCDCTL_USER"),
        ("slatedb:s3://bucket", "slatedb:s3://bucket/agents"),
        ("slatedb:s3://key:hunter2@bucket/agents", "AWS_"),
        ("slatedb:ftp://bucket/agents", "slatedb:s3://"),
    ] {
        let error = open_store(url).unwrap_err();
        assert!(matches!(error, OpenError::Distant { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(told) && !text.contains("hunter2") && !text.contains('\n'), "{text}");
    }
}
