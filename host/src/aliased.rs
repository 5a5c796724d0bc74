//! A volume of a store under another name.

use std::borrow::Cow;

use bytes::Bytes;
use xxhash_rust::xxh64::xxh64;

use crate::namespaced::reserve;
use crate::{Durability, Entry, Guard, Limits, Mutation, Store, StoreError, StoreFuture};

/// Tags from this one on are those of records in layers. The records before them are a volume's own:
/// superblock, settings and journal (FORMAT.md of the engine).
const FIRST_LAYER_TAG: u8 = 0x03;

/// Bytes of the checksum that a value starts with. Its seed is the checksum of the key.
const CHECKSUM_BYTES: usize = 8;

/// A store in which one volume has the name of another. A guest that mounts `main`, which its
/// composition fixes, so runs on any fork, and the same compiled component runs on all of them.
///
/// ```
/// use kvfs_host::{Aliased, KvCtx, MemoryStore, Volumes};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let volumes = Volumes::new(store.clone());
/// volumes.create("prepared")?;
/// volumes.fork("prepared", "agent-1")?;
/// // What the guest does to `main` is done to `agent-1`.
/// let kv = KvCtx::new(Aliased::new(store, "agent-1", "main")?);
/// # let _ = kv;
/// # Ok(())
/// # }
/// ```
///
/// A volume that really has the name is neither seen nor touched. Layers have names of their own and
/// are the same in both stores. The volume is seen under its real name too: open it in one way at a
/// time, as any volume.
///
/// The volume must be a fork, or have been forked: records of files must lie in layers
/// (`kvfs::volumes::VolumeInfo::layers` is not empty). Records under the volume's own name are not
/// found here.
///
/// # Cost
/// Nothing for calls that name no record of the volume as a whole; a copy and two checksums of each
/// such record in the others. A commit has one such record. A real name that is longer than the shown
/// one makes each call ask for the limits too, which shrink by the difference.
#[derive(Clone, Debug)]
pub struct Aliased<S> {
    inner: S,
    /// What the keys of the volume begin with for the caller.
    shown: Box<[u8]>,
    /// What they begin with in the store.
    actual: Box<[u8]>,
}

impl<S: Store> Aliased<S> {
    /// Shows the volume `actual` as `shown`.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]: a name over 255 bytes.
    pub fn new(inner: S, actual: &str, shown: &str) -> Result<Self, StoreError> {
        Ok(Self { inner, shown: prefix(shown)?, actual: prefix(actual)? })
    }

    /// Returns whether a key is one that is renamed.
    fn is_own(&self, key: &[u8]) -> bool {
        let tag = key.strip_prefix(&*self.shown).and_then(<[u8]>::first);
        tag.is_some_and(|tag| *tag < FIRST_LAYER_TAG)
    }

    /// The key in the store.
    fn key<'k>(&self, key: &'k [u8]) -> Cow<'k, [u8]> {
        match self.is_own(key) {
            true => Cow::Owned([&self.actual, &key[self.shown.len()..]].concat()),
            false => Cow::Borrowed(key),
        }
    }

    /// The value in the store under the renamed `key`.
    fn value<'v>(&self, key: &[u8], value: &'v [u8]) -> Cow<'v, [u8]> {
        match self.is_own(key) {
            true => Cow::Owned(moved(value, key, &self.key(key))),
            false => Cow::Borrowed(value),
        }
    }

    /// The value that the caller sees under `key`.
    fn shown_value(&self, key: &[u8], value: Bytes) -> Bytes {
        match self.is_own(key) {
            true => moved(&value, &self.key(key), key).into(),
            false => value,
        }
    }

    /// By how much keys grow.
    fn growth(&self) -> u32 {
        u32::try_from(self.actual.len().saturating_sub(self.shown.len())).unwrap_or(u32::MAX)
    }

    /// The keys from `start` to `end` in parts: before the volume's own records, these, and behind
    /// them. Parts that have no keys are left out.
    fn parts(&self, start: &[u8], end: &[u8]) -> Vec<Part> {
        let own = [&*self.shown, &[0]].concat();
        let behind = [&*self.shown, &[FIRST_LAYER_TAG]].concat();
        let bounds =
            [(Vec::new(), own.clone(), false), (own, behind.clone(), true), (behind, Vec::new(), false)];
        let parts = bounds.into_iter().map(|(from, to, is_own)| Part {
            start: start.to_vec().max(from),
            end: earlier(end, &to).to_vec(),
            is_own,
        });
        parts.filter(|part| part.end.is_empty() || part.start < part.end).collect()
    }

    async fn scan_part(
        &self,
        part: &Part,
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        if !part.is_own {
            return self.inner.scan(&part.start, &part.end, max_entries, max_bytes).await;
        }
        let start = self.key(&part.start);
        let end = match self.key(&part.end) {
            // The end of all of them is no key of theirs.
            Cow::Borrowed(_) => [&*self.actual, &[FIRST_LAYER_TAG]].concat(),
            Cow::Owned(end) => end,
        };
        let mut entries = self.inner.scan(&start, &end, max_entries, max_bytes).await?;
        for entry in &mut entries {
            let rest = entry.key.strip_prefix(&*self.actual);
            let rest = rest.ok_or(StoreError::Fault("the store returned a key outside the range".into()))?;
            let key = [&*self.shown, rest].concat();
            entry.value = self.shown_value(&key, std::mem::take(&mut entry.value));
            entry.key = key.into();
        }
        Ok(entries)
    }
}

/// A key and its value, if there is one, as they are in the store.
type Renamed<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// A range of keys that all are renamed, or none.
struct Part {
    start: Vec<u8>,
    end: Vec<u8>,
    is_own: bool,
}

impl<S: Store> Store for Aliased<S> {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        match self.growth() {
            0 => self.inner.limits(),
            growth => StoreFuture::later(async move { Ok(reserve(self.inner.limits().await?, growth)) }),
        }
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        if self.growth() == 0 && !keys.iter().any(|key| self.is_own(key)) {
            return self.inner.get(keys);
        }
        StoreFuture::later(async move {
            if self.growth() > 0 {
                Store::limits(self).await?.check_get(keys)?;
            }
            let renamed: Vec<Cow<'_, [u8]>> = keys.iter().map(|key| self.key(key)).collect();
            let renamed: Vec<&[u8]> = renamed.iter().map(|key| &**key).collect();
            let values = self.inner.get(&renamed).await?;
            let shown = keys.iter().zip(values);
            Ok(shown.map(|(key, value)| value.map(|value| self.shown_value(key, value))).collect())
        })
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>> {
        let is_before = !end.is_empty() && end <= &*self.shown;
        let is_behind = start.len() >= self.shown.len() && start[..self.shown.len()] > *self.shown;
        if self.growth() == 0 && (is_before || is_behind) {
            return self.inner.scan(start, end, max_entries, max_bytes);
        }
        StoreFuture::later(async move {
            let (mut max_entries, mut max_bytes) = (max_entries, max_bytes);
            if self.growth() > 0 {
                // Larger numbers count as the limits, which are lower than those of the store.
                let limits = Store::limits(self).await?;
                max_entries = max_entries.min(limits.max_batch_entries);
                max_bytes = max_bytes.min(limits.max_batch_bytes);
            }
            for part in self.parts(start, end) {
                let mut entries = self.scan_part(&part, max_entries, max_bytes).await?;
                if !entries.is_empty() {
                    cut(&mut entries, max_bytes);
                    return Ok(entries);
                }
            }
            Ok(Vec::new())
        })
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        let mut keys = guards.iter().map(|guard| guard.key).chain(mutations.iter().map(Mutation::key));
        if self.growth() == 0 && !keys.any(|key| self.is_own(key)) {
            return self.inner.apply(guards, mutations, level);
        }
        StoreFuture::later(async move {
            if self.growth() > 0 {
                Store::limits(self).await?.check_apply(guards, mutations)?;
            }
            let renamed_guards: Vec<Renamed<'_>> = guards
                .iter()
                .map(|guard| {
                    (self.key(guard.key), guard.expected.map(|expected| self.value(guard.key, expected)))
                })
                .collect();
            let renamed: Vec<Renamed<'_>> = mutations
                .iter()
                .map(|mutation| {
                    let key = mutation.key();
                    (self.key(key), mutation.value().map(|value| self.value(key, value)))
                })
                .collect();
            let guards: Vec<Guard<'_>> = renamed_guards
                .iter()
                .map(|(key, expected)| Guard { key, expected: expected.as_deref() })
                .collect();
            let mutations: Vec<Mutation<'_>> = renamed
                .iter()
                .map(|(key, value)| match value {
                    Some(value) => Mutation::Put { key, value },
                    None => Mutation::Delete { key },
                })
                .collect();
            self.inner.apply(&guards, &mutations, level).await
        })
    }

    fn needs_async(&self) -> bool {
        self.inner.needs_async()
    }

    fn exclusively(&self, work: &mut dyn FnMut()) -> bool {
        self.inner.exclusively(work)
    }
}

fn prefix(volume: &str) -> Result<Box<[u8]>, StoreError> {
    let length = u8::try_from(volume.len()).map_err(|_| StoreError::TooLarge)?;
    Ok([&[length], volume.as_bytes()].concat().into())
}

/// Shortens a page whose keys have grown. One entry stays in any case.
fn cut(entries: &mut Vec<Entry>, max_bytes: u32) {
    let mut bytes = 0;
    let fits = entries.iter().take_while(|entry| {
        bytes += entry.key.len() + entry.value.len();
        bytes <= max_bytes as usize
    });
    let fits = fits.count().max(1);
    entries.truncate(fits);
}

/// The earlier one of two ends of ranges, of which none is an end.
fn earlier<'k>(one: &'k [u8], other: &'k [u8]) -> &'k [u8] {
    if one.is_empty() || !other.is_empty() && other < one { other } else { one }
}

/// The value of a record under another key. A value that is not that of `from` stays as it is: it is
/// as damaged under `to`.
fn moved(value: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut moved = value.to_vec();
    if let Some((sum, body)) = moved.split_first_chunk_mut::<CHECKSUM_BYTES>() {
        let of = |key: &[u8]| xxh64(body, xxh64(key, 0)).to_be_bytes();
        if *sum == of(from) {
            *sum = of(to);
        }
    }
    moved
}
