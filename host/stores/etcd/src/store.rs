//! The four functions.

use crate::client::Client;
use crate::error::{Kind, kind, meaning};
use crate::messages::{Compare, RangeRequest, RequestOp, TxnRequest};
use crate::session::{Change, Session};
use crate::space::Space;
use kvfs_contract::{
    Answer, AsyncKvStore, Durability, Entry, Guard, Limits, MAX_ANSWER_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES,
    Mutation, ScanBudget, StoreError, key_range,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most operations and most conditions of one transaction, unless the server says otherwise
/// (`--max-txn-ops`).
pub(crate) const MAX_OPERATIONS: usize = 128;

/// Most guards of one apply. One condition more is the store's own.
const MAX_GUARDS: usize = 120;

/// Most bytes of expected values that an apply carries. Larger ones are compared beforehand.
const MAX_EXPECTED_BYTES: usize = 64 << 10;

/// Most entries of a page of a scan.
const MAX_PAGE_ENTRIES: u32 = 1000;

/// What an entry is taken to have before any was seen, in bytes.
const FIRST_GUESS_BYTES: u64 = 4096;

/// Bytes of an answer beside keys and values, for each entry.
const FRAME_BYTES: usize = 1024;

const LIMITS: Limits = Limits {
    max_key_bytes: MAX_KEY_BYTES,
    max_value_bytes: MAX_VALUE_BYTES,
    max_batch_entries: 120,
    // With keys' prefixes, guards and frames within 1.5 MiB, which a server takes as it comes
    // (`--max-request-bytes`).
    max_batch_bytes: (1 << 20) + (64 << 10),
    durable: true,
};

/// A store in etcd. Every apply is durable.
#[derive(Debug)]
pub struct EtcdStore {
    client: Arc<Client>,
    space: Space,
    /// None if opened for reading only.
    session: Option<Session>,
    /// The size of an entry that the last page had, in bytes.
    entry_bytes: AtomicU64,
}

impl EtcdStore {
    pub(crate) fn new(client: Arc<Client>, space: Space, session: Option<Session>) -> Self {
        Self { client, space, session, entry_bytes: AtomicU64::new(FIRST_GUESS_BYTES) }
    }

    async fn settled(&self) -> Result<(), StoreError> {
        match &self.session {
            Some(session) => session.settled().await,
            None => Ok(()),
        }
    }

    /// Returns conditions that are true if the guards hold.
    async fn conditions(&self, guards: &[Guard<&[u8]>]) -> Result<Vec<Compare>, StoreError> {
        if guards.len() > MAX_GUARDS {
            return Err(StoreError::TooLarge);
        }
        let bytes = |guard: &Guard<&[u8]>| guard.expected.map_or(0, <[u8]>::len);
        if guards.iter().map(bytes).sum::<usize>() > MAX_EXPECTED_BYTES {
            return self.conditions_on_revisions(guards).await;
        }
        let condition = |guard: &Guard<&[u8]>| {
            let key = self.space.entry(guard.key);
            match guard.expected {
                Some(value) => Compare::value(key, value.to_vec()),
                None => Compare::absent(key),
            }
        };
        Ok(guards.iter().map(condition).collect())
    }

    /// Compares the values of guards, and returns conditions that are true as long as these keys do
    /// not change.
    async fn conditions_on_revisions(&self, guards: &[Guard<&[u8]>]) -> Result<Vec<Compare>, StoreError> {
        let keys: Vec<&[u8]> = guards.iter().map(|guard| guard.key).collect();
        let found = self.find(&keys).await?;
        let mut conditions = Vec::with_capacity(guards.len());
        for (guard, found) in guards.iter().zip(found) {
            if !guard.holds(found.as_ref().map(|(value, _)| &value[..])) {
                return Err(StoreError::Conflict);
            }
            let key = self.space.entry(guard.key);
            conditions.push(match found {
                Some((_, revision)) => Compare::unchanged(key, revision),
                None => Compare::absent(key),
            });
        }
        Ok(conditions)
    }

    /// Returns values with the revisions of their last changes, at one moment.
    async fn find(&self, keys: &[&[u8]]) -> Result<Vec<Option<(Vec<u8>, i64)>>, StoreError> {
        let success: Vec<_> = keys.iter().map(|key| RequestOp::range(self.space.entry(key))).collect();
        let txn = TxnRequest { success, ..Default::default() };
        let max_answer_bytes = MAX_ANSWER_BYTES + keys.len() * (FRAME_BYTES + MAX_KEY_BYTES as usize);
        let answer = self.client.read(txn, max_answer_bytes).await.map_err(|status| meaning(&status))?;
        let found = answer.found();
        if found.len() != keys.len() {
            return Err(StoreError::Other("the server answered other questions than were asked".to_owned()));
        }
        let entry = |found: Vec<crate::messages::KeyValue>| {
            found.into_iter().next().map(|entry| (entry.value, entry.mod_revision))
        };
        Ok(found.into_iter().map(entry).collect())
    }
}

impl AsyncKvStore for EtcdStore {
    type Bytes = Vec<u8>;

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(LIMITS)
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        LIMITS.check_get(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.settled().await?;
        let mut answer = Answer::new(keys.len());
        for found in self.find(keys).await? {
            answer.push(found.map(|(value, _)| value))?;
        }
        Ok(answer.finish())
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        if key_range(start, end).is_none() || max_entries == 0 {
            return Ok(Vec::new());
        }
        self.settled().await?;
        let (max_entries, max_bytes) =
            (max_entries.min(MAX_PAGE_ENTRIES), max_bytes.min(LIMITS.max_batch_bytes));
        let (key, range_end) = (self.space.entry(start), self.space.end(end));
        // etcd counts entries, not bytes.
        let guess = u64::from(max_bytes) / self.entry_bytes.load(Ordering::Relaxed).max(1);
        let mut limit = guess.clamp(1, max_entries.into()) as i64;
        let max_answer_bytes = 2 * LIMITS.max_batch_bytes as usize + MAX_PAGE_ENTRIES as usize * FRAME_BYTES;
        let page = loop {
            let request = RangeRequest { key: key.clone(), range_end: range_end.clone(), limit };
            match self.client.range(request, max_answer_bytes).await {
                Ok(answer) => break answer.kvs,
                Err(status) if kind(&status) == Kind::Large && limit > 1 => limit /= 2,
                Err(status) => return Err(meaning(&status)),
            }
        };
        let bytes: usize = page.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
        if !page.is_empty() {
            self.entry_bytes.store((bytes / page.len()) as u64, Ordering::Relaxed);
        }
        let mut budget = ScanBudget::new(max_entries, max_bytes);
        let mut entries = Vec::with_capacity(page.len());
        for found in page {
            let Some(key) = self.space.key(&found.key) else {
                return Err(StoreError::Corrupt("etcd answered with a key outside the range".to_owned()));
            };
            if !budget.take(key.len() + found.value.len()) {
                break;
            }
            entries.push(Entry { key: key.to_vec(), value: found.value });
        }
        Ok(entries)
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        _level: Durability,
    ) -> Result<(), StoreError> {
        LIMITS.check_apply(guards, mutations)?;
        let Some(session) = &self.session else { return Err(StoreError::ReadOnly) };
        if guards.is_empty() && mutations.is_empty() {
            // Every apply was durable when it was acknowledged.
            return session.settled().await;
        }
        // etcd takes each key once; the last mutation counts.
        let last: BTreeMap<&[u8], Option<&[u8]>> =
            mutations.iter().map(|mutation| (mutation.key(), mutation.value())).collect();
        let operation = |(key, value): (&&[u8], &Option<&[u8]>)| match value {
            Some(value) => RequestOp::put(self.space.entry(key), value.to_vec()),
            None => RequestOp::delete(self.space.entry(key)),
        };
        let change = Change {
            guards: self.conditions(guards).await?,
            mutations: last.iter().map(operation).collect(),
            puts: last.values().any(Option::is_some),
        };
        session.apply(&change).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        match &self.session {
            Some(session) => session.end().await,
            None => Ok(()),
        }
    }
}
