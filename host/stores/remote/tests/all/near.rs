//! A store at a distance as the engine takes one.

use std::time::Duration;

use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use kvfs_remote::{Pace, Remote, WriteBehind};

/// Sends at once, while the caller goes on.
pub(crate) const EAGER: Pace = Pace { max_age: Duration::ZERO, min_bytes: 0 };

/// Sends with durable applies alone.
pub(crate) const LAZY: Pace = Pace { max_age: Duration::from_secs(3600), min_bytes: usize::MAX };

pub(crate) struct Near<S>(pub(crate) Remote<WriteBehind<S>>);

impl<S> Clone for Near<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Why a store did not open.
#[derive(Debug)]
#[expect(dead_code, reason = "a panic shows it")]
pub(crate) struct Failed(String);

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl<S: AsyncKvStore<Bytes: Into<bytes::Bytes>> + 'static> Near<S> {
    pub(crate) fn new(store: S, pace: Pace) -> Self {
        let open = async { Ok::<_, Failed>(WriteBehind::new(store, pace).await?) };
        Self(Remote::open("test", open).unwrap())
    }

    pub(crate) fn inner(&self) -> &S {
        self.0.store().inner()
    }
}

impl<S: AsyncKvStore<Bytes: Into<bytes::Bytes>> + 'static> KvStore for Near<S> {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        self.0.limits()
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        Ok(self.0.get(keys)?.into_iter().map(|value| value.map(Vec::from)).collect())
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let page = self.0.scan(start, end, max_entries, max_bytes)?;
        Ok(page.into_iter().map(|entry| entry.map(Vec::from)).collect())
    }

    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.0.apply(guards, mutations, level)
    }
}
