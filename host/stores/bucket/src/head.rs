//! The head: the right to write, who has it and how it is taken.
//!
//! An opener puts its name into the head and only then reads. A writer looks at the head after it
//! set a root, and only then acknowledges. So the next opener has read everything that was
//! acknowledged.
//!
//! Of two that open at once, only one may go on from the root. Before it replaces a head, an opener
//! adds the head's owner to the claims of the owner's epoch; before it goes on, it makes its own
//! claim and looks at the head again. Of two that found no claim, only one finds its name in the
//! head: if the later one does, and the other had found its own before, then the other's claim was
//! there for the later one to find. So of all who claim an epoch at most one ever sets a root, and
//! the next opener finds it.
//!
//! Values that can only be read and written allow no more. Of three at once, one that is held up
//! between looking for a claim and making its own may overwrite the claim of one that went on. That
//! one's root is then found through [`LAST`], unless a fourth, held up before it sets that,
//! overwrites it too.

use crate::bucket::Bucket;
use crate::error::{OpenError, damaged};
use crate::names::{HEAD, HEAD_COPY, LAST, Opener, claim};
use crate::wire::{Read, seal, unseal};
use kvfs_contract::StoreError;

/// Most claims followed from the head on.
const MAX_CLAIMS: u64 = 1000;

/// Claims kept behind the newest, so that an opener that was held up between two calls finds what
/// happened.
pub(crate) const CLAIMS_KEPT: u64 = 64;

/// Most openers in the claims of one epoch: more than ever open at the same moment.
const MAX_OPENERS: usize = 16;

/// The right to write, until a newer opener takes it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) opener: Opener,
    value: Vec<u8>,
}

impl Head {
    /// Takes the right to write.
    ///
    /// # Errors
    ///
    /// [`OpenError::Overtaken`] if a newer opener came between.
    pub(crate) fn take<B: Bucket>(bucket: &B, tag: u64) -> Result<Self, OpenError> {
        let before = newest(bucket)?;
        let mut epoch = before.map_or(0, |opener| opener.epoch);
        for _ in 0..MAX_CLAIMS {
            epoch = epoch.checked_add(1).ok_or_else(|| damaged(HEAD, "has the last number"))?;
            if get(bucket, &claim(epoch))?.is_some() {
                continue;
            }
            let head = Self::named(Opener { epoch, tag });
            set(bucket, HEAD, &head.value)?;
            set(bucket, HEAD_COPY, &sealed(HEAD_COPY, &[head.opener]))?;
            let name = claim(epoch);
            if get(bucket, &name)?.is_some() {
                continue;
            }
            set(bucket, &name, &sealed(&name, &[head.opener]))?;
            return if head.is_held(bucket)? { Ok(head) } else { Err(OpenError::Overtaken) };
        }
        Err(damaged(HEAD, &format!("is more than {MAX_CLAIMS} openings behind")).into())
    }

    fn named(opener: Opener) -> Self {
        Self { opener, value: sealed(HEAD, &[opener]) }
    }

    /// Records that this opener has set its first root.
    pub(crate) fn set_last<B: Bucket>(&self, bucket: &B) -> Result<(), StoreError> {
        set(bucket, LAST, &sealed(LAST, &[self.opener]))
    }

    /// Returns whether no newer opener has the store.
    pub(crate) fn is_held<B: Bucket>(&self, bucket: &B) -> Result<bool, StoreError> {
        Ok(get(bucket, HEAD)?.as_deref() == Some(&self.value))
    }
}

/// Returns the openers that claimed an epoch; `None` if there is no claim. A claim that was cut
/// short names nobody, because its opener did not get further.
pub(crate) fn claimed<B: Bucket>(bucket: &B, epoch: u64) -> Result<Option<Vec<Opener>>, StoreError> {
    let name = claim(epoch);
    let Some(value) = get(bucket, &name)? else { return Ok(None) };
    let mut openers = read(&name, &value).unwrap_or_default();
    openers.retain(|opener| opener.epoch == epoch);
    Ok(Some(openers))
}

/// The last opener who set a root, as far as the bucket tells.
pub(crate) enum Last {
    /// There is no store.
    Nobody,
    /// The value that tells was cut short.
    Unknown,
    Is(Opener),
}

/// Returns the last opener who set a root.
pub(crate) fn last<B: Bucket>(bucket: &B) -> Result<Last, StoreError> {
    Ok(match get(bucket, LAST)? {
        None => Last::Nobody,
        Some(value) => match read(LAST, &value).as_deref() {
            Some([opener]) => Last::Is(*opener),
            _ => Last::Unknown,
        },
    })
}

/// Returns the newest opener that the head names, after adding it to the claims of its epoch. There
/// may be newer claims.
fn newest<B: Bucket>(bucket: &B) -> Result<Option<Opener>, StoreError> {
    let head = get(bucket, HEAD)?;
    if let Some([opener]) = head.as_deref().and_then(|value| read(HEAD, value)).as_deref() {
        let mut openers = claimed(bucket, opener.epoch)?.unwrap_or_default();
        if !openers.contains(opener) {
            openers.push(*opener);
            openers.truncate(MAX_OPENERS);
            let name = claim(opener.epoch);
            set(bucket, &name, &sealed(&name, &openers))?;
        }
        // The head is set next. If that is cut short too, the copy must be whole.
        let copy = get(bucket, HEAD_COPY)?.and_then(|copy| read(HEAD_COPY, &copy));
        if !matches!(copy.as_deref(), Some([_])) {
            set(bucket, HEAD_COPY, &sealed(HEAD_COPY, &[*opener]))?;
        }
        return Ok(Some(*opener));
    }
    // The head was cut short. The copy is older, so its opener has a claim.
    let copy = get(bucket, HEAD_COPY)?;
    let Some(copy) = copy else { return Ok(None) };
    match read(HEAD_COPY, &copy).as_deref() {
        Some([opener]) => Ok(Some(*opener)),
        _ if head.is_some() => Err(damaged(HEAD, "is damaged, and so is its copy")),
        _ => Err(damaged(HEAD_COPY, "is damaged, and there is no head")),
    }
}

fn sealed(name: &str, openers: &[Opener]) -> Vec<u8> {
    let mut bytes = Vec::new();
    openers.iter().for_each(|opener| opener.write(&mut bytes));
    seal(name, bytes)
}

fn read(name: &str, value: &[u8]) -> Option<Vec<Opener>> {
    let mut from = Read(unseal(name, value)?);
    let mut openers = Vec::new();
    while !from.0.is_empty() {
        openers.push(Opener::read(&mut from).filter(|opener| opener.epoch > 0)?);
    }
    Some(openers)
}

fn get<B: Bucket>(bucket: &B, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    bucket.get(name).map_err(|error| error.at(name))
}

fn set<B: Bucket>(bucket: &B, name: &str, value: &[u8]) -> Result<(), StoreError> {
    bucket.set(name, value).map_err(|error| error.at(name))
}
