//! The location of a value.

use crate::directory::File;
use crate::names::segment_name;
use crate::table::Place;
use kvfs_contract::StoreError;

/// The location of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) epoch: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

impl Location {
    pub(crate) fn of(place: Place) -> Option<Self> {
        match place {
            Place::At { epoch, offset, length } => Some(Self { epoch, offset, length }),
            Place::Gone => None,
        }
    }

    pub(crate) fn place(self) -> Place {
        let Self { epoch, offset, length } = self;
        Place::At { epoch, offset, length }
    }

    /// Reads the value from its file.
    pub(crate) fn read<F: File>(&self, file: &F) -> Result<Vec<u8>, StoreError> {
        let name = segment_name(self.epoch);
        let value = file.read(self.offset, self.length as usize).map_err(|error| error.at(&name))?;
        if value.len() == self.length as usize {
            Ok(value)
        } else {
            let end = self.offset.saturating_add(u64::from(self.length));
            Err(StoreError::Corrupt(format!("{name} ends before byte {end}")))
        }
    }
}
