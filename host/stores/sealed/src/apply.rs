//! Changing entries.

use crate::cipher::{NONCE_BYTES, Sealer};
use crate::guards::Remembered;
use crate::keys::Ring;
use crate::layout::{prefix, split};
use crate::listing::Listings;
use crate::store::{SealedStore, lock, prefixes};
use kvfs_contract::AsyncKvStore;
use kvfs_contract::{Durability, Guard, Mutation, StoreError};
use std::sync::Mutex;

/// Most guarded values that are read in one call: with the longest values, half an answer.
const GUARD_PAGE_KEYS: usize = kvfs_contract::MAX_ANSWER_BYTES / 2 / kvfs_contract::MAX_VALUE_BYTES as usize;

/// Times that guards are read again because another writer sealed the same value anew.
const MAX_REREADS: usize = 2;

/// A mutation as the store below gets it.
struct Sealed {
    located: Vec<u8>,
    value: Option<Vec<u8>>,
}

/// Notes the end of an apply, whichever way it ends.
struct NamesChange<'s> {
    listings: &'s Mutex<Listings>,
    mutations: &'s [Mutation<&'s [u8]>],
    done: bool,
}

impl Drop for NamesChange<'_> {
    fn drop(&mut self) {
        let names = self.mutations.iter().filter_map(|mutation| {
            let (group, name) = split(mutation.key())?;
            Some((group, name, mutation.value().is_some()))
        });
        lock(self.listings).end(self.done, names);
    }
}

impl<C: AsyncKvStore> SealedStore<C> {
    /// Applies mutations under guards: see [`KvStore::apply`](kvfs_contract::KvStore::apply).
    ///
    /// # Errors
    /// Those of the store below, and [`StoreError::Corrupt`] for a guarded value that does not
    /// open.
    pub async fn apply(
        &self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.limits.check_apply(guards, mutations)?;
        let mut ring = self.keys_for(guards, mutations).await?;
        let sealed = self.seal(&ring, mutations)?;
        let below: Vec<Mutation<&[u8]>> = sealed
            .iter()
            .map(|Sealed { located, value }| match value {
                Some(value) => Mutation::Put { key: &located[..], value: &value[..] },
                None => Mutation::Delete { key: &located[..] },
            })
            .collect();
        let located = guards
            .iter()
            .map(|guard| {
                self.locate(&ring, guard.key)
                    .ok_or_else(|| StoreError::Fault("a guard without its key".into()))
            })
            .collect::<Result<Vec<_>, _>>()?;

        let mut change = self.begin(mutations);
        let mut rereads = 0;
        let result = loop {
            let expected = match self.expected(&mut ring, guards, &located).await {
                Ok(expected) => expected,
                Err(error) => break Err(error),
            };
            let guards_below: Vec<Guard<&[u8]>> = located
                .iter()
                .zip(&expected)
                .map(|(key, expected)| Guard { key: &key[..], expected: expected.as_deref() })
                .collect();
            let result = self.below.apply(&guards_below, &below, level).await;
            if result.is_ok() {
                self.remember(guards, &located, expected, mutations, &sealed);
                break result;
            }
            let mut guarded = lock(&self.guarded);
            located.iter().for_each(|located| guarded.forget(located));
            // The value may be the expected one and only its sealed form another.
            let may_hold = guards.iter().any(|guard| guard.expected.is_some());
            if result != Err(StoreError::Conflict) || !may_hold || rereads == MAX_REREADS {
                break result;
            }
            rereads += 1;
        };
        if let Some(change) = &mut change {
            change.done = result.is_ok();
        }
        result
    }

    /// Returns the keys of all prefixes, and makes those that what is put or guarded needs.
    async fn keys_for(
        &self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
    ) -> Result<Ring, StoreError> {
        let all = guards.iter().map(|guard| guard.key).chain(mutations.iter().map(Mutation::key));
        let all = prefixes(all);
        let mut ring = self.ring(&all).await?;
        if ring.has_all(&all) {
            return Ok(ring);
        }
        let puts = mutations.iter().filter(|mutation| mutation.value().is_some()).map(Mutation::key);
        let hidden = guards.iter().map(|guard| guard.key).filter(|key| split(key).is_some());
        for prefix in prefixes(puts.chain(hidden)) {
            if ring.get(prefix).is_none() {
                self.make_key(&mut ring, prefix).await?;
            }
        }
        // A removal needs no key made; but if one is lost, the entry cannot be found.
        let removed = mutations.iter().map(Mutation::key).filter(|key| split(key).is_some());
        self.check_unused(&mut ring, &prefixes(removed)).await?;
        Ok(ring)
    }

    fn seal(&self, ring: &Ring, mutations: &[Mutation<&[u8]>]) -> Result<Vec<Sealed>, StoreError> {
        let mut nonce = [0; NONCE_BYTES];
        if mutations.iter().any(|mutation| mutation.value().is_some()) {
            self.random().fill(&mut nonce)?;
        }
        let mut sealer: Option<(&[u8], Sealer)> = None;
        let mut number = 0;
        let mut sealed = Vec::with_capacity(mutations.len());
        for mutation in mutations {
            let key = mutation.key();
            // Without a key of its prefix, a hidden entry cannot be there to be removed.
            let Some(located) = self.locate(ring, key) else { continue };
            let value = match mutation.value() {
                None => None,
                Some(value) => {
                    let prefix = prefix(key);
                    let (_, sealer) = match &mut sealer {
                        Some(known) if known.0 == prefix => known,
                        other => {
                            let keys = ring
                                .get(prefix)
                                .ok_or_else(|| StoreError::Fault("a put without its key".into()))?;
                            other.insert((prefix, keys.values.sealer(&nonce)))
                        }
                    };
                    number += 1;
                    Some(Self::seal_value(sealer, number, (key, &located), value)?)
                }
            };
            sealed.push(Sealed { located, value });
        }
        Ok(sealed)
    }

    /// Returns the sealed values that the guarded keys must have below.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: a key has another value.
    async fn expected(
        &self,
        ring: &mut Ring,
        guards: &[Guard<&[u8]>],
        located: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut expected: Vec<Option<Vec<u8>>> = {
            let guarded = lock(&self.guarded);
            let known =
                |(guard, located): (&Guard<&[u8]>, &Vec<u8>)| guarded.sealed(located, guard.expected?);
            guards.iter().zip(located).map(known).collect()
        };
        let unknown: Vec<usize> =
            (0..guards.len()).filter(|&at| guards[at].expected.is_some() && expected[at].is_none()).collect();
        for page in unknown.chunks(GUARD_PAGE_KEYS.min(self.below_limits.max_batch_entries as usize)) {
            let keys: Vec<&[u8]> = page.iter().map(|&at| &located[at][..]).collect();
            let found = self.get_below(&keys).await?;
            for (&at, found) in page.iter().zip(found) {
                let sealed = found.ok_or(StoreError::Conflict)?;
                let prefix = prefix(guards[at].key);
                if ring.get(prefix).is_none() {
                    // Another writer has begun the volume since the keys were read.
                    ring.extend(self.ring(&[prefix]).await?);
                }
                let (key, value) = self.open_entry(ring, &located[at], sealed.as_ref())?;
                if key != guards[at].key || Some(&value[..]) != guards[at].expected {
                    return Err(StoreError::Conflict);
                }
                expected[at] = Some(sealed.as_ref().to_vec());
            }
        }
        Ok(expected)
    }

    /// Remembers what the guarded keys have after an apply.
    fn remember(
        &self,
        guards: &[Guard<&[u8]>],
        located: &[Vec<u8>],
        expected: Vec<Option<Vec<u8>>>,
        mutations: &[Mutation<&[u8]>],
        sealed: &[Sealed],
    ) {
        let mut guarded = lock(&self.guarded);
        for ((guard, located), expected) in guards.iter().zip(located).zip(expected) {
            let value = mutations.iter().rev().find(|mutation| mutation.key() == guard.key);
            let put = sealed.iter().rev().find(|sealed| sealed.located == *located);
            let known = match (value, put) {
                (None, _) => guard.expected.zip(expected),
                (Some(mutation), Some(put)) => mutation.value().zip(put.value.clone()),
                (Some(_), None) => None,
            };
            match known {
                Some((value, sealed)) => {
                    guarded.remember(located, Remembered { value: value.to_vec(), sealed })
                }
                None => guarded.forget(located),
            }
        }
    }

    /// Notes the beginning of an apply that changes names.
    fn begin<'s>(&'s self, mutations: &'s [Mutation<&'s [u8]>]) -> Option<NamesChange<'s>> {
        mutations.iter().any(|mutation| split(mutation.key()).is_some()).then(|| {
            lock(&self.listings).begin();
            NamesChange { listings: &self.listings, mutations, done: false }
        })
    }
}
