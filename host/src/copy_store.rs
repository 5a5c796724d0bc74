//! Copies of whole stores, from one kind to another.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::copying::{Amount, Batch, Pages};
use crate::open::COPY_KEY;
use crate::store_url::without_secrets;
use crate::{AnyStore, Durability, Entry, Mutation, OpenError, OpenOptions, StoreError, SyncStore};

/// One of the two stores of a copy.
#[derive(Clone, Copy)]
pub struct CopySide<'s> {
    /// Its URL, as for [`open_store`](crate::open_store).
    pub url: &'s str,
    /// Options for opening it: with a key if it is sealed.
    pub options: OpenOptions<'s>,
}

/// Progress of a copy: its step, and the amount so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyStep {
    /// Entries are copied.
    Copying(Amount),
    /// Both stores are read again and compared.
    Verifying(Amount),
}

/// A copy that is done, and was compared with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCopy {
    /// Content of each of the two stores.
    pub amount: Amount,
    /// SHA-256 of all entries in the order of their keys: for each, the length of its key in eight
    /// bytes, the key, the length of its value in eight bytes, the value.
    pub digest: [u8; 32],
}

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// One of the stores cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy would be gone with the process.
    #[error("`{url}` is gone with this process; copy to redb:PATH or file:DIR")]
    NotKept {
        /// The store to copy to.
        url: String,
    },
    /// The two are one store.
    #[error("`{url}` would be copied to itself; name another store")]
    Same {
        /// The store.
        url: String,
    },
    /// The store to copy to holds entries already.
    #[error("`{url}` is not empty; copy to an empty store, or one that does not exist")]
    NotEmpty {
        /// The store to copy to.
        url: String,
    },
    /// The store to copy to is the beginning of a copy.
    #[error("`{url}` is a copy that was cut off; go on with --continue, or remove it")]
    CutOff {
        /// The store to copy to.
        url: String,
    },
    /// A call of one of the stores failed.
    #[error("`{url}`: {source}")]
    Store {
        /// The store.
        url: String,
        /// Why.
        source: StoreError,
    },
    /// The copy differs from its source.
    #[error("`{to}` differs from `{from}` at key {}; the source was changed meanwhile, or a disk is bad: try again with \
        --continue", key.escape_ascii())]
    Differs {
        /// The source.
        from: String,
        /// The copy.
        to: String,
        /// The first key that differs.
        key: Bytes,
    },
}

/// Copies all entries of a store to another one: all volumes, logs and settings, but not its mark.
/// Either may be sealed, with keys of their own. The source is opened for reading only.
///
/// Then the copy is opened anew, and both are read and compared entry by entry. Until that is done,
/// the copy has a marker under the key `00 "kvfs-copying"`, and nobody else opens it
/// ([`OpenError::CutOff`]). So a copy that was cut off by anything is never taken for a whole one.
///
/// The store to copy to is made if it does not exist, and must be empty. With `go_on` it may also
/// be a copy that was cut off: entries that it has are compared, and only what differs is written.
///
/// # Durability
/// Durable when it returns.
///
/// # Errors
/// [`CopyError`]. After [`CopyError::Store`] and [`CopyError::Differs`] the copy can be gone on with.
///
/// # Cost
/// Reads the source twice and the copy once; holds a few pages of at most 4 MiB in memory.
pub fn copy_store(
    from: CopySide<'_>,
    to: CopySide<'_>,
    go_on: bool,
    progress: &mut dyn FnMut(CopyStep),
) -> Result<StoreCopy, CopyError> {
    let unfinished = to.options.read_only(false).unfinished(true);
    if !OpenOptions::is_kept(to.url)? {
        return Err(CopyError::NotKept { url: without_secrets(to.url).into() });
    }
    let source = from.options.read_only(true).open(from.url)?;
    if OpenOptions::is_same(from.url, to.url)? {
        return Err(CopyError::Same { url: without_secrets(to.url).into() });
    }
    let copy = begin(to, &unfinished, go_on)?;
    fill(&source, from, &copy, to, progress)?;
    copy.close().map_err(of(to))?;
    drop(copy);
    // Opened anew, so that what was stored is read, and not what this process remembers.
    let written = unfinished.read_only(true).open(to.url)?;
    let done = compare(&source, from, &written, to, progress)?;
    drop(written);
    let copy = unfinished.open_any(to.url)?;
    copy.apply(&[], &[Mutation::Delete { key: COPY_KEY }], Durability::Durable).map_err(of(to))?;
    copy.close().map_err(of(to))?;
    Ok(done)
}

fn of(side: CopySide<'_>) -> impl Fn(StoreError) -> CopyError {
    move |source| CopyError::Store { url: without_secrets(side.url).into(), source }
}

/// Opens the store to copy to, with the marker of a copy that is not done.
fn begin(to: CopySide<'_>, unfinished: &OpenOptions<'_>, go_on: bool) -> Result<AnyStore, CopyError> {
    let lying = unfinished.open_any(to.url)?;
    let has_marker = lying.get(&[COPY_KEY]).map_err(of(to))?.into_iter().next().flatten().is_some();
    if has_marker && !go_on {
        return Err(CopyError::CutOff { url: without_secrets(to.url).into() });
    }
    let copy = unfinished.open_over(to.url, lying.clone())?;
    if !has_marker {
        if !copy.scan(b"", b"", 1, 0).map_err(of(to))?.is_empty() {
            return Err(CopyError::NotEmpty { url: without_secrets(to.url).into() });
        }
        let marker = Mutation::Put { key: COPY_KEY, value: b"a copy that is not done" };
        lying.apply(&[], &[marker], Durability::Durable).map_err(of(to))?;
    }
    Ok(copy)
}

/// The entries of a store one after another, without the marker of a copy.
struct Entries<'s> {
    pages: Pages<'s>,
    page: std::vec::IntoIter<Entry>,
}

impl<'s> Entries<'s> {
    fn new(store: &'s dyn SyncStore) -> Self {
        Self { pages: Pages::new(store), page: Vec::new().into_iter() }
    }

    fn next(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            match self.page.next() {
                Some(entry) if entry.key == COPY_KEY => {}
                Some(entry) => return Ok(Some(entry)),
                None => {
                    self.page = self.pages.next()?.into_iter();
                    if self.page.len() == 0 {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// Bytes between two reports of progress.
const REPORT_BYTES: u64 = 1 << 20;

/// Counts entries, and tells so now and then.
struct Counter<'p> {
    amount: Amount,
    told_bytes: u64,
    tell: &'p mut dyn FnMut(Amount),
}

impl<'p> Counter<'p> {
    fn new(tell: &'p mut dyn FnMut(Amount)) -> Self {
        Self { amount: Amount::default(), told_bytes: 0, tell }
    }

    fn add(&mut self, entry: &Entry) {
        self.amount.add(entry);
        if self.amount.bytes - self.told_bytes >= REPORT_BYTES {
            self.told_bytes = self.amount.bytes;
            (self.tell)(self.amount);
        }
    }

    fn done(self) -> Amount {
        (self.tell)(self.amount);
        self.amount
    }
}

/// Writes what the copy lacks, and removes what the source does not have.
fn fill(
    source: &AnyStore,
    from: CopySide<'_>,
    copy: &AnyStore,
    to: CopySide<'_>,
    progress: &mut dyn FnMut(CopyStep),
) -> Result<(), CopyError> {
    let limits = copy.limits().map_err(of(to))?;
    let (mut wanted, mut there, mut batch) = (Entries::new(source), Entries::new(copy), Batch::default());
    let mut tell = |amount| progress(CopyStep::Copying(amount));
    let mut counter = Counter::new(&mut tell);
    let mut next_there = there.next().map_err(of(to))?;
    while let Some(entry) = wanted.next().map_err(of(from))? {
        counter.add(&entry);
        while let Some(old) = next_there.take_if(|old| old.key < entry.key) {
            batch.push(copy, &limits, old.key, None).map_err(of(to))?;
            next_there = there.next().map_err(of(to))?;
        }
        let is_there = match next_there.take_if(|old| old.key == entry.key) {
            Some(old) => {
                next_there = there.next().map_err(of(to))?;
                old.value == entry.value
            }
            None => false,
        };
        if !is_there {
            batch.push(copy, &limits, entry.key, Some(entry.value)).map_err(of(to))?;
        }
    }
    while let Some(old) = next_there {
        batch.push(copy, &limits, old.key, None).map_err(of(to))?;
        next_there = there.next().map_err(of(to))?;
    }
    batch.apply(copy).map_err(of(to))?;
    counter.done();
    Ok(())
}

/// Reads both stores and compares them.
fn compare(
    source: &AnyStore,
    from: CopySide<'_>,
    copy: &AnyStore,
    to: CopySide<'_>,
    progress: &mut dyn FnMut(CopyStep),
) -> Result<StoreCopy, CopyError> {
    let (mut wanted, mut there, mut hash) = (Entries::new(source), Entries::new(copy), Sha256::new());
    let mut tell = |amount| progress(CopyStep::Verifying(amount));
    let mut counter = Counter::new(&mut tell);
    loop {
        let (wanted, there) = (wanted.next().map_err(of(from))?, there.next().map_err(of(to))?);
        if wanted != there {
            let keys = [&wanted, &there].into_iter().flatten().map(|entry| entry.key.clone());
            let key = keys.min().unwrap_or_default();
            return Err(CopyError::Differs {
                from: without_secrets(from.url).into(),
                to: without_secrets(to.url).into(),
                key,
            });
        }
        let Some(entry) = there else { break };
        counter.add(&entry);
        for part in [&entry.key, &entry.value] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    Ok(StoreCopy { amount: counter.done(), digest: hash.finalize().into() })
}

impl fmt::Debug for CopySide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopySide").field("url", &self.url).finish_non_exhaustive()
    }
}
