//! Finds out where a path leads.

use crate::error::Result;
use crate::types::Kind;
use crate::volume::Volume;
use crate::walking::path::{Ending, resolve};
use crate::walking::start::Start;

impl Volume {
    /// Walks a path as an operation on it would, and fails as that would: with
    /// [`Error::Crossing`](crate::Error::Crossing) if the path leads out of the volume. With
    /// [`Ending::Name`] and [`Ending::File`] the last name need not exist; with [`Ending::New`] it
    /// must not.
    ///
    /// # Cost
    /// Those of the lookups.
    pub fn locate(&mut self, start: impl Into<Start>, path: &str, ending: Ending) -> Result<()> {
        let start = start.into().directory()?;
        let mut txn = self.begin()?;
        let found = resolve(&mut txn, start, path, ending)?;
        match ending {
            Ending::Name | Ending::File(_) => Ok(()),
            Ending::New => found.new_name(&mut txn, Kind::File).map(drop),
            Ending::Object(_) => found.existing().map(drop),
        }
    }
}
