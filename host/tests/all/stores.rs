//! Runs the suite over every store and wrapper.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use kvfs_host::{
    BlockOn, Bytes, Durability, Entry, Guard, Limited, Limits, MAX_BATCH_ENTRIES, MAX_SCAN_BYTES,
    MAX_VALUE_BYTES, MemoryStore, Mutation, Namespaced, Quota, RedbStore, Sealed, StoreError, StoreFuture,
    SyncStore, UserKey, conformance, open_store,
};

pub(crate) fn conforms(store: &dyn SyncStore) {
    let report = conformance::check(store);
    assert!(report.outcomes.len() > 20, "only {} claims were checked", report.outcomes.len());
    assert!(report.passed() && report.not_checked() == 0, "\n{report}");
}

fn redb() -> (tempfile::TempDir, RedbStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(directory.path().join("state.redb")).unwrap();
    (directory, store)
}

#[test]
fn memory_store_conforms() {
    conforms(&MemoryStore::new());
}

#[test]
fn a_memory_store_with_a_size_conforms() {
    conforms(&MemoryStore::with_size(1 << 30));
    // A small store is not blamed for its size.
    let report = conformance::check(&MemoryStore::with_size(1 << 20));
    assert!(report.passed() && report.not_checked() > 0, "\n{report}");
}

#[test]
fn a_memory_store_holds_no_more_than_its_size_and_shrinks_when_it_is_full() {
    let cost = |bytes: u64| 160 + 1 + bytes;
    let store = MemoryStore::with_size(cost(100) + cost(50));
    let second = store.clone();
    let write = |changes: &[(&[u8], Option<&[u8]>)]| {
        let mutations: Vec<Mutation<'_>> = changes
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Mutation::Put { key, value },
                None => Mutation::Delete { key },
            })
            .collect();
        SyncStore::apply(&second, &[], &mutations, Durability::Buffered)
    };
    write(&[(b"a", Some(&[1; 100]))]).unwrap();
    assert!(matches!(write(&[(b"b", Some(&[1; 51]))]), Err(StoreError::QuotaExceeded)));
    write(&[(b"b", Some(&[1; 50]))]).unwrap();
    assert_eq!(store.used_bytes().unwrap(), cost(100) + cost(50));
    for refused in [&[(&b"c"[..], Some(&b""[..]))][..], &[(b"b", None), (b"b", Some(&[1; 51]))]] {
        assert!(matches!(write(refused), Err(StoreError::QuotaExceeded)));
        assert_eq!(store.used_bytes().unwrap(), cost(100) + cost(50), "a refused apply changed the store");
    }
    // Changes that do not grow the store are accepted, also when one key replaces another.
    write(&[(b"a", Some(&[2; 100]))]).unwrap();
    write(&[(b"a", Some(&[2; 30])), (b"b", Some(&[2; 120]))]).unwrap();
    write(&[(b"a", None), (b"c", Some(&[3; 30]))]).unwrap();
    write(&[(b"c", None)]).unwrap();
    write(&[(b"b", None)]).unwrap();
    assert_eq!(store.used_bytes().unwrap(), 0);
}

#[test]
fn a_memory_store_by_name_may_have_a_size() {
    for (url, fits, too_much) in [("memory:64K", 60 << 10, 70 << 10), ("memory:1M", 1000 << 10, 1 << 20)] {
        let store = open_store(url).unwrap();
        let put = |bytes: usize| {
            SyncStore::apply(&store, &[], &[crate::put(b"a", &vec![1; bytes])], Durability::Buffered)
        };
        put(fits).unwrap();
        assert!(matches!(put(too_much), Err(StoreError::QuotaExceeded)), "{url}");
        SyncStore::apply(&store, &[], &[Mutation::Delete { key: b"a" }], Durability::Buffered).unwrap();
    }
    for url in ["memory:much", "memory:-1", "memory:1.5M", "memory:63K", "memory:0"] {
        let error = open_store(url).map(drop).unwrap_err();
        assert!(error.to_string().contains(url), "{error}");
        // A text that is not a size has an error of its own.
        let is_size = matches!(url, "memory:63K" | "memory:0");
        assert_eq!(matches!(error, kvfs_host::OpenError::MemoryTooSmall { .. }), is_size, "{error:?}");
        assert_eq!(std::error::Error::source(&error).is_none(), is_size, "{error:?}");
    }
    let store = open_store("memory:").unwrap();
    let large = vec![1; 1 << 20];
    for key in 0..40_u8 {
        SyncStore::apply(&store, &[], &[crate::put(&[key], &large)], Durability::Buffered).unwrap();
    }
}

#[test]
fn a_directory_of_other_files_becomes_no_store_and_stays_as_it_is() {
    for foreign in ["notes.txt", ".hidden", "1.kvfs", "0000000000000001.kvfs.bak", "line\nbreak"] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(foreign), "mine").unwrap();
        let modified = std::fs::metadata(directory.path()).unwrap().modified().unwrap();
        let url = format!("file:{}", directory.path().display());
        let error = open_store(&url).map(drop).unwrap_err();
        assert!(matches!(error, kvfs_host::OpenError::NotAStore { .. }), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        assert!(kvfs_host::open_store_read_only(&url).is_err());
        let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(std::fs::metadata(directory.path()).unwrap().modified().unwrap(), modified);
        assert_eq!(std::fs::read(directory.path().join(foreign)).unwrap(), b"mine");
    }
    // An empty directory becomes a store, and files that appear beside it later are left alone.
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("lost+found")).unwrap();
    let url = format!("file:{}", directory.path().display());
    crate::write(&open_store(&url).unwrap(), &[(b"a", b"1")], Durability::Durable).unwrap();
    std::fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    drop(open_store(&url).unwrap());
    assert_eq!(std::fs::read(directory.path().join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn redb_store_conforms() {
    let (_directory, store) = redb();
    conforms(&store);
}

#[test]
fn stores_by_name_conform() {
    let directory = tempfile::tempdir().unwrap();
    conforms(&open_store("memory:").unwrap());
    let url = format!("redb:{}", directory.path().join("a.redb").display());
    conforms(&open_store(&url).unwrap());
    let url = format!("file:{}", directory.path().join("a").display());
    conforms(&open_store(&url).unwrap());
}

#[test]
fn stores_on_disk_keep_what_they_were_given_from_one_opening_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    for kind in ["redb", "file"] {
        let url = format!("{kind}:{}", directory.path().join(kind).display());
        let mut open = || -> Result<Box<dyn SyncStore + '_>, StoreError> {
            Ok(Box::new(open_store(&url).map_err(|error| StoreError::Other(error.to_string()))?))
        };
        let report = conformance::check_reopening(&mut open);
        assert!(report.passed() && report.holding() == 8, "\n{report}");
    }
}

#[test]
fn a_store_in_a_directory_outlives_its_opener_and_openers_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().join("state").display());
    assert!(matches!(kvfs_host::open_store_read_only(&url), Err(kvfs_host::OpenError::NoStore { .. })));
    let first = open_store(&url).unwrap();
    crate::write(&first, &[(b"a", b"1")], Durability::Buffered).unwrap();
    let reader = kvfs_host::open_store_read_only(&url).unwrap();
    assert_eq!(crate::value_of(&reader, b"a").as_deref(), Some(&b"1"[..]));
    assert!(matches!(
        crate::write(&reader, &[(b"a", b"2")], Durability::Buffered),
        Err(StoreError::ReadOnly)
    ));
    crate::write(&first, &[(b"b", b"1")], Durability::Buffered).unwrap();

    let second = open_store(&url).unwrap();
    assert_eq!(crate::value_of(&second, b"a").as_deref(), Some(&b"1"[..]));
    crate::write(&first, &[(b"a", b"2")], Durability::Buffered).unwrap();
    crate::write(&second, &[(b"c", b"1")], Durability::Buffered).unwrap();
    for key in [b"a", b"b", b"c"] {
        let expected = if key == b"a" { b"2" } else { b"1" };
        assert_eq!(crate::value_of(&second, key).as_deref(), Some(&expected[..]));
    }
}

#[cfg(unix)]
#[test]
fn a_store_in_a_directory_whose_lease_was_removed_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().display());
    let older = open_store(&url).unwrap();
    crate::write(&older, &[(b"a", b"1")], Durability::Buffered).unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "lease") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let newer = open_store(&url).unwrap();
    crate::write(&newer, &[(b"b", b"2")], Durability::Durable).unwrap();
    crate::write(&older, &[(b"c", b"3")], Durability::Durable).unwrap();
    crate::write(&newer, &[(b"d", b"4")], Durability::Durable).unwrap();
    for (key, value) in [(b"a", b"1"), (b"b", b"2"), (b"c", b"3"), (b"d", b"4")] {
        assert_eq!(crate::value_of(&newer, key).as_deref(), Some(&value[..]));
    }
}

#[test]
fn what_a_store_in_a_directory_cannot_open_is_said_once() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file:{}", directory.path().display());
    drop(open_store(&url).unwrap());
    std::fs::create_dir(directory.path().join("0000000000000009.kvfs")).unwrap();
    let store = open_store(&url).unwrap();
    crate::write(&store, &[(b"a", b"1")], Durability::Durable).unwrap();
    drop(store);
    let first = directory.path().join("0000000000000001.kvfs");
    std::fs::remove_file(first).unwrap();
    let damaged = open_store(&url).map(|_| ()).unwrap_err().to_string();
    assert_eq!(damaged.matches("from a copy").count(), 1, "{damaged}");
    std::fs::write(directory.path().join("0000ffffffffffff.lease"), "").unwrap();
    let absurd = open_store(&url).map(|_| ()).unwrap_err().to_string();
    assert!(absurd.contains("0000ffffffffffff.lease") && !absurd.contains("does not answer"), "{absurd}");
}

#[test]
fn namespaces_conform_beside_others() {
    let prefixes: [&[u8]; 6] = [b"", b"a", b"\0", b"\xFF", b"\xFF\xFF", b"middle"];
    for prefix in prefixes {
        let all = MemoryStore::new();
        if !prefix.is_empty() {
            for other in [&b""[..], b"A", b"\0", b"l", b"\xFE\xFF", b"\xFF"] {
                if !other.starts_with(prefix) {
                    SyncStore::apply(&all, &[], &[crate::put(other, b"x")], Durability::Buffered).unwrap();
                }
            }
        }
        let before = SyncStore::scan(&all, b"", b"", 100, 1000).unwrap();
        conforms(&BlockOn(Namespaced::new(all.clone(), prefix)));
        assert_eq!(SyncStore::scan(&all, b"", b"", 100, 1000).unwrap(), before, "prefix {prefix:?}");
    }
}

#[test]
fn a_namespace_of_a_redb_store_conforms() {
    let (_directory, store) = redb();
    conforms(&BlockOn(Namespaced::named(store, "one").unwrap()));
}

#[test]
fn a_limited_store_conforms_below_its_quota() {
    conforms(&BlockOn(Limited::new(MemoryStore::new(), Quota::total_bytes(1 << 30))));
    let small = Quota {
        max_value_bytes: 5000,
        max_batch_entries: 100,
        max_batch_bytes: 50_000,
        ..Quota::total_bytes(1 << 30)
    };
    conforms(&BlockOn(Limited::new(MemoryStore::new(), small)));
}

/// A store that waits once in each call except `limits`.
struct Slow(MemoryStore);

struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl kvfs_host::Store for Slow {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        StoreFuture::later(async { SyncStore::limits(&self.0) })
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        StoreFuture::later(async move {
            YieldOnce(false).await;
            SyncStore::get(&self.0, keys)
        })
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        entries: u32,
        bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>> {
        StoreFuture::later(async move {
            YieldOnce(false).await;
            SyncStore::scan(&self.0, start, end, entries, bytes)
        })
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        StoreFuture::later(async move {
            YieldOnce(false).await;
            SyncStore::apply(&self.0, guards, mutations, level)
        })
    }
}

pub(crate) fn slow() -> impl kvfs_host::Store + 'static {
    Slow(MemoryStore::new())
}

#[test]
fn an_asynchronous_store_conforms() {
    conforms(&BlockOn(slow()));
    let stack = Limited::new(Namespaced::new(slow(), *b"ns"), Quota::total_bytes(1 << 30));
    conforms(&BlockOn(stack));
}

#[test]
fn the_suite_leaves_a_store_in_use_alone() {
    let store = MemoryStore::new();
    SyncStore::apply(&store, &[], &[crate::put(b"mine", b"1")], Durability::Buffered).unwrap();
    let report = conformance::check(&store);
    assert!(!report.passed() && report.failing() == 0 && report.not_checked() == 1, "\n{report}");
    assert!(report.to_string().contains("left alone"), "\n{report}");
    assert_eq!(SyncStore::scan(&store, b"", b"", 10, 100).unwrap().len(), 1);
}

#[test]
fn a_clone_of_a_memory_store_sees_the_same_data() {
    let store = MemoryStore::new();
    let other = store.clone();
    crate::write(&store, &[(b"a", b"1")], Durability::Buffered).unwrap();
    assert_eq!(crate::value_of(&other, b"a").as_deref(), Some(&b"1"[..]));
}

#[test]
fn answers_are_bounded_whatever_is_asked_for() {
    let (_directory, redb) = redb();
    let stores: [&dyn SyncStore; 2] = [&MemoryStore::new(), &redb];
    for store in stores {
        let value = vec![1; MAX_VALUE_BYTES as usize];
        for i in 0..20u8 {
            store.apply(&[], &[crate::put(&[i], &value)], Durability::Buffered).unwrap();
        }
        let page = store.scan(b"", b"", u32::MAX, u32::MAX).unwrap();
        let bytes: usize = page.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
        assert!(!page.is_empty() && bytes <= MAX_SCAN_BYTES as usize, "{bytes} bytes in a page");
        // One key named over and over would return gigabytes.
        let keys: Vec<&[u8]> = vec![&[0]; MAX_BATCH_ENTRIES as usize];
        assert!(matches!(store.get(&keys), Err(StoreError::TooLarge)));
    }
}

#[test]
fn unknown_urls_say_what_is_known() {
    for url in ["", "memory", "redb", "redb:", "s3://bucket", "/tmp/file.redb"] {
        let text = open_store(url).unwrap_err().to_string();
        assert!(text.contains("memory:") && text.contains("redb:PATH"), "{url}: {text}");
        assert!(text.contains(&format!("`{url}`")), "{text}");
    }
}

pub(crate) fn seal<S: kvfs_host::Store>(store: S) -> Sealed<S> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(Sealed::open(store, &UserKey::from_key_file(vec![7; 32]).unwrap())).unwrap()
}

#[test]
fn a_sealed_store_conforms_alone_and_with_other_wrappers() {
    conforms(&BlockOn(seal(MemoryStore::new())));
    let (_directory, redb) = redb();
    conforms(&BlockOn(seal(redb)));
    conforms(&BlockOn(seal(Namespaced::named(MemoryStore::new(), "tenant").unwrap())));
    conforms(&BlockOn(Namespaced::named(seal(MemoryStore::new()), "tenant").unwrap()));
    conforms(&BlockOn(seal(Limited::new(MemoryStore::new(), Quota::total_bytes(1 << 30)))));
}
