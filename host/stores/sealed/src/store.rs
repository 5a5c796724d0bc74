//! A sealed store: what it knows, and its keys.

use crate::cipher::{Broken, Cipher, NONCE_BYTES, PrefixKeys, Sealer};
use crate::guards::Guarded;
use crate::keys::{Known, KnownPrefixes, Ring};
use crate::layout::{
    ENTRIES, KEY_OVERHEAD, PREFIX_HEADERS, SEAL_OVERHEAD, prefix, show, split, stored, stored_range,
};
use crate::listing::Listings;
use crate::random::Random;
use crate::salvage::Damaged;
use kvfs_contract::AsyncKvStore;
use kvfs_contract::{Durability, Guard, Limits, Mutation, StoreError};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Bytes that a stored value has more than the caller's, without a hidden name.
const VALUE_OVERHEAD: u32 = SEAL_OVERHEAD as u32 + 2;

/// Bytes that a mutation has more than the caller's: what a hidden name adds to the value it does
/// not add to the key.
const MUTATION_OVERHEAD: u32 = KEY_OVERHEAD + VALUE_OVERHEAD;

/// Longest key, whatever the store below takes: the length of a hidden name is a u16.
const MAX_SEALED_KEY_BYTES: u32 = 4096;

/// A store that seals what it is given before it hands it to the store below.
///
/// Every value is sealed for its key: a value that was changed, or moved to another key, is
/// [`StoreError::Corrupt`]. Names of directory entries are replaced by tags. An older value put
/// back under its own key is not noticed.
///
/// Several instances may work on one store, as far as the store below allows it.
///
/// # Cost
/// One call below for each `get` and each `apply`, and one more for the first that meets a volume.
/// A guard on a key that this instance did not guard before is read first. See the README
/// for `scan`.
pub struct SealedStore<C> {
    pub(crate) below: C,
    pub(crate) limits: Limits,
    pub(crate) below_limits: Limits,
    store_key: Cipher,
    random: Mutex<Box<dyn Random>>,
    prefixes: Mutex<KnownPrefixes>,
    pub(crate) guarded: Mutex<Guarded>,
    pub(crate) listings: Mutex<Listings>,
    /// Values that did not open, if such are to be handed out as empty ones.
    salvage: Option<Mutex<Damaged>>,
}

impl<C> fmt::Debug for SealedStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStore").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Returns the limits of a sealed store over one with these limits.
pub(crate) fn limits_over(below: &Limits) -> Limits {
    let max_key_bytes = below.max_key_bytes.saturating_sub(KEY_OVERHEAD).min(MAX_SEALED_KEY_BYTES);
    // An eighth of a batch is kept for what sealing adds.
    let max_batch_entries = below.max_batch_entries.min(below.max_batch_bytes / 8 / MUTATION_OVERHEAD);
    Limits {
        max_key_bytes,
        // A hidden name goes into the value.
        max_value_bytes: below.max_value_bytes.saturating_sub(VALUE_OVERHEAD.saturating_add(max_key_bytes)),
        max_batch_entries,
        max_batch_bytes: below.max_batch_bytes - max_batch_entries * MUTATION_OVERHEAD,
        durable: below.durable,
    }
}

/// Locks what is only a memory of the store, so that no panic leaves it wrong.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the prefixes of keys, each once and in order.
pub(crate) fn prefixes<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Vec<&'k [u8]> {
    let mut prefixes = Vec::new();
    for key in keys {
        let prefix = prefix(key);
        if prefixes.last() != Some(&prefix) {
            prefixes.push(prefix);
        }
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}

fn header_key(prefix: &[u8]) -> Vec<u8> {
    [&[PREFIX_HEADERS], prefix].concat()
}

fn lost_key(prefix: &[u8]) -> StoreError {
    StoreError::Corrupt(format!(
        "there are sealed entries of `{}` without their key; restore the store from a copy",
        show(prefix)
    ))
}

impl<C> SealedStore<C> {
    pub(crate) fn new(below: C, below_limits: Limits, store_key: Cipher, random: Box<dyn Random>) -> Self {
        Self {
            below,
            limits: limits_over(&below_limits),
            below_limits,
            store_key,
            random: Mutex::new(random),
            prefixes: Mutex::default(),
            guarded: Mutex::default(),
            listings: Mutex::default(),
            salvage: None,
        }
    }

    /// Hands out values that do not open as empty ones from now on, for the check or the repair of
    /// a volume. See [`does_not_open`](Self::does_not_open) for their number.
    ///
    /// An entry whose name does not open is handed out under a name with a `/`, which no file has.
    /// It can be read, guarded, replaced and removed under that name. All that this store's
    /// [`StoreError::Corrupt`] told is silent from now on, so nothing but a check of each record
    /// may read through it.
    #[must_use]
    pub fn salvaging(self) -> Self {
        Self { salvage: Some(Mutex::default()), ..self }
    }

    pub(crate) fn is_salvaging(&self) -> bool {
        self.salvage.is_some()
    }

    /// Returns how many values did not open so far; 0 without [`salvaging`](Self::salvaging).
    pub fn does_not_open(&self) -> usize {
        self.salvage.as_ref().map_or(0, |damaged| lock(damaged).count())
    }

    /// Returns the store below.
    pub fn below(&self) -> &C {
        &self.below
    }

    pub(crate) fn random(&self) -> MutexGuard<'_, Box<dyn Random>> {
        lock(&self.random)
    }

    /// Returns the key below of a key; `None` if that takes a key of the prefix that there is not.
    pub(crate) fn locate(&self, ring: &Ring, key: &[u8]) -> Option<Vec<u8>> {
        let Some((group, name)) = split(key) else { return Some(stored(key)) };
        if let Some(damaged) = &self.salvage
            && let Some(located) = lock(damaged).located(key)
        {
            return Some(located.clone());
        }
        let keys = ring.get(prefix(key))?;
        let mut located = stored(group);
        located.extend_from_slice(&keys.name_tag(group, name));
        Some(located)
    }

    /// Seals the value of `key`, which lies at `located` and has a number among those of its apply.
    pub(crate) fn seal_value(
        sealer: &Sealer,
        number: u64,
        (key, located): (&[u8], &[u8]),
        value: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let mut sealed = Vec::new();
        match split(key) {
            None => sealer.seal(number, located, &[value], &mut sealed)?,
            Some((_, name)) => {
                let length = u16::try_from(name.len()).map_err(|_| StoreError::TooLarge)?.to_be_bytes();
                sealer.seal(number, located, &[&length, name, value], &mut sealed)?;
            }
        }
        Ok(sealed)
    }

    /// Opens the value that lies at `located`, and returns its key and itself. A salvage makes an
    /// empty value of one that does not open.
    pub(crate) fn open_entry(
        &self,
        ring: &Ring,
        located: &[u8],
        sealed: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
        let [ENTRIES, key @ ..] = located else {
            return Err(StoreError::Fault("the store below returned a key outside the range".into()));
        };
        let prefix = prefix(key);
        let keys = ring.get(prefix).ok_or_else(|| lost_key(prefix))?;
        match (Self::open_value(keys, (key, located), sealed), &self.salvage) {
            (Err(error), Some(damaged)) => Ok((lock(damaged).note(located, key, error)?, Vec::new())),
            (opened, _) => opened,
        }
    }

    fn open_value(
        keys: &PrefixKeys,
        (key, located): (&[u8], &[u8]),
        sealed: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
        let damaged = |what: &str| {
            StoreError::Corrupt(format!(
                "the sealed value at `{}` {what}; restore the store from a copy",
                show(located)
            ))
        };
        let mut value = keys.values.open(located, sealed).map_err(|broken| match broken {
            Broken::Changed => damaged("was changed, or moved there from another key"),
            Broken::Form(form) => damaged(&format!("has form {form}, which is damage or of a newer version")),
        })?;
        let Some((group, _)) = split(key) else { return Ok((key.to_vec(), value)) };
        let name = value
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| rest.get(..usize::from(u16::from_be_bytes(*length))))
            .ok_or_else(|| damaged("has no name"))?;
        let key = [group, name].concat();
        value.drain(..2 + key.len() - group.len());
        Ok((key, value))
    }
}

impl<C: AsyncKvStore> SealedStore<C> {
    /// Returns values of the store below, one for each key.
    pub(crate) async fn get_below(&self, keys: &[&[u8]]) -> Result<Vec<Option<C::Bytes>>, StoreError> {
        let values = self.below.get(keys).await?;
        if values.len() == keys.len() {
            return Ok(values);
        }
        let (found, asked) = (values.len(), keys.len());
        Err(StoreError::Fault(format!("the store below returned {found} values for {asked} keys")))
    }

    /// Returns the keys of prefixes, as far as they have one.
    pub(crate) async fn ring(&self, prefixes: &[&[u8]]) -> Result<Ring, StoreError> {
        let mut ring = Ring::default();
        let mut missing = Vec::new();
        {
            let known = lock(&self.prefixes);
            for &prefix in prefixes {
                match known.get(prefix) {
                    Some(known) => ring.insert(known),
                    None => missing.push(prefix),
                }
            }
        }
        for prefixes in missing.chunks(self.below_limits.max_batch_entries as usize) {
            let located: Vec<Vec<u8>> = prefixes.iter().map(|prefix| header_key(prefix)).collect();
            let keys: Vec<&[u8]> = located.iter().map(Vec::as_slice).collect();
            let headers = self.get_below(&keys).await?;
            for ((prefix, located), header) in prefixes.iter().zip(&located).zip(headers) {
                if let Some(header) = header {
                    self.learn(&mut ring, prefix, located, header.as_ref())?;
                }
            }
        }
        Ok(ring)
    }

    fn learn(&self, ring: &mut Ring, prefix: &[u8], located: &[u8], header: &[u8]) -> Result<(), StoreError> {
        let opened = self.store_key.open(located, header).ok().map(Zeroizing::new);
        let key = opened.and_then(|opened| Some(Zeroizing::new(*opened.first_chunk::<32>()?)));
        let key = key.ok_or_else(|| {
            StoreError::Corrupt(format!(
                "the key of `{}` was changed, or moved there; restore the store from a copy",
                show(prefix)
            ))
        })?;
        let known = Known::new(prefix, PrefixKeys::new(&key));
        lock(&self.prefixes).insert(known.clone());
        ring.insert(known);
        Ok(())
    }

    /// Makes sure that prefixes without a key have no entries: a key that is lost must not make
    /// them seem empty.
    ///
    /// # Cost
    /// One scan below for each.
    pub(crate) async fn check_unused(&self, ring: &mut Ring, prefixes: &[&[u8]]) -> Result<(), StoreError> {
        for &prefix in prefixes {
            if ring.get(prefix).is_some() {
                continue;
            }
            let (start, end) = stored_range(prefix);
            if self.below.scan(&start, &end, 1, 0).await?.is_empty() {
                continue;
            }
            // Another writer may have come in between.
            ring.extend(self.ring(&[prefix]).await?);
            if ring.get(prefix).is_none() {
                return Err(lost_key(prefix));
            }
        }
        Ok(())
    }

    /// Makes a key for a prefix that has none.
    pub(crate) async fn make_key(&self, ring: &mut Ring, prefix: &[u8]) -> Result<(), StoreError> {
        self.check_unused(ring, &[prefix]).await?;
        if ring.get(prefix).is_some() {
            return Ok(());
        }
        let located = header_key(prefix);
        let mut header = Vec::new();
        {
            let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; NONCE_BYTES]);
            let mut random = self.random();
            random.fill(key.as_mut_slice())?;
            random.fill(&mut nonce)?;
            self.store_key.sealer(&nonce).seal(0, &located, &[key.as_slice()], &mut header)?;
        }
        let guards = [Guard { key: &located[..], expected: None }];
        let puts = [Mutation::Put { key: &located[..], value: &header[..] }];
        // Durable: another instance may use the key at once, and its durable applies need not make
        // this one durable.
        match self.below.apply(&guards, &puts, Durability::Durable).await {
            Ok(()) => self.learn(ring, prefix, &located, &header),
            Err(error @ (StoreError::Conflict | StoreError::UnknownOutcome)) => {
                let headers = self.get_below(&[&located[..]]).await?;
                match headers.into_iter().next().flatten() {
                    Some(header) => self.learn(ring, prefix, &located, header.as_ref()),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}
