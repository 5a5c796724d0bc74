//! A reader of a store, which changes nothing in the directory.

use crate::chain::{Read, older_file, read_chain};
use crate::directory::{Directory, File};
use crate::lease;
use crate::location::Location;
use crate::log::of_no_segment;
use crate::mark::{check, read_marks};
use crate::names::Name;
use crate::options::Options;
use crate::remedy::reason;
use crate::table::Cache;
use kvfs_contract::{Entry, StoreError};
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes of blocks of tables in memory.
const MAX_CACHE_BYTES: usize = 8 << 20;

/// How often reading starts anew because the files changed meanwhile.
const MAX_ATTEMPTS: usize = 16;

/// The entries of a store at the moment it was opened for reading.
///
/// A program that writes to the store goes on undisturbed. Files that it removes stay readable
/// here.
pub struct FileReader<D: Directory>(Mutex<Read<D::File>>);

impl<D: Directory> FileReader<D> {
    /// Opens the store in a directory; `None` if there is no store.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if something durable is missing; [`StoreError::Unavailable`] if a
    /// writer changes its files again and again while they are read.
    pub fn open(directory: &D) -> Result<Option<Self>, StoreError> {
        Self::open_with(directory, Options::default())
    }

    /// As [`FileReader::open`], with other options. The directory stays as it is, even if a loss is
    /// accepted.
    ///
    /// # Errors
    ///
    /// As [`FileReader::open`].
    pub fn open_with(directory: &D, options: Options) -> Result<Option<Self>, StoreError> {
        let mut listed = names(directory)?;
        let mut failed = None;
        let cache = Cache::new(MAX_CACHE_BYTES);
        for _ in 0..MAX_ATTEMPTS {
            let read = read(directory, &listed, &cache, options);
            if let Ok(Some(_)) = read {
                return read;
            }
            // A writer begins segments and removes others: listed ones may be gone, and a new one
            // may be missing from the list.
            let again = names(directory)?;
            if again == listed {
                return read;
            }
            listed = again;
            failed = read.err();
        }
        let last = failed.map_or(String::new(), |error| format!(" (at last: {})", reason(error)));
        Err(StoreError::Unavailable(format!(
            "its files changed while they were read, {MAX_ATTEMPTS} times{last}; it is in use, or damaged: \
             try again when no program has it open"
        )))
    }

    /// Returns the value of a key.
    pub fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask(|read| read.index.find(key)?.map(|location| value_at(read, &location)).transpose())
    }

    /// Returns entries of a range, as [`FileStore::page`](crate::FileStore::page) does.
    pub fn page(
        &self,
        start: &[u8],
        end: &[u8],
        mut take: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let (mut page, mut next, mut done) = (Vec::new(), start.to_vec(), false);
        self.ask(|read| {
            // Goes on behind what was taken if the index was made anew meanwhile.
            let from = next.clone();
            for found in read.index.range(&from, end)? {
                let (key, location) = found?;
                done = done || !take(key.len() + location.length as usize);
                if done {
                    break;
                }
                next.clone_from(&key);
                next.push(0);
                page.push(Entry { value: value_at(read, &location)?, key });
            }
            Ok(())
        })?;
        Ok(page)
    }

    /// Asks, and asks once more if a table turned out damaged: the segments have all of it.
    fn ask<T>(&self, mut ask: impl FnMut(&Read<D::File>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // No call leaves the index half changed, so a panic elsewhere is no harm.
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ask(&read) {
            Err(_) if read.index.is_damaged() => {
                read.rebuild()?;
                ask(&read)
            }
            result => result,
        }
    }
}

fn value_at<F: File>(read: &Read<F>, location: &Location) -> Result<Vec<u8>, StoreError> {
    let file = older_file(&read.older, location.epoch).ok_or_else(|| of_no_segment(location))?;
    location.read(file)
}

/// Reads the segments of these names; `None` if there is no store.
fn read<D: Directory>(
    directory: &D,
    names: &[Name],
    cache: &Arc<Cache>,
    options: Options,
) -> Result<Option<FileReader<D>>, StoreError> {
    // Marks first: what a writer adds meanwhile is not missing then.
    let marks = read_marks(directory, names)?;
    let mut segments: Vec<u64> = names.iter().copied().filter_map(Name::segment).collect();
    segments.sort_unstable();
    if segments.is_empty() && (marks.is_empty() || options.accept_loss) {
        return Ok(None);
    }
    let read = read_chain(directory, &segments, &marks, cache, None)?;
    if !options.accept_loss {
        check(&marks, &read.accepted())?;
    }
    Ok(Some(FileReader(Mutex::new(read))))
}

/// Lists the segments and marks, in order.
fn names<D: Directory>(directory: &D) -> Result<Vec<Name>, StoreError> {
    let mut names = lease::names(directory)?;
    names.retain(|name| matches!(name, Name::Segment(_) | Name::Mark(_)));
    names.sort_unstable();
    Ok(names)
}
