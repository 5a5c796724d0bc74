//! Repairs a volume: finds what is wrong, repairs one kind of damage, and looks again, until
//! nothing is left that can be repaired.
//!
//! A round reads the whole volume and runs the stages below in order, until one has changed
//! something. So each stage can rely on those before it: when links are counted, every entry is
//! sound and every directory has its place. A repair that was cut short is just started again: it
//! finds a volume that is a little less damaged.
//!
//! | stage | what it repairs | invariants |
//! |---|---|---|
//! | [`superblock`] | no superblock, or a damaged one | 2, 3 |
//! | [`journal`] | a journal that is not in place yet | 18 |
//! | [`records`] | entries, reaps, orphans, inodes, extents whose value is damaged; keys of no known form | 1, 2, 13 |
//! | [`settings`] | settings of which the superblock does not tell; lost ones, if the loss is accepted | 22 |
//! | [`missing`] | names without inodes, inodes lost with their bytes left | 4, 5, 6, 11 |
//! | [`tree`] | directories that no path leads to, directories and files without a name | 6, 7, 9, 10 |
//! | [`counts`] | link counts, sizes, parents, orphan and reap records, garbage extents | 4, 7 to 12, 14, 19 |
//! | [`counts`] | what the superblock counts | 15 to 17 |

// The ground of all stages.
mod writer;

mod through_journal;
mod work;

mod keep;

// The stages.
mod counts;
mod journal;
mod missing;
mod records;
mod settings;
mod superblock;
mod tree;

pub use work::{Fix, RepairOptions};

use self::work::{Below, Work};
use self::writer::Writer;
use super::layered::Layered;
use super::look::{check_exists, look};
use super::picture::Picture;
use super::report::Report;
use crate::backing::overlay::Lower;
use crate::error::{Error, Result};
use crate::opening::checks::{check_same_name, check_volume_name};
use crate::store::KvStore;
use crate::stored::image::Image;
use crate::stored::key::KeySpace;
use crate::types::Clock;
use crate::volume::room::check_limits;

/// Most rounds of a repair. Each stage runs once or twice: more would mean that stages undo each
/// other's work.
const MAX_ROUNDS: usize = 32;

/// The result of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// The state before the repair.
    pub before: Report,
    /// The changes, in order.
    pub fixes: Vec<Fix>,
    /// The state after it, with the damage that is left.
    pub after: Report,
}

/// Checks one volume of a store and repairs it.
///
/// Nothing that a path leads to is dropped. Inodes that have lost their names go to the directory
/// `lost+found`, as `#` and their number. A record that cannot be read is kept there, as a file of
/// its key and value. Lost bytes stay an error for their readers, unless
/// [`RepairOptions::accept_loss`] is set. A sound volume is not changed by a byte.
///
/// # Durability
/// All changes are durable when this returns. Every change is an atomic apply, and a repair that is
/// cut short between two of them leaves a volume that can be repaired.
///
/// # Errors
/// As [`fsck`](super::fsck); [`Error::Format`] also for a volume that takes no changes;
/// [`Error::Fenced`] if another opener takes the volume over meanwhile. The repair becomes the
/// volume's only writer before its first change: former openers can store nothing any more.
///
/// # Cost
/// Each round reads the whole volume, as `fsck` does. Most damage takes a handful of rounds, a
/// sound volume one. Changes go to the store in applies up to its limits.
pub fn repair(
    store: &mut dyn KvStore,
    clock: &mut dyn Clock,
    volume: &str,
    options: RepairOptions,
) -> Result<Repair> {
    check_volume_name(volume)?;
    let keys = KeySpace::new(volume);
    repair_layered(Layered::new(store, keys, None)?, clock, volume, None, options)
}

/// As [`repair`], for a volume that lies on an image. The image is not changed: its damage is
/// repaired by records above it.
///
/// # Errors
/// As there, and [`Error::OtherImage`] for a volume that lies on another image, or on none.
pub fn repair_overlay(
    store: &mut dyn KvStore,
    clock: &mut dyn Clock,
    volume: &str,
    mut image: Image,
    options: RepairOptions,
) -> Result<Repair> {
    check_volume_name(volume)?;
    let keys = KeySpace::new(volume);
    check_exists(store, &keys)?;
    if store.get(&[keys.superblock()])?.into_iter().flatten().next().is_none() {
        // Otherwise the digest that the superblock names decides.
        check_same_name(&image, volume)?;
    }
    let below = Below { id: image.id().clone(), superblock: image.superblock()? };
    let store = Layered::new(store, keys, Some(Lower::new(image)))?;
    repair_layered(store, clock, volume, Some(below), options)
}

fn repair_layered<'s>(
    mut store: Layered<'s>,
    clock: &'s mut dyn Clock,
    volume: &str,
    below: Option<Below>,
    options: RepairOptions,
) -> Result<Repair> {
    let keys = store.keys().clone();
    let (picture, before) = look(&mut store)?;
    if before.is_clean() {
        return Ok(Repair { after: before.clone(), fixes: Vec::new(), before });
    }
    let limits = store.limits()?;
    check_limits(&limits)?;
    let mut work = Work { fixes: Vec::new(), options, writer: Writer::new(store, clock, keys, limits) };
    if !superblock::take_over(&mut work, &picture, volume, below.as_ref())? {
        return Ok(Repair { after: before.clone(), fixes: Vec::new(), before });
    }
    journal::settle(&mut work)?;
    let mut after = None;
    for _ in 0..MAX_ROUNDS {
        let (picture, report) = look(&mut work.writer.store)?;
        if !round(&mut work, &picture)? {
            after = Some(report);
            break;
        }
    }
    work.writer.finish()?;
    let after = match after {
        Some(report) => report,
        None => look(&mut work.writer.store)?.1,
    };
    Ok(Repair { before, fixes: work.fixes, after })
}

/// Plans and makes the changes of one kind.
type Stage<'s> = fn(&mut Work<'s>, &Picture) -> Result<()>;

/// Runs the stages until one changes something. Returns whether one did.
fn round<'s>(work: &mut Work<'s>, picture: &Picture) -> Result<bool> {
    let Some(superblock) = &picture.superblock else {
        return Err(Error::damaged("superblock", 0, "gone while the volume was repaired"));
    };
    work.writer.extent_bytes = u64::from(superblock.extent_bytes);
    work.writer.start_numbers_above(picture);
    let before = work.fixes.len();
    let stages: [Stage<'s>; 8] = [
        |work, picture| records::entries(work, picture),
        |work, picture| records::others(work, picture),
        |work, picture| settings::stage(work, picture),
        |work, picture| missing::stage(work, picture),
        |work, picture| tree::stage(work, picture),
        |work, picture| counts::records(work, picture),
        |work, picture| counts::hidden_names(work, picture),
        |work, picture| counts::superblock(work, picture),
    ];
    for stage in stages {
        stage(work, picture)?;
        work.writer.flush()?;
        if work.fixes.len() > before {
            return Ok(true);
        }
    }
    Ok(false)
}
