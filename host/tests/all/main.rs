//! Tests of the stores, the wrappers and the linker, in one binary because each binary links
//! wasmtime.

mod alone;
mod audited;
mod broken;
mod distant;
mod ends;
mod files;
mod layer_cached;
mod linker;
mod mark_crashes;
mod marks;
mod priority;
mod redb_files;
mod reopening;
mod salvage;
mod salvage_files;
mod served;
mod servers;
mod stores;
mod suite;
mod volumes;
mod wrappers;

use std::sync::atomic::{AtomicBool, Ordering};

use kvfs_host::{Bytes, Durability, Mutation, StoreError, SyncStore};

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Mutation<'a> {
    Mutation::Put { key, value }
}

/// Applies puts without guards.
fn write(store: &dyn SyncStore, puts: &[(&[u8], &[u8])], level: Durability) -> Result<(), StoreError> {
    let puts: Vec<_> = puts.iter().map(|(key, value)| put(key, value)).collect();
    store.apply(&[], &puts, level)
}

fn value_of(store: &dyn SyncStore, key: &[u8]) -> Option<Bytes> {
    store.get(&[key]).expect("get").pop().flatten()
}

/// Ends a thread that waits for it, also when this one panics: the panic would wait for the thread.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
