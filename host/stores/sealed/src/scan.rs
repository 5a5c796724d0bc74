//! Reading ranges.
//!
//! The store below has all entries in the caller's order, but those of one directory, which it has
//! in the order of the names' tags. So a page of it is taken apart into runs: a run of entries of
//! one directory is complete if another entry follows it, and is then put in order. A directory
//! that fills a page by itself is read to its end, and the first names in order are picked.

use crate::keys::Ring;
use crate::layout::{ENTRIES_END, split, stored};
use crate::listing::{Moment, Names};
use crate::store::{SealedStore, lock, prefixes};
use kvfs_contract::{AsyncKvStore, Entry, StoreError, successor};
use std::collections::BTreeMap;

/// Entries and bytes of a page of a directory, however few the caller asks for.
const GROUP_PAGE_ENTRIES: u32 = 1024;
const GROUP_PAGE_BYTES: u32 = 256 << 10;

/// Bytes that an entry has more below, about.
const ENTRY_OVERHEAD: u32 = 64;

/// Most names whose values are read in one call.
const NAMES_PAGE: usize = 256;

/// The answer in the making.
struct Page {
    entries: Vec<Entry<Vec<u8>>>,
    max_entries: usize,
    left_bytes: usize,
}

impl Page {
    /// Adds the next entry; false if the page is full.
    fn push(&mut self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let bytes = key.len() + value.len();
        let fits = bytes <= self.left_bytes || self.entries.is_empty();
        if self.is_full() || !fits {
            return false;
        }
        self.left_bytes = self.left_bytes.saturating_sub(bytes);
        self.entries.push(Entry { key, value });
        true
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.max_entries
    }
}

/// The first entries in order of those that it is offered, as many as a page has room for.
struct Picked {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
    /// The least key that there was no room for.
    cut: Option<Vec<u8>>,
}

impl Picked {
    fn offer(&mut self, page: &Page, key: Vec<u8>, value: Vec<u8>) {
        if self.cut.as_ref().is_some_and(|cut| key >= *cut) {
            return;
        }
        self.bytes += key.len() + value.len();
        self.entries.insert(key, value);
        let least = usize::from(page.entries.is_empty());
        while self.entries.len() > page.max_entries - page.entries.len()
            || (self.bytes > page.left_bytes && self.entries.len() > least)
        {
            let Some((key, value)) = self.entries.pop_last() else { break };
            self.bytes -= key.len() + value.len();
            self.cut = Some(key);
        }
    }
}

/// Progress of a page by the names that are kept of a directory.
enum Known {
    /// The page is full.
    Full,
    /// The directory has no more entries in the range.
    End,
    /// The names are not known (any more); go on from this key.
    Lost(Vec<u8>),
}

/// Returns true if a key is in a range.
fn within(key: &[u8], (from, end): (&[u8], &[u8])) -> bool {
    from <= key && (end.is_empty() || key < end)
}

impl<C: AsyncKvStore> SealedStore<C> {
    /// Returns the entries of a range: see [`KvStore::scan`](kvfs_contract::KvStore::scan).
    ///
    /// # Errors
    /// Those of the store below, and [`StoreError::Corrupt`] for a value that does not open.
    pub async fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let mut page = Page {
            entries: Vec::new(),
            max_entries: max_entries.min(self.limits.max_batch_entries) as usize,
            left_bytes: max_bytes.min(self.limits.max_batch_bytes) as usize,
        };
        let below_end = match (end, split(end)) {
            ([], _) => ENTRIES_END.to_vec(),
            (_, Some((group, _))) => stored(&successor(group)),
            (_, None) => stored(end),
        };
        let mut from = start.to_vec();
        // True if the directory at `from` is being begun: names kept of it may be older.
        let mut begins = false;
        'pages: while !page.is_full() && within(&from, (start, end)) {
            let group = split(&from).map(|(group, _)| group.to_vec());
            if let Some(group) = group.as_deref().filter(|_| !begins) {
                match self.list_known(group, (&from, end), &mut page).await? {
                    Known::Full => break,
                    Known::End => {
                        from = successor(group);
                        continue;
                    }
                    Known::Lost(next) => from = next,
                }
            }
            begins = false;
            let since = lock(&self.listings).moment();
            let mut below_start = stored(group.as_deref().unwrap_or(&from));
            if group.is_some() {
                below_start.push(0); // The directory's entries, without the key that is only the group.
            }
            if below_start >= below_end {
                break;
            }
            let found = self.page_below(&below_start, &below_end, &page, group.is_some()).await?;
            let Some(last) = found.last() else { break };
            let next = [last.key.as_ref().get(1..).unwrap_or_default(), b"\0"].concat();
            let ring = self.ring_of(&found).await?;
            let mut rest = &found[..];
            while let Some(first) = rest.first() {
                let key = first.key.as_ref().get(1..).unwrap_or_default();
                let Some((group, _)) = split(key) else {
                    let (key, value) = self.open_entry(&ring, first.key.as_ref(), first.value.as_ref())?;
                    if !page.push(key, value) {
                        break 'pages;
                    }
                    rest = &rest[1..];
                    continue;
                };
                let in_group = |entry: &&Entry<C::Bytes>| {
                    split(entry.key.as_ref().get(1..).unwrap_or_default())
                        .is_some_and(|(other, _)| other == group)
                };
                let run = rest.iter().take_while(in_group).count();
                if run < rest.len() {
                    lock(&self.listings).forget(group);
                    let mut entries = rest[..run]
                        .iter()
                        .map(|entry| self.open_entry(&ring, entry.key.as_ref(), entry.value.as_ref()))
                        .collect::<Result<Vec<_>, _>>()?;
                    entries.retain(|(key, _)| within(key, (&from, end)));
                    entries.sort_unstable();
                    for (key, value) in entries {
                        if !page.push(key, value) {
                            break 'pages;
                        }
                    }
                    rest = &rest[run..];
                } else if run < found.len() {
                    // There may be more of it: go on with a page that begins with it.
                    from = [group, b"\0"].concat();
                    begins = true;
                    continue 'pages;
                } else {
                    let group = group.to_vec();
                    if self.list_all(&group, (found, since), (&from, end), &mut page).await? {
                        break 'pages;
                    }
                    from = successor(&group);
                    continue 'pages;
                }
            }
            from = next;
        }
        Ok(page.entries)
    }

    /// Reads a page of the store below, large enough for what is left of `page`.
    async fn page_below(
        &self,
        start: &[u8],
        end: &[u8],
        page: &Page,
        in_group: bool,
    ) -> Result<Vec<Entry<C::Bytes>>, StoreError> {
        let entries = u32::try_from(page.max_entries - page.entries.len()).unwrap_or(u32::MAX);
        let bytes = u32::try_from(page.left_bytes).unwrap_or(u32::MAX);
        let bytes = bytes.saturating_add(entries.saturating_mul(ENTRY_OVERHEAD));
        let (least_entries, least_bytes) =
            if in_group { (GROUP_PAGE_ENTRIES, GROUP_PAGE_BYTES) } else { (1, 1) };
        self.below.scan(start, end, entries.max(least_entries), bytes.max(least_bytes)).await
    }

    async fn ring_of(&self, found: &[Entry<C::Bytes>]) -> Result<Ring, StoreError> {
        let keys = found.iter().map(|entry| entry.key.as_ref().get(1..).unwrap_or_default());
        self.ring(&prefixes(keys)).await
    }

    /// Adds the entries of a directory to a page, of which `found` are the first below, read from
    /// `since` on. Returns whether the page is full.
    async fn list_all(
        &self,
        group: &[u8],
        (mut found, since): (Vec<Entry<C::Bytes>>, Option<Moment>),
        range: (&[u8], &[u8]),
        page: &mut Page,
    ) -> Result<bool, StoreError> {
        lock(&self.listings).forget(group);
        let ring = self.ring_of(&found).await?;
        let mut picked = Picked { entries: BTreeMap::new(), bytes: 0, cut: None };
        let mut names = Names::new();
        let end = stored(&successor(group));
        while let Some(last) = found.last() {
            let next = [last.key.as_ref(), b"\0"].concat();
            for entry in &found {
                let (key, value) = self.open_entry(&ring, entry.key.as_ref(), entry.value.as_ref())?;
                names.insert(&key[group.len()..]);
                if within(&key, range) {
                    picked.offer(page, key, value);
                }
            }
            found =
                self.below.scan(&next, &end, self.below_limits.max_batch_entries, GROUP_PAGE_BYTES).await?;
        }
        for (key, value) in picked.entries {
            if !page.push(key, value) {
                return Ok(true);
            }
        }
        if picked.cut.is_some() {
            lock(&self.listings).keep(since, group, names);
        }
        Ok(picked.cut.is_some())
    }

    /// Adds the entries of a directory to a page, as long as its names are known.
    async fn list_known(
        &self,
        group: &[u8],
        (from, end): (&[u8], &[u8]),
        page: &mut Page,
    ) -> Result<Known, StoreError> {
        let mut from = from[group.len()..].to_vec();
        let mut most = NAMES_PAGE.min(self.limits.max_batch_entries as usize);
        loop {
            let asked = most.min(page.max_entries - page.entries.len());
            let known = lock(&self.listings).page(group, &from, asked);
            let Some(mut names) = known else { return Ok(Known::Lost([group, &from].concat())) };
            let keys =
                |names: &[Vec<u8>]| names.iter().map(|name| [group, name].concat()).collect::<Vec<_>>();
            names.retain(|name| within(&[group, name].concat(), (group, end)));
            let Some(last) = names.last() else {
                return Ok(if page.is_full() { Known::Full } else { Known::End });
            };
            let next = [&last[..], b"\0"].concat();
            let keys = keys(&names);
            let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let values = match self.get(&asked).await {
                // Long values: fewer at a time.
                Err(StoreError::TooLarge) if most > 1 => {
                    most /= 2;
                    continue;
                }
                values => values?,
            };
            for (key, value) in keys.into_iter().zip(values) {
                // Another writer may have removed it.
                let Some(value) = value else { continue };
                if !page.push(key, value) {
                    return Ok(Known::Full);
                }
            }
            if page.is_full() {
                return Ok(Known::Full);
            }
            from = next;
        }
    }
}
