//! Checks a whole volume against the numbered invariants of `FORMAT.md`, and repairs it.
//!
//! A check changes nothing. It has two halves: [`collect`] reads every record once and checks it by
//! itself; [`relate`] checks the records against each other. [`mod@repair`] uses the picture that
//! the first half makes, and changes what does not fit together.

// Records and findings.
mod picture;
mod report;

// The parts of a check.
mod collect;
mod layered;
mod paths;
mod relate;
mod scrubbed;

mod look;

mod repair;

pub use repair::{Fix, Repair, RepairOptions, repair, repair_overlay};
pub use report::{Finding, HalfScrubbed, Invariant, Report};

use self::layered::Layered;
use self::look::{check_exists, look};
use crate::backing::overlay::Lower;
use crate::error::Result;
use crate::opening::checks::check_volume_name;
use crate::store::KvStore;
use crate::stored::image::Image;
use crate::stored::key::KeySpace;

/// Checks one volume of a store and changes nothing.
///
/// No writer should be active: its commits between the reads of a check look like damage.
///
/// # Errors
/// The store's; [`crate::Error::NoEntry`] if the store holds nothing of this volume,
/// [`crate::Error::Invalid`] for a name that no volume can have, [`crate::Error::Format`] for a
/// volume of another format, [`crate::Error::OtherImage`] for one that lies on an image: use
/// [`fsck_overlay`]. Damage of the volume is no error but a [`Finding`].
///
/// # Cost
/// Reads the whole volume in scans of up to 256 KiB, and keeps a few dozen bytes in memory for each
/// record.
pub fn fsck(store: &mut dyn KvStore, volume: &str) -> Result<Report> {
    check_volume_name(volume)?;
    let keys = KeySpace::new(volume);
    look(&mut Layered::new(store, keys, None)?).map(|(_, report)| report)
}

/// As [`fsck`], for a volume that lies on an image: checks the tree that both make together.
///
/// # Errors
/// As there, and [`crate::Error::OtherImage`] for a volume that lies on another image, or on none.
pub fn fsck_overlay(store: &mut dyn KvStore, volume: &str, image: Image) -> Result<Report> {
    check_volume_name(volume)?;
    let keys = KeySpace::new(volume);
    check_exists(store, &keys)?;
    let lower = Lower::new(image);
    look(&mut Layered::new(store, keys, Some(lower))?).map(|(_, report)| report)
}
