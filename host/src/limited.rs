//! An upper bound on how much a store holds.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::lock::Mutex;

use crate::gate::Gate;
use crate::{Durability, Entry, Guard, Limits, Mutation, Store, StoreError, StoreFuture};

/// The bounds of a [`Limited`] store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Most bytes of keys and values together.
    pub max_total_bytes: u64,
    /// Longest value, in bytes, if shorter than the store's own limit.
    pub max_value_bytes: u32,
    /// Most mutations in one `apply`, if fewer than the store's own limit.
    pub max_batch_entries: u32,
    /// Most bytes in one `apply`, if fewer than the store's own limit.
    pub max_batch_bytes: u32,
}

impl Quota {
    /// Makes a quota of so many bytes in all, with the store's own limits for a single call.
    pub fn total_bytes(max_total_bytes: u64) -> Self {
        Self {
            max_total_bytes,
            max_value_bytes: u32::MAX,
            max_batch_entries: u32::MAX,
            max_batch_bytes: u32::MAX,
        }
    }
}

/// A store with a quota.
///
/// The bytes of all keys and values are counted exactly. An `apply` fails with
/// [`StoreError::QuotaExceeded`] if it would make the sum larger than it was *and* larger than the
/// quota. An `apply` that shrinks the sum or leaves it as it is always passes, even over the quota.
///
/// The count is right as long as all writers use this value or its clones, which share the count.
/// To bound one namespace of many, wrap the [`Namespaced`](crate::Namespaced) store, not the store
/// below it.
///
/// # Cost
/// The first `apply` reads the whole store once, to count it; so does the first after a
/// [`StoreError::UnknownOutcome`]. Every other `apply` asks for the old values of the keys it
/// changes. Applies through one value and its clones take place one after another.
#[derive(Debug)]
pub struct Limited<S> {
    inner: Arc<S>,
    quota: Quota,
    /// The bytes in the store; `None` while they are unknown.
    used_bytes: Arc<Mutex<Option<u64>>>,
    /// Of its own: applies reach the store within under the lock of the count.
    gate: Arc<Gate>,
}

impl<S> Clone for Limited<S> {
    fn clone(&self) -> Self {
        let Self { inner, quota, used_bytes, gate } = self;
        Self { inner: inner.clone(), quota: *quota, used_bytes: used_bytes.clone(), gate: gate.clone() }
    }
}

/// Bounds of one page of a count.
const COUNT_PAGE_ENTRIES: u32 = 4096;
const COUNT_PAGE_BYTES: u32 = 4 << 20;

impl<S: Store> Limited<S> {
    /// Puts a quota before a store.
    pub fn new(inner: S, quota: Quota) -> Self {
        Self { inner: Arc::new(inner), quota, used_bytes: Arc::default(), gate: Arc::default() }
    }

    /// Returns the bytes of all keys and values.
    ///
    /// # Errors
    /// As `scan`, if the bytes have to be counted.
    pub fn used_bytes(&self) -> StoreFuture<'_, u64> {
        StoreFuture::later(async move {
            let mut used = self.used_bytes.lock().await;
            self.known(&mut used).await
        })
    }

    async fn known(&self, used: &mut Option<u64>) -> Result<u64, StoreError> {
        if let Some(bytes) = *used {
            return Ok(bytes);
        }
        let mut bytes = 0;
        let mut start = Vec::new();
        loop {
            let page = self.inner.scan(&start, &[], COUNT_PAGE_ENTRIES, COUNT_PAGE_BYTES).await?;
            let Some(last) = page.last() else { break };
            start = [&last.key, &b"\0"[..]].concat();
            bytes += page.iter().map(|entry| (entry.key.len() + entry.value.len()) as u64).sum::<u64>();
        }
        *used = Some(bytes);
        Ok(bytes)
    }

    /// Returns the bytes of the changed keys and their values now, and afterwards.
    async fn change(&self, mutations: &[Mutation<'_>]) -> Result<(u64, u64), StoreError> {
        // Of several mutations on one key the last one counts.
        let mut last: HashMap<&[u8], Option<usize>> = HashMap::with_capacity(mutations.len());
        for mutation in mutations {
            last.insert(mutation.key(), mutation.value().map(<[u8]>::len));
        }
        let after = last.iter().filter_map(|(key, value)| Some(key.len() as u64 + (*value)? as u64)).sum();
        let keys: Vec<&[u8]> = last.into_keys().collect();
        let mut before = 0;
        // In parts: the old values together may be more than one answer carries.
        for keys in keys.chunks(CHANGE_PAGE_KEYS) {
            let values = self.inner.get(keys).await?;
            let sizes = keys
                .iter()
                .zip(&values)
                .filter_map(|(key, value)| Some(key.len() as u64 + value.as_ref()?.len() as u64));
            before += sizes.sum::<u64>();
        }
        Ok((before, after))
    }

    async fn own_limits(&self) -> Result<Limits, StoreError> {
        let inner = self.inner.limits().await?;
        Ok(Limits {
            max_value_bytes: inner.max_value_bytes.min(self.quota.max_value_bytes),
            max_batch_entries: inner.max_batch_entries.min(self.quota.max_batch_entries),
            max_batch_bytes: inner.max_batch_bytes.min(self.quota.max_batch_bytes),
            ..inner
        })
    }
}

/// Keys whose old values are asked for at a time: with the longest values, half an answer.
const CHANGE_PAGE_KEYS: usize = crate::MAX_ANSWER_BYTES / 2 / crate::MAX_VALUE_BYTES as usize;

impl<S: Store> Store for Limited<S> {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        StoreFuture::later(self.own_limits())
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        StoreFuture::later(async move {
            self.own_limits().await?.check_get(keys)?;
            self.inner.get(keys).await
        })
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>> {
        // Larger numbers count as the limits: these limits, not only those of the store within.
        let (entries, bytes) = (self.quota.max_batch_entries, self.quota.max_batch_bytes);
        self.inner.scan(start, end, max_entries.min(entries), max_bytes.min(bytes))
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        StoreFuture::later(async move {
            self.own_limits().await?.check_apply(guards, mutations)?;
            self.gate.pass();
            if mutations.is_empty() {
                return self.inner.apply(guards, mutations, level).await;
            }
            let mut used = self.used_bytes.lock().await;
            let total_before = self.known(&mut used).await?;
            let (before, after) = self.change(mutations).await?;
            let total = total_before.saturating_sub(before) + after;
            if after > before && total > self.quota.max_total_bytes {
                return Err(StoreError::QuotaExceeded);
            }
            // Unknown until the call returns, and still unknown if this future is dropped before.
            *used = None;
            let result = self.inner.apply(guards, mutations, level).await;
            *used = match &result {
                Ok(()) => Some(total),
                Err(StoreError::UnknownOutcome | StoreError::Fault(_)) => None,
                Err(_) => Some(total_before),
            };
            result
        })
    }

    fn needs_async(&self) -> bool {
        self.inner.needs_async()
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        // Whoever drives an executor must not wait for what it drives.
        if self.needs_async() {
            return false;
        }
        self.gate.behind(work);
        true
    }
}
