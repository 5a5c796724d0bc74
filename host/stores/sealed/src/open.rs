//! Opening a sealed store, and wrapping its key anew.

use crate::cipher::Cipher;
use crate::error::OpenError;
use crate::header::{Cost, unwrap, wrap};
use crate::layout::{ENTRIES, ENTRIES_END, PREFIX_HEADERS, STORE_HEADER_KEY, looks_sealed};
use crate::random::Random;
use crate::secret::UserKey;
use crate::store::{SealedStore, limits_over};
use kvfs_contract::AsyncKvStore;
use kvfs_contract::{Durability, Guard, Limits, Mutation, StoreError};
use zeroize::Zeroizing;

/// Options for opening a store.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'k> {
    /// The key that opens it.
    pub key: &'k UserKey,
    /// The cost of a passphrase where the store is made. A store that is there has its own.
    pub cost: Cost,
    /// True to make an empty store a sealed one.
    pub create: bool,
}

/// Times that opening looks again because another opener came in between.
const MAX_ATTEMPTS: usize = 4;

impl<C: AsyncKvStore> SealedStore<C> {
    /// Opens the sealed store in `below`, which must be empty or sealed.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and what to do. Nothing was changed then.
    pub async fn open(below: C, seal: Seal<'_>, random: impl Random + 'static) -> Result<Self, OpenError> {
        let below_limits = below.limits().await?;
        let left = limits_over(&below_limits);
        let Limits { max_key_bytes, max_value_bytes, max_batch_entries, max_batch_bytes, .. } = Limits::LEAST;
        if left.max_key_bytes < max_key_bytes
            || left.max_value_bytes < max_value_bytes
            || left.max_batch_entries < max_batch_entries
            || left.max_batch_bytes < max_batch_bytes
        {
            return Err(OpenError::TooSmall { left });
        }
        let mut random: Box<dyn Random> = Box::new(random);
        for _ in 0..MAX_ATTEMPTS {
            match find(&below).await? {
                Found::Header(header) => {
                    let store_key = Cipher::new(unwrap(&header, &seal.key.0)?);
                    return Ok(Self::new(below, below_limits, store_key, random));
                }
                Found::Open => return Err(OpenError::NotSealed),
                Found::Nothing if !seal.create => return Err(OpenError::Empty),
                Found::Nothing => {}
            }
            let mut key = Zeroizing::new([0; 32]);
            random.fill(key.as_mut_slice())?;
            let header = wrap(&key, &seal.key.0, seal.cost, &mut *random)?;
            match put(&below, None, &header).await {
                Ok(()) => return Ok(Self::new(below, below_limits, Cipher::new(key), random)),
                // Another opener was faster, or nobody knows: look.
                Err(StoreError::Conflict | StoreError::UnknownOutcome) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(busy())
    }
}

fn busy() -> OpenError {
    StoreError::Unavailable("other openers are making it; try again".into()).into()
}

/// Returns whether a store is sealed. One that is not may be opened without a key.
///
/// # Errors
/// [`OpenError::HeaderGone`] for a sealed store that has lost its header, and the store's.
///
/// # Cost
/// One `get`, and up to three `scan`s of an entry where there is no header.
pub async fn is_sealed(below: &impl AsyncKvStore) -> Result<bool, OpenError> {
    Ok(matches!(find(below).await?, Found::Header(_)))
}

/// The content of a store, as far as opening it asks.
enum Found {
    /// A header.
    Header(Vec<u8>),
    /// Entries that are not sealed.
    Open,
    Nothing,
}

async fn find(below: &impl AsyncKvStore) -> Result<Found, OpenError> {
    for _ in 0..MAX_ATTEMPTS {
        let found = below.get(&[STORE_HEADER_KEY]).await?.into_iter().next().flatten();
        if let Some(header) = found {
            return Ok(Found::Header(header.as_ref().to_vec()));
        }
        let Some(first) = below.scan(b"", b"", 1, 0).await?.into_iter().next() else {
            return Ok(Found::Nothing);
        };
        if first.key.as_ref() == STORE_HEADER_KEY {
            // Another opener has just made it.
            continue;
        }
        for (start, end) in [(PREFIX_HEADERS, &[ENTRIES][..]), (ENTRIES, ENTRIES_END)] {
            let first = below.scan(&[start], end, 1, 0).await?.into_iter().next();
            if first.is_some_and(|entry| looks_sealed(entry.key.as_ref(), entry.value.as_ref())) {
                return Err(OpenError::HeaderGone);
            }
        }
        return Ok(Found::Open);
    }
    Err(busy())
}

/// Wraps the key of a sealed store anew, so that `to` opens it from now on and `from` does not. No
/// entry is touched, and whoever has the store open goes on.
///
/// Whoever knows the old key, and has the old header or finds it, opens what was written before and
/// what is written later. The old header need not have been kept on purpose: copies have it, and
/// often the free parts of the store's own files and of the disk. After a leak, copy the files to a
/// new store.
///
/// # Durability
/// Durable when it returns. A cut leaves the store to one of the two keys, never to none.
///
/// # Errors
/// [`OpenError`], [`StoreError::Conflict`] if another program did the same meanwhile, and
/// [`StoreError::UnknownOutcome`] if either key may open the store now.
///
/// # Cost
/// One `get` and one `apply`.
pub async fn rewrap(
    below: &impl AsyncKvStore,
    from: &UserKey,
    to: &UserKey,
    cost: Cost,
    random: &mut dyn Random,
) -> Result<(), OpenError> {
    let old = match find(below).await? {
        Found::Header(header) => header,
        Found::Open => return Err(OpenError::NotSealed),
        Found::Nothing => return Err(OpenError::Empty),
    };
    let new = wrap(&unwrap(&old, &from.0)?, &to.0, cost, random)?;
    Ok(put(below, Some(&old), &new).await?)
}

/// Puts a header in its place: durably, as another instance that finds it may make durable what
/// needs it.
async fn put(below: &impl AsyncKvStore, expected: Option<&[u8]>, header: &[u8]) -> Result<(), StoreError> {
    let guards = [Guard { key: STORE_HEADER_KEY, expected }];
    let puts = [Mutation::Put { key: STORE_HEADER_KEY, value: header }];
    below.apply(&guards, &puts, Durability::Durable).await
}
