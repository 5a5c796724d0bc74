//! Repairs of a store.

use super::args::FsckArgs;
use super::exit_code::{REPAIRED, UNSOUND, worst};
use super::report::{State, repaired};
use super::volumes::{self, Done};
use crate::busy::Busy;
use crate::mounted::Images;
use crate::salvage::{notes, salvage};
use crate::terminal::{complain, say, warn};
use anyhow::{Context, Result};
use kvfs::Repair;
use std::path::Path;

/// Repairs the volumes of a damaged store in a directory, on a copy of what can be read.
pub(super) fn salvage_first(
    args: &FsckArgs,
    directory: &Path,
    images: &mut Option<Images>,
    damage: anyhow::Error,
) -> Result<u8> {
    if !args.repair {
        return Err(damage.context("the store is damaged; --repair makes a new one of what can be read"));
    }
    warn(format_args!("{damage:#}"));
    let busy = Busy::new("copying what can be read");
    let salvaged = salvage(&args.store, directory);
    drop(busy);
    let salvaged = salvaged?;
    let store = args.key.open_to_repair(&args.store)?;
    let done = volumes::repair(args, images, &store)
        .with_context(|| format!("the store as it was is {}; it can be put back", salvaged.kept.display()))?;
    args.store.closed(store.close(), "the repair")?;
    let notes = notes(&salvaged, args.volume.is_some(), discards(args, &done))?;
    tell(args, &done, notes)
}

/// Repairs the volumes of a store that can be opened, on a copy where its kind has copies.
pub(super) fn repair(args: &FsckArgs, images: &mut Option<Images>) -> Result<u8> {
    let busy = Busy::new("copying what can be read");
    let copy = args.key.repair_copy(&args.store)?;
    drop(busy);
    let Some(copy) = copy else {
        let store = args.key.open_to_repair(&args.store)?;
        let done = volumes::repair(args, images, &store)?;
        args.store.closed(store.close(), "the repair")?;
        return tell(args, &done, Vec::new());
    };
    let (damage, amount) = (copy.damage(), copy.amount());
    let done = match volumes::repair(args, images, copy.store()) {
        Ok(done) => done,
        Err(error) => {
            copy.discard();
            return Err(error);
        }
    };
    let kept = copy
        .finish(!discards(args, &done))
        .with_context(|| format!("{}: cannot put the repaired store in its place", args.store))?;
    let mut notes = vec![format!("copied {} keys, {} bytes: {damage}", amount.entries, amount.bytes)];
    if !damage.ranges.is_empty() && args.volume.is_some() {
        notes.push("other volumes of the store may have lost entries too: check each of them".to_owned());
    }
    if let Some(kept) = kept {
        notes.push(format!("the store as it was is {}; remove it when nothing is missed", kept.display()));
    }
    tell(args, &done, notes)
}

/// Returns whether the store as it was is removed. It is kept for volumes that could not be checked.
fn discards(args: &FsckArgs, done: &Done<Repair>) -> bool {
    args.discard_damaged && done.failed.is_empty()
}

fn tell(args: &FsckArgs, done: &Done<Repair>, notes: Vec<String>) -> Result<u8> {
    done.failed.iter().for_each(complain);
    say(repaired(args, done, notes))?;
    let is_sound = State::of(done, |repair| &repair.after).is_sound();
    Ok(worst(done, if is_sound { REPAIRED } else { UNSOUND }))
}
