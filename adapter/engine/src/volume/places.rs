//! Places in a volume: the states of its rules on paths.
//!
//! A place is carried along a walk from the root down, and with each descriptor. It is computed
//! anew only for a walk that comes up from a mount: the directories on the way to a mountpoint are
//! known with their names.

use super::Volume;
use crate::error::{Error, Result};
use crate::place::Place;
use crate::policy::{Grant, Rights};
use crate::types::InodeNo;

impl Volume {
    /// Returns whether there are rules on paths.
    #[inline(always)]
    pub(crate) fn has_rules(&self) -> bool {
        self.policy.is_some() || self.scrubbing.as_ref().is_some_and(|scrubbing| scrubbing.has_patterns())
    }

    /// The rights at a place.
    #[inline(always)]
    pub(crate) fn rights(&self, place: Place) -> Rights {
        match &self.policy {
            Some(policy) => policy.grant(place.rights).rights(),
            None => Rights::ALL,
        }
    }

    /// Returns whether two places of directories have the same rights and scrubbing, and all places
    /// below them.
    pub(crate) fn has_same_rules(&self, one: Place, other: Place) -> bool {
        self.policy.as_ref().is_none_or(|policy| policy.is_same(one.rights, other.rights))
            && one.scrub.same_below(other.scrub)
    }

    /// Returns whether a file at a place is scrubbed.
    #[inline(always)]
    pub(crate) fn scrubs_at(&self, place: Place) -> bool {
        self.scrubbing.as_ref().is_some_and(|scrubbing| scrubbing.scrubs(place.scrub))
    }

    /// Returns whether nothing is to be seen at a place.
    #[inline(always)]
    pub(crate) fn is_hidden(&self, place: Place) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.grant(place.rights) == Grant::Hide)
    }

    /// Returns whether a name in a directory is not to be seen.
    #[inline(always)]
    pub(crate) fn is_hidden_name(&self, directory: Place, name: &str) -> bool {
        self.policy.is_some() && self.is_hidden(self.place_below(directory, name))
    }

    /// The place of the root.
    #[cold]
    fn place_of_root(&self) -> Place {
        Place {
            rights: self.policy.as_ref().map(|policy| policy.start()).unwrap_or_default(),
            scrub: self.scrubbing.as_ref().map(|scrubbing| scrubbing.start()).unwrap_or_default(),
        }
    }

    /// The place of a name in a directory.
    #[cold]
    pub(crate) fn place_below(&self, directory: Place, name: &str) -> Place {
        let rights = self.policy.as_ref().map(|policy| policy.step(directory.rights, name));
        let scrub = self.scrubbing.as_ref().map(|scrubbing| scrubbing.step(directory.scrub, name));
        Place { rights: rights.unwrap_or_default(), scrub: scrub.unwrap_or_default() }
    }

    /// The place of a directory at which a walk arrives: the root, or one with a mount on it.
    pub(crate) fn place_of(&self, directory: InodeNo) -> Place {
        if !self.has_rules() {
            return Place::default();
        }
        self.place_at_end(self.mountpoints.way_to(directory).unwrap_or_default())
    }

    /// The place of the directory `to`, to which `..` has led from `from`. Both are on the way to a
    /// mountpoint.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] if the way is another one by now: then the rules do not tell what
    /// may be done there.
    #[cold]
    pub(crate) fn place_above(&self, from: InodeNo, to: InodeNo) -> Result<Place> {
        let (_, above) =
            self.mountpoints.way_to(from).and_then(<[_]>::split_last).ok_or(Error::NotPermitted)?;
        match above.last().map_or(InodeNo::ROOT, |(_, ino)| *ino) {
            known if known == to => Ok(self.place_at_end(above)),
            _ => Err(Error::NotPermitted),
        }
    }

    fn place_at_end(&self, way: &[(String, InodeNo)]) -> Place {
        let below = |place, (name, _): &(String, InodeNo)| self.place_below(place, &self.masked_name(name));
        way.iter().fold(self.place_of_root(), below)
    }
}
