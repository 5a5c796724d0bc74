//! A store whose answers come later, called as one that answers at once.

use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// A store, and the runtime that its calls wait on.
pub struct Blocking<S> {
    /// The store.
    pub store: S,
    runtime: Arc<Runtime>,
}

impl<S> Blocking<S> {
    /// Opens a store on a runtime of its own.
    ///
    /// # Errors
    /// As `open`.
    ///
    /// # Panics
    /// If the system has no thread to give.
    pub fn open<E>(open: impl Future<Output = Result<S, E>>) -> Result<Self, E> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let store = runtime.block_on(open)?;
        Ok(Self { store, runtime: Arc::new(runtime) })
    }

    /// Waits for a future of the store.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Ends as by a kill of the process: none of the runtime's tasks goes on.
    ///
    /// # Panics
    /// If another handle on the runtime is left.
    pub fn kill(self) {
        let runtime = Arc::into_inner(self.runtime).expect("the only handle on the runtime");
        runtime.shutdown_background();
    }
}

impl<S: AsyncKvStore> KvStore for Blocking<S> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.wait(self.store.limits())
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let values = self.wait(self.store.get(keys))?;
        Ok(values.into_iter().map(|value| value.map(|value| value.as_ref().to_vec())).collect())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let entries = self.wait(self.store.scan(start, end, max_entries, max_bytes))?;
        Ok(entries.into_iter().map(|entry| entry.map(|bytes| bytes.as_ref().to_vec())).collect())
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.wait(self.store.apply(guards, mutations, level))
    }
}
