//! Stores at a distance, opened by URL: `delayed:` stands for all of them.

use std::time::{Duration, Instant};

use kvfs_host::{
    AnyStore, CopyError, CopySide, Durability, OpenError, OpenOptions, StoreAccess, StoreError, SyncStore,
    conformance, copy_store, open_store,
};

use crate::redb_files::{child, path_of_child};
use crate::{value_of, write};

#[test]
fn a_store_at_a_distance_passes_the_suite() {
    let report = conformance::check(&open_store("delayed:0ms+memory:").unwrap());
    assert!(report.passed(), "{report}");
}

#[test]
fn a_call_takes_a_round_trip_and_what_was_stored_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let within = format!("redb:{}", dir.path().join("state").display());
    let url = format!("delayed:20ms+{within}");
    let store = open_store(&url).unwrap();
    let begin = Instant::now();
    write(&store, &[(b"k", b"v")], Durability::Durable).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(20));
    store.close().unwrap();
    drop(store);
    assert_eq!(value_of(&open_store(&within).unwrap(), b"k").as_deref(), Some(&b"v"[..]));

    let reader = OpenOptions::new().read_only(true).open(&url).unwrap();
    assert_eq!(value_of(&reader, b"k").as_deref(), Some(&b"v"[..]));
    let refused = write(&reader, &[(b"k", b"w")], Durability::Durable);
    assert_eq!(refused, Err(StoreError::ReadOnly));
    reader.flush().unwrap();
    reader.close().unwrap();
}

#[test]
fn a_copy_goes_to_a_distance_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let near = format!("redb:{}", path("near"));
    let far = format!("delayed:0ms+file:{}", path("far"));
    let store = open_store(&near).unwrap();
    write(&store, &[(b"a", b"1"), (b"b", b"2")], Durability::Durable).unwrap();
    store.close().unwrap();
    drop(store);

    let side = |url| CopySide { url, options: OpenOptions::new() };
    let copied = copy_store(side(&near), side(&far), false, &mut |_| {}).unwrap();
    assert_eq!(copied.amount.entries, 2);
    let back = format!("redb:{}", path("back"));
    assert_eq!(copy_store(side(&far), side(&back), false, &mut |_| {}).unwrap(), copied);
    let again = copy_store(side(&far), side(&far), false, &mut |_| {});
    assert!(matches!(again, Err(CopyError::Same { .. })), "{again:?}");
    let lost = copy_store(side(&near), side("delayed:0ms+memory:"), false, &mut |_| {});
    assert!(matches!(lost, Err(CopyError::NotKept { .. })), "{lost:?}");
}

#[test]
fn a_url_that_is_wrong_is_one_line_that_says_how_it_is_right() {
    for url in ["delayed:1ms", "delayed:1+memory:", "delayed:+memory:", "delayed:1h+memory:"] {
        let error = open_store(url).unwrap_err();
        assert!(matches!(error, OpenError::Distant { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("delayed:TIME+URL") && text.starts_with(url) && !text.contains('\n'), "{text}");
    }
    let error = open_store("delayed:1ms+nothing://me:secret@host").unwrap_err();
    assert!(matches!(error, OpenError::UnknownStore { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn what_a_wrapper_needs_is_found_through_a_store_at_a_distance() {
    let store = open_store("delayed:0ms+memory:").unwrap();
    assert!(matches!(store, AnyStore::Remote(_)), "{store:?}");
    // Whoever has no executor may use it through the linker for those that answer at once.
    assert!(!kvfs_host::Store::needs_async(&store));
    assert!(store.marks().is_none() && store.mark_trouble().is_none());
    assert!(store.limits().unwrap().max_value_bytes > 0);
}

/// A server that goes on when this program ends: the store that is not behind `delayed:`.
fn server(directory: &std::path::Path) -> (String, String) {
    let within = format!("redb:{}", directory.join("state").display());
    (format!("delayed:1ms+{within}"), within)
}

#[test]
fn dropping_the_last_handle_sends_what_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let (url, within) = server(dir.path());
    let store = open_store(&url).unwrap();
    write(&store, &[(b"k", b"v")], Durability::Buffered).unwrap();
    drop(store.clone());
    drop(store);
    assert_eq!(value_of(&open_store(&within).unwrap(), b"k").as_deref(), Some(&b"v"[..]));
}

/// Ends by `std::process::exit` while something is held.
#[test]
#[ignore = "run by a_process_that_exits_sends_what_is_held"]
fn child_exits() {
    let directory = path_of_child();
    let store = open_store(&server(&directory).0).unwrap();
    write(&store, &[(b"durable", b"v")], Durability::Durable).unwrap();
    write(&store, &[(b"k", b"v")], Durability::Buffered).unwrap();
    std::mem::forget(store);
    match std::env::var("KVFS_TEST_STOP").as_deref() {
        Ok("kill") => std::process::abort(),
        _ => std::process::exit(42),
    }
}

#[test]
fn a_process_that_exits_sends_what_is_held_and_a_killed_one_loses_no_more_than_that() {
    for (stop, is_sent) in [("exit", true), ("kill", false)] {
        let dir = tempfile::tempdir().unwrap();
        let ended =
            child("distant::child_exits", dir.path(), None).env("KVFS_TEST_STOP", stop).output().unwrap();
        assert_eq!(ended.status.code() == Some(42), is_sent, "{ended:?}");
        let left = open_store(&server(dir.path()).1).unwrap();
        assert_eq!(value_of(&left, b"durable").as_deref(), Some(&b"v"[..]));
        assert_eq!(value_of(&left, b"k").is_some(), is_sent, "{stop}");
    }
}

#[test]
fn together_the_server_has_a_buffered_apply_when_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let within = format!("file:{}", dir.path().join("state").display());
    let together = OpenOptions::new().access(StoreAccess::Together);
    let store = together.open(&format!("delayed:1ms+{within}")).unwrap();
    write(&store, &[(b"k", b"v")], Durability::Buffered).unwrap();
    let other = together.open(&within).unwrap();
    assert_eq!(value_of(&other, b"k").as_deref(), Some(&b"v"[..]));
}
