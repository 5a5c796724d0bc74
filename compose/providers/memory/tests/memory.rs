//! The provider, natively: the contract, and its size.

use kvfs_host::conformance;
use kvfs_provider_kit::native::Native;
use kvfs_provider_kit::{Durability, Mutation, Provider, StoreError};
use kvfs_provider_memory::{DEFAULT_SIZE_BYTES, ENTRY_OVERHEAD_BYTES, MAX_SIZE_BYTES, MemoryStore};

fn put(key: &[u8], value_bytes: usize) -> Mutation {
    Mutation::Put { key: key.to_vec(), value: vec![7; value_bytes] }
}

fn delete(key: &[u8]) -> Mutation {
    Mutation::Delete { key: key.to_vec() }
}

fn apply(store: &mut MemoryStore, mutations: Vec<Mutation>) -> Result<(), StoreError> {
    store.apply(Vec::new(), mutations, Durability::Buffered)
}

#[test]
fn it_conforms() {
    let report = conformance::check(&Native::new(MemoryStore::default()));
    assert!(report.passed() && report.outcomes.len() > 20, "\n{report}");
}

#[test]
fn growth_ends_exactly_at_the_size_and_shrinking_never_fails() {
    let entry = |value_bytes: u64| ENTRY_OVERHEAD_BYTES + 1 + value_bytes;
    let mut store = MemoryStore::new(2 * entry(100));
    apply(&mut store, vec![put(b"a", 100)]).unwrap();
    assert_eq!(apply(&mut store, vec![put(b"b", 101)]), Err(StoreError::QuotaExceeded));
    assert_eq!(store.used_bytes(), entry(100));
    // Deletes of the same batch make room, and only a key's last mutation counts.
    apply(&mut store, vec![put(b"c", 500), delete(b"a"), put(b"c", 1), put(b"b", 100)]).unwrap();
    assert_eq!(store.used_bytes(), entry(1) + entry(100));
    apply(&mut store, vec![put(b"c", 100)]).unwrap();
    assert_eq!(apply(&mut store, vec![put(b"d", 0)]), Err(StoreError::QuotaExceeded));
    assert_eq!(apply(&mut store, vec![put(b"c", 101)]), Err(StoreError::QuotaExceeded));
    apply(&mut store, vec![put(b"c", 100), put(b"b", 99)]).unwrap();
    apply(&mut store, vec![delete(b"c"), delete(b"b"), delete(b"never")]).unwrap();
    assert_eq!(store.used_bytes(), 0);
}

#[test]
fn a_refused_batch_changes_nothing() {
    let mut store = MemoryStore::new(1000);
    apply(&mut store, vec![put(b"a", 10)]).unwrap();
    assert!(apply(&mut store, vec![delete(b"a"), put(b"b", 2000)]).is_err());
    assert_eq!(store.get(&[b"a".to_vec(), b"b".to_vec()]).unwrap(), [Some(vec![7; 10]), None]);
}

#[test]
fn the_size_is_what_composition_wrote() {
    let holds = |text: &str, bytes: u64| {
        let mut store = MemoryStore::configured(text);
        apply(&mut store, vec![put(b"", (bytes - ENTRY_OVERHEAD_BYTES) as usize)]).is_ok()
    };
    assert!(holds("provider=memory\nsize=2000\n", 2000) && !holds("provider=memory\nsize=2000\n", 2001));
    assert!(holds("", 1 << 20) && holds("size=x\nlater=1\n", 1 << 20));
    const { assert!(DEFAULT_SIZE_BYTES < MAX_SIZE_BYTES && MAX_SIZE_BYTES < 1 << 32) };
}
