//! `Namespaced` keeps guests apart; `Limited` counts to the byte.

use kvfs_host::{
    BlockOn, Durability, Guard, Limited, MAX_SCAN_BYTES, MAX_SCAN_ENTRIES, MemoryStore, Mutation, Namespaced,
    Quota, Sealed, StoreError, SyncStore, UserKey,
};

use crate::put;

#[test]
fn a_namespace_cannot_be_left() {
    let all = MemoryStore::new();
    let names: [&[u8]; 4] = [b"\xFE", b"\xFF", b"m", b"n"];
    let spaces: Vec<_> = names.iter().map(|name| BlockOn(Namespaced::new(all.clone(), *name))).collect();
    for (space, name) in spaces.iter().zip(names) {
        for key in [&b""[..], b"\0", b"\xFF\xFF", b"key"] {
            space.apply(&[], &[put(key, name)], Durability::Buffered).unwrap();
        }
    }
    let bounds: [&[u8]; 6] = [b"", b"\0", b"key", b"\xFE", b"\xFF", b"\xFF\xFF\xFF"];
    for (space, name) in spaces.iter().zip(names) {
        for start in bounds {
            for end in bounds {
                for entry in space.scan(start, end, 100, 1000).unwrap() {
                    assert_eq!(entry.value, name, "{name:?} sees {entry:?} in {start:?}..{end:?}");
                    assert!(*entry.key >= *start && (end.is_empty() || *entry.key < *end));
                }
            }
        }
        assert_eq!(space.scan(b"", b"", 100, 1000).unwrap().len(), 4);
    }
    // A key deleted in one namespace is still in the others.
    spaces[1].apply(&[], &[Mutation::Delete { key: b"key" }], Durability::Buffered).unwrap();
    assert_eq!(spaces.iter().filter(|space| crate::value_of(*space, b"key").is_some()).count(), 3);
    // A guard looks only into its own namespace.
    let absent = Guard { key: b"key", expected: None };
    spaces[1].apply(&[absent], &[], Durability::Buffered).unwrap();
    assert!(matches!(spaces[0].apply(&[absent], &[], Durability::Buffered), Err(StoreError::Conflict)));
}

#[test]
fn named_namespaces_share_no_key() {
    let all = MemoryStore::new();
    let short = BlockOn(Namespaced::named(all.clone(), "a").unwrap());
    let long = BlockOn(Namespaced::named(all.clone(), "ab").unwrap());
    short.apply(&[], &[put(b"b1", b"short")], Durability::Buffered).unwrap();
    long.apply(&[], &[put(b"1", b"long")], Durability::Buffered).unwrap();
    assert_eq!(crate::value_of(&short, b"b1").as_deref(), Some(&b"short"[..]));
    assert_eq!(short.scan(b"", b"", 9, 99).unwrap().len(), 1);
    assert_eq!(long.scan(b"", b"", 9, 99).unwrap().len(), 1);
    assert!(Namespaced::named(all, &"x".repeat(256)).is_err());
}

fn total(store: &dyn SyncStore) -> u64 {
    let entries = store.scan(b"", b"", MAX_SCAN_ENTRIES, MAX_SCAN_BYTES).unwrap();
    entries.iter().map(|entry| (entry.key.len() + entry.value.len()) as u64).sum()
}

#[test]
fn a_quota_is_exact_to_the_byte() {
    let limited = Limited::new(MemoryStore::new(), Quota::total_bytes(10));
    let store = BlockOn(limited.clone());
    store.apply(&[], &[put(b"a", b"1234"), put(b"b", b"1234")], Durability::Buffered).unwrap();
    assert_eq!(limited.used_bytes().wait().unwrap(), 10);
    let grow = store.apply(&[], &[put(b"a", b"12345")], Durability::Buffered);
    assert!(matches!(grow, Err(StoreError::QuotaExceeded)), "{grow:?}");
    let another = store.apply(&[], &[put(b"c", b"")], Durability::Durable);
    assert!(matches!(another, Err(StoreError::QuotaExceeded)), "{another:?}");
    // A new value of the same length, a moved value and a shorter value do not grow the store.
    store.apply(&[], &[put(b"a", b"abcd")], Durability::Buffered).unwrap();
    let moved = [Mutation::Delete { key: b"a" }, put(b"c", b"abcd")];
    store.apply(&[], &moved, Durability::Buffered).unwrap();
    store.apply(&[], &[put(b"c", b"")], Durability::Buffered).unwrap();
    assert_eq!(limited.used_bytes().wait().unwrap(), 6);
    // Only the last mutation of a key counts.
    let last = [put(b"c", &[0; 100]), put(b"c", b"1234")];
    store.apply(&[], &last, Durability::Buffered).unwrap();
    assert_eq!(limited.used_bytes().wait().unwrap(), 10);
    // A refused call leaves the count unchanged.
    let fails = Guard { key: b"zz", expected: Some(b"x") };
    let conflict = store.apply(&[fails], &[Mutation::Delete { key: b"c" }], Durability::Buffered);
    assert!(matches!(conflict, Err(StoreError::Conflict)));
    assert_eq!(limited.used_bytes().wait().unwrap(), total(&store));
}

#[test]
fn a_store_over_its_quota_may_only_shrink() {
    let inner = MemoryStore::new();
    crate::write(&inner, &[(b"a", &[0; 50]), (b"b", &[0; 50])], Durability::Buffered).unwrap();
    let store = BlockOn(Limited::new(inner, Quota::total_bytes(20)));
    assert!(matches!(
        store.apply(&[], &[put(b"a", &[0; 51])], Durability::Buffered),
        Err(StoreError::QuotaExceeded)
    ));
    store.apply(&[], &[put(b"a", &[1; 50])], Durability::Buffered).unwrap();
    store.apply(&[], &[put(b"a", &[1; 49])], Durability::Buffered).unwrap();
    store.apply(&[], &[Mutation::Delete { key: b"b" }], Durability::Buffered).unwrap();
    assert_eq!(total(&store), 50);
}

#[test]
fn a_quota_holds_between_threads() {
    let limited = Limited::new(MemoryStore::new(), Quota::total_bytes(5_000));
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let store = BlockOn(limited.clone());
            scope.spawn(move || {
                for i in 0..500u32 {
                    let key = [&[thread][..], &(i % 97).to_be_bytes()].concat();
                    let value = vec![thread; (i * 7 % 41) as usize];
                    match store.apply(&[], &[put(&key, &value)], Durability::Buffered) {
                        Ok(()) | Err(StoreError::QuotaExceeded) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let used = limited.used_bytes().wait().unwrap();
    assert!(used <= 5_000 && used > 4_000, "{used}");
    assert_eq!(used, total(&BlockOn(limited)));
}

#[test]
fn a_call_given_up_half_way_does_not_spoil_the_count() {
    let limited = Limited::new(crate::stores::slow(), Quota::total_bytes(100));
    kvfs_host::Store::apply(&limited, &[], &[put(b"a", &[0; 40])], Durability::Buffered).wait().unwrap();
    let batch = [put(b"b", &[0; 40])];
    for polls in 0..12 {
        let mut call = kvfs_host::Store::apply(&limited, &[], &batch, Durability::Buffered);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..polls {
            if std::future::Future::poll(std::pin::Pin::new(&mut call), &mut cx).is_ready() {
                break;
            }
        }
        drop(call);
        let used = limited.used_bytes().wait().unwrap();
        assert_eq!(used, total(&BlockOn(limited.clone())), "after {polls} polls");
        kvfs_host::Store::apply(&limited, &[], &[Mutation::Delete { key: b"b" }], Durability::Buffered)
            .wait()
            .unwrap();
    }
}

/// Returns whether a file's name and content are readable in a store, after they were put through
/// one that lies on it.
fn readable(all: &MemoryStore, store: impl kvfs_host::Store) -> (bool, bool) {
    let name = b"\x01v\x11\0\0\0\0\0\0\0\x01secret-name";
    let store = BlockOn(store);
    store.apply(&[], &[put(name, b"secret-content")], Durability::Buffered).unwrap();
    assert_eq!(crate::value_of(&store, name).as_deref(), Some(&b"secret-content"[..]));
    let entries = SyncStore::scan(all, b"", b"", MAX_SCAN_ENTRIES, MAX_SCAN_BYTES).unwrap();
    let holds = |part: &[u8]| {
        entries.iter().any(|entry| {
            [&entry.key, &entry.value]
                .iter()
                .any(|bytes| bytes.windows(part.len()).any(|window| window == part))
        })
    };
    (holds(b"secret-name"), holds(b"secret-content"))
}

#[test]
fn names_are_hidden_in_a_namespace_that_is_sealed_within_and_not_around_it() {
    let key = UserKey::from_key_file(vec![7; 32]).unwrap();
    let wait = |all: MemoryStore| -> Sealed<MemoryStore> {
        let sealed = tokio::runtime::Builder::new_current_thread().build().unwrap();
        sealed.block_on(Sealed::open(all, &key)).unwrap()
    };
    let all = MemoryStore::new();
    let space = Namespaced::named(all.clone(), "alice").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let within = runtime.block_on(Sealed::open(space, &key)).unwrap();
    assert_eq!(readable(&all, within), (false, false));
    // The other way round, as the pages say: only contents are hidden.
    let all = MemoryStore::new();
    let around = Namespaced::named(wait(all.clone()), "alice").unwrap();
    assert_eq!(readable(&all, around), (true, false));
}
