//! Merges a volume into another one.

// What is told of a merge.
mod told;

// The volumes and what they have in common.
mod sides;

mod bytes;

mod objects;

mod output;
mod settle;

mod writer;

mod extents;
mod names;

mod write;

pub use told::{Conflict, ConflictKind, Merged, Outcome, Side};

use crate::attempts::busy;
use crate::error::{Error, Result};
use crate::limits::MIN_FORK_BATCH_ENTRIES;
use crate::store::KvStore;
use crate::stored::image::Image;
use crate::types::Clock;
use objects::Objects;
use output::Output;
use sides::Sides;
use std::ops::ControlFlow;
use writer::Writer;

/// How often a merge is planned anew because one of the volumes has changed.
const MAX_ATTEMPTS: u32 = 32;

/// What a merge is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Merge.
    Merge,
    /// Only look for conflicts, and count. Bytes that would be copied are not counted.
    Look,
}

/// Merges what changed in volume `from` since both volumes were the same into volume `into`. `image` is
/// the one that both lie on, if they do.
///
/// Both are compared with the deepest layers that they have in common. What only `from` has changed is
/// taken over: bytes, times, names, new and removed files. What only `into` has changed stays, and so does
/// what both have changed in the same way. New files get new inode numbers. Files are told apart by their
/// identity, so a file that was renamed in one volume and written in the other is renamed and written.
/// Anything else that both have changed is a [`Conflict`], and `resolve` says whose change is kept: with
/// `None` for any of them, nothing changes and all of these are returned. `from` stays as it is.
///
/// Times alone make no conflict: the later one counts. Two new directories of one name become one, and
/// two new files or links of one name with the same bytes too.
///
/// A program that has `into` open can store nothing any more, if anything was merged.
///
/// # Durability
/// Whole and durable when it returns, or nothing: after a kill the volume is as before, and what was
/// copied is garbage.
///
/// # Errors
/// As those of [`fork`](super::fork()). [`Error::Unrelated`] for volumes without a layer in common,
/// [`Error::OtherImage`] for volumes on other images than the given one, [`Error::ReadOnly`] if `into` is
/// frozen, [`Error::Invalid`] if both are the same volume, [`Error::Quota`] and [`Error::FileTooLarge`] by
/// the limits of `into`, and [`crate::StoreError::Unavailable`] if a writer changes one of the volumes
/// all the time.
///
/// # Cost
/// Reads what the layers have that are not common, in all three states, and writes what is merged: in one
/// `apply` if that takes it, else into a layer of its own, which one more `apply` puts in place. Memory
/// grows with the number of records that differ, not with their bytes nor with the volumes.
pub fn merge(
    store: &mut dyn KvStore,
    clock: &mut dyn Clock,
    from: &str,
    into: &str,
    image: Option<&Image>,
    doing: Doing,
    resolve: &mut dyn FnMut(&Conflict) -> Option<Side>,
) -> Result<Outcome> {
    if from == into {
        return Err(Error::Invalid);
    }
    if store.limits()?.max_batch_entries < MIN_FORK_BATCH_ENTRIES {
        return Err(Error::StoreLimits("volumes in layers need a max-batch-entries of at least 8"));
    }
    let now = clock.now();
    for number in 0..MAX_ATTEMPTS {
        let mut sides = Sides::read(store, from, into, image)?;
        if sides.into.volume.superblock.is_read_only() {
            return Err(Error::ReadOnly);
        }
        let outcome = attempt(store, &mut sides, (now, number), doing, resolve);
        match outcome {
            Ok(ControlFlow::Continue(Outcome::Merged(merged))) if doing == Doing::Merge => {
                return Ok(Outcome::Merged(merged));
            }
            Ok(ControlFlow::Break(())) => {}
            // What was read beside a writer may be of two moments.
            Ok(ControlFlow::Continue(outcome)) => {
                if sides.are_unchanged(store)? {
                    return Ok(outcome);
                }
            }
            Err(error @ (Error::Damaged(_) | Error::Quota | Error::FileTooLarge | Error::TooManyLinks)) => {
                if sides.are_unchanged(store)? {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(busy())
}

fn attempt(
    store: &mut dyn KvStore,
    sides: &mut Sides,
    (now, number): (crate::types::Timestamp, u32),
    doing: Doing,
    resolve: &mut dyn FnMut(&Conflict) -> Option<Side>,
) -> Result<ControlFlow<(), Outcome>> {
    let mut objects = Objects::read(store, sides)?;
    let resolved = match settle::settle(store, sides, &mut objects, resolve)? {
        Ok(resolved) => resolved,
        Err(conflicts) => return Ok(ControlFlow::Continue(Outcome::Conflicts(conflicts))),
    };
    let output = Output::new(store, now, number)?;
    let written = Writer::new(store, sides, &objects, output).run(doing == Doing::Look)?;
    Ok(match written {
        ControlFlow::Break(()) => ControlFlow::Break(()),
        ControlFlow::Continue(merged) => {
            ControlFlow::Continue(Outcome::Merged(Merged { resolved, ..merged }))
        }
    })
}
