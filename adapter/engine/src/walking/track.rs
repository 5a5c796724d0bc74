//! Where a walk is, in the eyes of the rules on paths.

use crate::error::Result;
use crate::place::Place;
use crate::types::InodeNo;
use crate::volume::Volume;
use crate::walking::start::Start;

/// The places of the directories that a walk has come through: `..` leads back to them.
///
/// Without rules it is empty and costs nothing. With them it holds as many places as names were
/// walked, which the limits on paths and symbolic links bound.
pub(super) struct Track {
    /// Whether there are rules at all.
    is_on: bool,
    here: Place,
    above: Vec<Place>,
}

impl Track {
    pub(super) fn new(volume: &Volume, start: Start) -> Self {
        let here = start.place.unwrap_or_else(|| volume.place_of(start.ino));
        Self { is_on: volume.has_rules(), here, above: Vec::new() }
    }

    /// The place of the directory where the walk is.
    pub(super) fn here(&self) -> Place {
        self.here
    }

    /// The place of a name there.
    #[inline(always)]
    pub(super) fn at(&self, volume: &Volume, name: &str) -> Place {
        if self.is_on { volume.place_below(self.here, name) } else { Place::default() }
    }

    /// Walks into a directory, whose place is that of its name.
    #[inline(always)]
    pub(super) fn down(&mut self, place: Place) {
        if self.is_on {
            self.above.push(self.here);
            self.here = place;
        }
    }

    /// Walks from a directory to the one above.
    #[inline(always)]
    pub(super) fn up(&mut self, volume: &Volume, from: InodeNo, to: InodeNo) -> Result<()> {
        if self.is_on {
            self.here = match self.above.pop() {
                Some(place) => place,
                // The walk came from a mount in this directory, or from below one above it.
                None => volume.place_above(from, to)?,
            };
        }
        Ok(())
    }
}
