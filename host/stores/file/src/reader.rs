//! A reader of a store, which changes nothing in the directory.

use crate::chain::{Read, older_file, read_chain};
use crate::directory::Directory;
use crate::index::Location;
use crate::lease;
use crate::log::Options;
use crate::mark::{check, read_marks};
use crate::names::Name;
use crate::remedy::reason;
use kvfs_contract::{Entry, StoreError};

/// How often reading starts anew because the files changed meanwhile.
const MAX_ATTEMPTS: usize = 16;

/// The entries of a store at the moment it was opened for reading.
///
/// A program that writes to the store goes on undisturbed. Segments that it removes in a compaction
/// stay readable here.
pub struct FileReader<D: Directory>(Read<D::File>);

impl<D: Directory> FileReader<D> {
    /// Reads the keys of the store in a directory; `None` if there is no store.
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
        for _ in 0..MAX_ATTEMPTS {
            let read = read(directory, &listed, options);
            if let Ok(Some(_)) = read {
                return read;
            }
            // A compaction creates a segment and removes those before it: listed segments may be
            // gone, and the new one may be missing from the list.
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
        self.0.index.get(key).map(|location| self.read(location)).transpose()
    }

    /// Returns entries of a range, as [`FileStore::page`](crate::FileStore::page) does.
    pub fn page(
        &self,
        start: &[u8],
        end: &[u8],
        mut take: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
        let range = self.0.index.range(start, end);
        let page = range.take_while(|(key, location)| take(key.len() + location.length as usize));
        page.map(|(key, location)| Ok(Entry { key: key.to_vec(), value: self.read(location)? })).collect()
    }

    fn read(&self, location: &Location) -> Result<Vec<u8>, StoreError> {
        let file = older_file(&self.0.older, location.epoch)
            .ok_or_else(|| StoreError::Corrupt("a value is in a segment that was not read".into()))?;
        location.read(file)
    }
}

/// Reads the segments of these names; `None` if there is no store.
fn read<D: Directory>(
    directory: &D,
    names: &[Name],
    options: Options,
) -> Result<Option<FileReader<D>>, StoreError> {
    // Marks first: what a writer adds meanwhile is not missing then.
    let marks = read_marks(directory, names)?;
    let mut segments: Vec<u64> = names.iter().copied().filter_map(Name::segment).collect();
    segments.sort_unstable();
    if segments.is_empty() && (marks.is_empty() || options.accept_loss) {
        return Ok(None);
    }
    let read = read_chain(directory, &segments)?;
    if !options.accept_loss {
        check(&marks, &read.accepted())?;
    }
    Ok(Some(FileReader(read)))
}

/// Lists the segments and marks, in order.
fn names<D: Directory>(directory: &D) -> Result<Vec<Name>, StoreError> {
    let mut names = lease::names(directory)?;
    names.retain(|name| matches!(name, Name::Segment(_) | Name::Mark(_)));
    names.sort_unstable();
    Ok(names)
}
