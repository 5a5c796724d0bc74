//! Where a walk is, in the eyes of the rules on paths.

use crate::error::Result;
use crate::place::Place;
use crate::types::InodeNo;
use crate::volume::Volume;
use crate::walking::start::Start;

/// The places of a walk; nothing, and no cost, without rules.
#[derive(Debug)]
pub(crate) struct Track(Option<Box<Places>>);

/// The places of the directories that a walk has come through: `..` leads back to them.
///
/// As many as names were walked, which the limits on paths and symbolic links bound.
#[derive(Debug)]
struct Places {
    here: Place,
    above: Vec<Place>,
    /// The place of the name that was looked up last.
    name: Place,
}

impl Track {
    #[inline(always)]
    pub(super) fn new(volume: &Volume, start: Start) -> Self {
        Self(if volume.has_rules() { Some(begin(volume, start)) } else { None })
    }

    /// The place of the directory where the walk is.
    #[inline(always)]
    pub(super) fn here(&self) -> Place {
        self.0.as_ref().map_or_else(Place::default, |places| places.here)
    }

    /// The place of the name that was looked up last, or of the directory that it was followed to.
    #[inline(always)]
    pub(super) fn name(&self) -> Place {
        self.0.as_ref().map_or_else(Place::default, |places| places.name)
    }

    /// Looks at a name here. Returns whether nothing is to be seen there.
    #[inline(always)]
    pub(super) fn hides(&mut self, volume: &Volume, name: &str) -> bool {
        match &mut self.0 {
            None => false,
            Some(places) => {
                places.name = volume.place_below(places.here, name);
                volume.is_hidden(places.name)
            }
        }
    }

    /// Walks into the directory that was looked at.
    #[inline(always)]
    pub(super) fn down(&mut self) {
        if let Some(places) = &mut self.0 {
            places.above.push(places.here);
            places.here = places.name;
        }
    }

    /// Walks from a directory to the one above.
    #[inline(always)]
    pub(super) fn up(&mut self, volume: &Volume, from: InodeNo, to: InodeNo) -> Result<()> {
        if let Some(places) = &mut self.0 {
            places.here = match places.above.pop() {
                Some(place) => place,
                // The walk came from a mount in this directory, or from below one above it.
                None => volume.place_above(from, to)?,
            };
        }
        Ok(())
    }

    /// Ends the walk in the directory where it is.
    #[inline(always)]
    pub(super) fn stay(&mut self) {
        if let Some(places) = &mut self.0 {
            places.name = places.here;
        }
    }
}

#[cold]
fn begin(volume: &Volume, start: Start) -> Box<Places> {
    let kept = start.place.map(|number| volume.places.get(number));
    let here = kept.unwrap_or_else(|| volume.place_of(start.ino));
    Box::new(Places { here, above: Vec::new(), name: here })
}
