//! A server in memory, which counts its calls and may lie about layers.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use kvfs::frozen::{self, Record};
use kvfs_contract::{
    AsyncKvStore, Durability, Entries, Entry, Guard, Limits, Mutation, ScanBudget, StoreError, gather,
    key_range,
};

/// How many calls a server was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) gets: u64,
    pub(crate) scans: u64,
    pub(crate) applies: u64,
    /// Keys of frozen layers that were asked for, headers not counted.
    pub(crate) frozen_keys: u64,
}

/// A lie that makes a cache keep what changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Top layers are called frozen.
    TopsAreFrozen,
    /// All frozen layers have one stamp.
    OneStamp,
    /// No lie: it was written by a version that knew no stamps.
    NoStamps,
}

#[derive(Clone)]
pub(crate) struct Server(Arc<Mutex<Inner>>);

pub(crate) struct Inner {
    pub(crate) entries: Entries<Bytes>,
    pub(crate) calls: Calls,
    pub(crate) limits: Limits,
    pub(crate) lie: Option<Lie>,
}

impl Server {
    pub(crate) fn new(limits: Limits) -> Self {
        let inner = Inner { entries: Entries::default(), calls: Calls::default(), limits, lie: None };
        Self(Arc::new(Mutex::new(inner)))
    }

    pub(crate) fn look(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// All entries, as a copy of its disk.
    pub(crate) fn copy(&self) -> Vec<(Vec<u8>, Bytes)> {
        self.look().entries.iter().map(|(key, value)| (key.to_vec(), value.clone())).collect()
    }

    /// Puts a copy in the place of what it holds.
    pub(crate) fn put_back(&self, copy: &[(Vec<u8>, Bytes)]) {
        let mut inner = self.look();
        inner.entries = Entries::default();
        copy.iter().for_each(|(key, value)| inner.entries.set(key, Some(value.clone())));
    }

    pub(crate) fn take_calls(&self) -> Calls {
        std::mem::take(&mut self.look().calls)
    }
}

impl Inner {
    fn is_frozen(&self, layer: &[u8]) -> bool {
        let key = frozen::header_key(layer);
        self.entries.get(&key).is_some_and(|header| frozen::stamp(&key, header).is_some())
    }

    /// What is stored of a record.
    fn stored(&self, key: &[u8], value: Bytes) -> Bytes {
        match (self.lie, frozen::record(key)) {
            (Some(lie @ (Lie::OneStamp | Lie::NoStamps)), Record::Header(_)) => lie.told_of(key, &value),
            _ => value,
        }
    }

    /// What the server says of a record.
    fn shown(&self, key: &[u8], value: Bytes) -> Bytes {
        match (self.lie, frozen::record(key)) {
            (Some(lie @ Lie::TopsAreFrozen), Record::Header(_)) => lie.told_of(key, &value),
            _ => value,
        }
    }
}

impl Lie {
    /// A header of FORMAT.md, changed and with a checksum that holds.
    fn told_of(self, key: &[u8], header: &Bytes) -> Bytes {
        const STATE: usize = 16;
        const STAMP_BYTES: usize = 16;
        let mut told = header.to_vec();
        let is_top = frozen::below_top(key, header).is_some();
        match self {
            Self::TopsAreFrozen if is_top => {
                told[STATE] = 2;
                told.extend_from_slice(&[1; STAMP_BYTES]);
            }
            Self::OneStamp if frozen::stamp(key, header).is_some() => {
                let at = told.len() - STAMP_BYTES;
                told[at..].fill(1);
            }
            Self::NoStamps if frozen::stamp(key, header).is_some() => told.truncate(told.len() - STAMP_BYTES),
            _ => return header.clone(),
        }
        let length = u32::try_from(told.len() - 16).unwrap();
        told[12..16].copy_from_slice(&length.to_be_bytes());
        let sum = xxhash_rust::xxh64::xxh64(&told[8..], xxhash_rust::xxh64::xxh64(key, 0));
        told[..8].copy_from_slice(&sum.to_be_bytes());
        told.into()
    }
}

impl AsyncKvStore for Server {
    type Bytes = Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        Ok(self.look().limits)
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let mut inner = self.look();
        inner.calls.gets += 1;
        let of_frozen =
            keys.iter().filter(|key| matches!(frozen::record(key), Record::InLayer(l) if inner.is_frozen(l)));
        let of_frozen = of_frozen.count() as u64;
        inner.calls.frozen_keys += of_frozen;
        inner.limits.check_get(keys)?;
        gather(keys, |key| Ok(inner.entries.get(key).map(|value| inner.shown(key, value.clone()))))
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Bytes>>, StoreError> {
        let mut inner = self.look();
        inner.calls.scans += 1;
        let mut budget = ScanBudget::new(max_entries, max_bytes);
        let range = key_range(start, end).into_iter().flat_map(|range| inner.entries.range(range));
        let fitting = range.take_while(|(key, value)| budget.take(key.len() + value.len()));
        Ok(fitting.map(|(key, value)| Entry { key: key.to_vec().into(), value: value.clone() }).collect())
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        _: Durability,
    ) -> Result<(), StoreError> {
        let mut inner = self.look();
        inner.calls.applies += 1;
        inner.limits.check_apply(guards, mutations)?;
        inner.entries.check(guards, mutations, u64::MAX)?;
        for mutation in mutations {
            let key = mutation.key();
            let value = mutation.value().map(Bytes::copy_from_slice).map(|value| inner.stored(key, value));
            inner.entries.set(key, value);
        }
        Ok(())
    }
}
