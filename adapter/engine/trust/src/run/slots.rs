//! What a runner holds open. The macros borrow one slot of it, so that the volume and the reference can be
//! used beside; an operation on an empty slot does nothing.

use crate::model::Id;
use kvfs::{Access, Descriptor, DirStream, Volume};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct OpenFile {
    pub(super) descriptor: Descriptor,
    pub(super) id: Id,
    pub(super) access: Access,
}

pub(super) struct Listing {
    pub(super) stream: DirStream,
    pub(super) dir: Id,
    /// Names that were there all the time, with what they name.
    pub(super) steady: BTreeMap<String, Id>,
    pub(super) seen: BTreeSet<String>,
}

/// The volume of a run, which is open but between a kill and the next opening.
pub(super) fn opened(volume: &mut Option<Volume>) -> &mut Volume {
    volume.as_mut().expect("open")
}

/// The descriptor in a slot for directories, and the reference's number of it.
macro_rules! at_dir {
    ($runner:ident, $slot:expr) => {
        match &$runner.dirs[$slot] {
            Some((descriptor, id)) => (descriptor, *id),
            None => return Ok(false),
        }
    };
}

/// The file in a slot.
macro_rules! at_file {
    ($runner:ident, $slot:expr) => {
        match &$runner.files[$slot] {
            Some(file) => file,
            None => return Ok(false),
        }
    };
}

pub(super) use {at_dir, at_file};
