//! Many namespaces in one store.

use bytes::Bytes;

use kvfs_contract::successor;

use crate::{Durability, Entry, Guard, Limits, Mutation, Store, StoreError, StoreFuture};

/// A part of a store: the keys that begin with a prefix, seen without the prefix.
///
/// No call through it reads or changes any other key, whatever keys and ranges a guest names. Two
/// namespaces are separate when neither prefix begins with the other. Names given to
/// [`Namespaced::named`] always are.
///
/// To encrypt a namespace, seal it within:
/// `Sealed::open(Namespaced::named(store, "alice")?, &key)`. [`Sealed`](crate::Sealed) says why not
/// the other way round.
///
/// # Cost
/// One copy of each key, to put the prefix before it. The limits shrink by the prefixes.
///
/// ```
/// use kvfs_host::{Durability, MemoryStore, Mutation, Namespaced, Store};
///
/// let all = MemoryStore::new();
/// let alice = Namespaced::named(all.clone(), "alice")?;
/// let bob = Namespaced::named(all, "bob")?;
/// alice.apply(&[], &[Mutation::Put { key: b"k", value: b"v" }], Durability::Buffered).wait()?;
/// assert_eq!(bob.get(&[b"k"]).wait()?, [None]);
/// # Ok::<(), kvfs_host::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Namespaced<S> {
    inner: S,
    prefix: Box<[u8]>,
    /// The end of a scan of the whole namespace; empty if that is the end of the store.
    end: Box<[u8]>,
}

impl<S: Store> Namespaced<S> {
    /// Makes a namespace of the keys that begin with `prefix`, any bytes.
    pub fn new(inner: S, prefix: impl Into<Vec<u8>>) -> Self {
        let prefix = prefix.into().into_boxed_slice();
        let end = successor(&prefix).into_boxed_slice();
        Self { inner, prefix, end }
    }

    /// Makes a namespace for a name. The prefix is the name's length in one byte and the name, so
    /// no two names share a key.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]: a name over 255 bytes.
    pub fn named(inner: S, name: &str) -> Result<Self, StoreError> {
        let length = u8::try_from(name.len()).map_err(|_| StoreError::TooLarge)?;
        let mut prefix = vec![length];
        prefix.extend_from_slice(name.as_bytes());
        Ok(Self::new(inner, prefix))
    }

    fn limits_of(&self, inner: Limits) -> Limits {
        reserve(inner, u32::try_from(self.prefix.len()).unwrap_or(u32::MAX))
    }

    /// Returns the limits, or an error if the prefix alone is longer than a key may be: an empty
    /// key would seem to fit then.
    async fn own_limits(&self) -> Result<Limits, StoreError> {
        let inner = self.inner.limits().await?;
        if self.prefix.len() > inner.max_key_bytes as usize {
            return Err(StoreError::TooLarge);
        }
        Ok(self.limits_of(inner))
    }
}

impl<S: Store> Store for Namespaced<S> {
    fn limits(&self) -> StoreFuture<'_, Limits> {
        StoreFuture::later(self.own_limits())
    }

    fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> StoreFuture<'a, Vec<Option<Bytes>>> {
        StoreFuture::later(async move {
            self.own_limits().await?.check_get(keys)?;
            let keys = Prefixed::new(&self.prefix, keys.iter().copied());
            let keys: Vec<&[u8]> = keys.iter().collect();
            self.inner.get(&keys).await
        })
    }

    fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> StoreFuture<'a, Vec<Entry>> {
        StoreFuture::later(async move {
            let start = [&self.prefix, start].concat();
            let end = if end.is_empty() { self.end.to_vec() } else { [&self.prefix, end].concat() };
            // Larger numbers count as the limits, and these are lower than those of the store
            // within.
            let limits = Store::limits(self).await?;
            let (max_entries, max_bytes) =
                (max_entries.min(limits.max_batch_entries), max_bytes.min(limits.max_batch_bytes));
            let mut entries = self.inner.scan(&start, &end, max_entries, max_bytes).await?;
            for entry in &mut entries {
                if !entry.key.starts_with(&self.prefix) {
                    return Err(StoreError::Fault("the store returned a key outside the range".into()));
                }
                entry.key = entry.key.slice(self.prefix.len()..);
            }
            Ok(entries)
        })
    }

    fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> StoreFuture<'a, ()> {
        StoreFuture::later(async move {
            self.own_limits().await?.check_apply(guards, mutations)?;
            let keys = guards.iter().map(|guard| guard.key).chain(mutations.iter().map(Mutation::key));
            let keys = Prefixed::new(&self.prefix, keys);
            let mut keys = keys.iter();
            let guards: Vec<_> =
                guards.iter().zip(&mut keys).map(|(guard, key)| Guard { key, ..*guard }).collect();
            let mutations: Vec<_> = mutations
                .iter()
                .zip(&mut keys)
                .map(|(mutation, key)| match mutation.value() {
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

/// Returns the limits for a caller whose keys grow by so many bytes.
pub(crate) fn reserve(inner: Limits, prefix_bytes: u32) -> Limits {
    // Each mutation carries the prefix. Half of the batch is kept for the caller's own bytes.
    // The other half allows as many mutations as it has room for prefixes.
    let most_entries = (inner.max_batch_bytes / 2).checked_div(prefix_bytes).unwrap_or(u32::MAX);
    let max_batch_entries = inner.max_batch_entries.min(most_entries);
    Limits {
        max_key_bytes: inner.max_key_bytes.saturating_sub(prefix_bytes),
        max_batch_entries,
        max_batch_bytes: inner.max_batch_bytes - max_batch_entries.saturating_mul(prefix_bytes),
        ..inner
    }
}

/// Keys with their prefixes, in one allocation.
struct Prefixed {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Prefixed {
    fn new<'k>(prefix: &[u8], keys: impl Iterator<Item = &'k [u8]>) -> Self {
        let mut prefixed = Self { bytes: Vec::new(), ends: Vec::with_capacity(keys.size_hint().0) };
        for key in keys {
            prefixed.bytes.extend_from_slice(prefix);
            prefixed.bytes.extend_from_slice(key);
            prefixed.ends.push(prefixed.bytes.len());
        }
        prefixed
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[test]
    fn a_batch_at_the_limits_fits_with_its_prefixes() {
        for prefix_bytes in [0, 1, 20, 500, 1000] {
            let inner = MemoryStore::new();
            let outer = crate::SyncStore::limits(&inner).unwrap();
            let space = Namespaced::new(inner, vec![7; prefix_bytes]);
            let limits = space.limits().wait().unwrap();
            assert!(limits.max_key_bytes as usize + prefix_bytes == outer.max_key_bytes as usize);
            let sum =
                u64::from(limits.max_batch_bytes) + u64::from(limits.max_batch_entries) * prefix_bytes as u64;
            assert!(sum <= u64::from(outer.max_batch_bytes), "prefix of {prefix_bytes}: {limits:?}");
            assert!(limits.max_batch_bytes >= outer.max_batch_bytes / 2);
        }
    }

    #[test]
    fn a_prefix_longer_than_a_key_is_an_error_and_no_panic() {
        let space = Namespaced::new(MemoryStore::new(), vec![0; 5000]);
        assert!(matches!(space.limits().wait(), Err(StoreError::TooLarge)));
        assert!(matches!(space.get(&[b""]).wait(), Err(StoreError::TooLarge)));
    }
}
