//! What a runner has open, by slot. Each macro borrows a single slot, so that the volume and the
//! reference can be used at the same time. An operation on an empty slot does nothing.

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
    /// Names that were present throughout, and the objects that they name.
    pub(super) steady: BTreeMap<String, Id>,
    pub(super) seen: BTreeSet<String>,
}

/// The volume of a run. It is missing only between a kill and the next opening.
pub(super) fn opened(volume: &mut Option<Volume>) -> &mut Volume {
    volume.as_mut().expect("open")
}

/// The descriptor in a directory slot, and the object's number in the reference.
macro_rules! at_dir {
    ($runner:ident, $slot:expr) => {
        match &$runner.dirs[$slot] {
            Some((descriptor, id)) => (descriptor, *id),
            None => return Ok(false),
        }
    };
}

/// The file in a file slot.
macro_rules! at_file {
    ($runner:ident, $slot:expr) => {
        match &$runner.files[$slot] {
            Some(file) => file,
            None => return Ok(false),
        }
    };
}

pub(super) use {at_dir, at_file};
