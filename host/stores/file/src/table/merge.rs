//! Merges sorted entries of several sources, where a newer source hides an older one.

use super::error::TableError;
use super::place::Place;
use std::fmt;

/// An entry of a source.
pub(crate) type Entry = Result<(Vec<u8>, Place), TableError>;

/// The newest entry of each key, in order of the keys. Tombstones are among them.
pub(crate) struct Merge<'a> {
    /// The newest first.
    sources: Vec<Source<'a>>,
    failed: bool,
}

struct Source<'a> {
    rest: Box<dyn Iterator<Item = Entry> + 'a>,
    next: Option<(Vec<u8>, Place)>,
}

impl Source<'_> {
    fn advance(&mut self) -> Result<Option<(Vec<u8>, Place)>, TableError> {
        let next = self.rest.next().transpose()?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

impl<'a> Merge<'a> {
    /// Merges sources, of which the newest comes first. Each must be in ascending order.
    ///
    /// # Errors
    ///
    /// Those of the sources' first entries.
    pub(crate) fn new(
        sources: impl IntoIterator<Item = Box<dyn Iterator<Item = Entry> + 'a>>,
    ) -> Result<Self, TableError> {
        let mut begun = Vec::new();
        for rest in sources {
            let mut source = Source { rest, next: None };
            source.advance()?;
            begun.push(source);
        }
        Ok(Self { sources: begun, failed: false })
    }

    fn take(&mut self) -> Result<Option<(Vec<u8>, Place)>, TableError> {
        let mut newest: Option<usize> = None;
        for (number, source) in self.sources.iter().enumerate() {
            let Some((key, _)) = &source.next else { continue };
            let least = newest.and_then(|least| self.sources[least].next.as_ref());
            if least.is_none_or(|(least, _)| key < least) {
                newest = Some(number);
            }
        }
        let Some(newest) = newest else { return Ok(None) };
        let (before, after) = self.sources.split_at_mut(newest + 1);
        let Some(taken) = before.last_mut().map_or(Ok(None), Source::advance)? else { return Ok(None) };
        for source in after {
            if source.next.as_ref().is_some_and(|(key, _)| *key == taken.0) {
                source.advance()?;
            }
        }
        Ok(Some(taken))
    }
}

impl Iterator for Merge<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.failed {
            return None;
        }
        let taken = self.take().transpose();
        self.failed = matches!(taken, Some(Err(_)));
        taken
    }
}

impl fmt::Debug for Merge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}
