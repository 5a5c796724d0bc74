//! `kvfs volume merge`.

use super::at::{At, Opened};
use super::below::{Below, explain, image};
use super::garbage::free_all;
use crate::busy::Busy;
use crate::terminal::{complain, json_line, say, say_fields};
use anyhow::{Result, bail};
use clap::Args;
use kvfs::image::Image;
use kvfs::volumes::{Conflict, Doing, Merged, Outcome, Side};
use serde_json::json;
use std::process::ExitCode;

/// Merges what changed in a fork into the volume that it came from, whole or not at all.
///
/// What only the fork has changed is taken over, and what only the volume has changed stays. If both have
/// changed the same, nothing is merged: a line for each conflict is written, its kind, a tab and the path,
/// and the exit code is 1. Say then whose changes are kept. The exit code is 2 if the volumes cannot be
/// merged. The fork stays as it is. A guest that has the volume open can store nothing any more once
/// anything is merged, and must be started again.
#[derive(Args)]
pub(super) struct MergeArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    below: Below,
    /// Keeps the changes of INTO where both have changed the same.
    #[arg(long, conflicts_with = "theirs")]
    ours: bool,
    /// Keeps the changes of FROM where both have changed the same.
    #[arg(long)]
    theirs: bool,
    /// Keeps the change of INTO at this path; may be given many times.
    #[arg(long, value_name = "PATH")]
    ours_at: Vec<String>,
    /// Keeps the change of FROM at this path; may be given many times.
    #[arg(long, value_name = "PATH")]
    theirs_at: Vec<String>,
    /// Only shows what would be merged, or the conflicts, and changes nothing.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Writes a JSON object: merged, counts, and conflicts with path and kind.
    #[arg(long)]
    json: bool,
    /// The fork.
    from: String,
    /// The volume that gets its changes.
    into: String,
}

/// The volumes could not be merged, as merge(1) says it: 1 means that there are conflicts.
const FAILED: u8 = 2;

pub(super) fn merge(args: &MergeArgs) -> ExitCode {
    match merge_whole(args) {
        Ok(Outcome::Merged(_)) => ExitCode::SUCCESS,
        Ok(Outcome::Conflicts(_)) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// Merges, and tells what was done.
fn merge_whole(args: &MergeArgs) -> Result<Outcome> {
    if let Some(path) = args.ours_at.iter().find(|path| args.theirs_at.contains(path)) {
        bail!("`{path}` is given with --ours-at and with --theirs-at; leave one out");
    }
    let images = args.below.images()?;
    let (mut outcome, image) = {
        let volumes = args.at.look()?;
        let image = image(&args.at, images, &volumes, [&args.into, &args.from])?;
        let busy = Busy::new("comparing");
        let looked = run(args, &volumes, image.as_ref(), Doing::Look);
        drop(busy);
        (looked?, image)
    };
    let is_something = matches!(&outcome, Outcome::Merged(merged) if !merged.is_nothing());
    if is_something && !args.dry_run {
        args.at.change_in(args.at.key.open(&args.at.store)?, |volumes| {
            let busy = Busy::new("merging");
            outcome = run(args, volumes, image.as_ref(), Doing::Merge)?;
            drop(busy);
            free_all(&args.at, volumes).map(drop)
        })?;
    }
    tell(args, &outcome)?;
    Ok(outcome)
}

fn run(args: &MergeArgs, volumes: &Opened, image: Option<&Image>, doing: Doing) -> Result<Outcome> {
    let resolve = |conflict: &Conflict| {
        let names = |paths: &[String]| paths.contains(&conflict.path);
        match (names(&args.ours_at), names(&args.theirs_at)) {
            (true, _) => Some(Side::Ours),
            (false, true) => Some(Side::Theirs),
            _ if args.ours => Some(Side::Ours),
            _ => args.theirs.then_some(Side::Theirs),
        }
    };
    let merged = volumes.merge(&args.from, &args.into, image, doing, resolve);
    merged.map_err(|error| explain(&args.at, volumes, error))
}

fn tell(args: &MergeArgs, outcome: &Outcome) -> Result<()> {
    if args.json {
        let (merged, conflicts) = match outcome {
            Outcome::Merged(merged) => (Some(*merged), &[][..]),
            Outcome::Conflicts(conflicts) => (None, conflicts.as_slice()),
        };
        let counts = merged.unwrap_or_default();
        let conflicts: Vec<_> = conflicts
            .iter()
            .map(|conflict| json!({ "path": conflict.path, "kind": conflict.kind.word() }))
            .collect();
        return say([json_line(&json!({
            "merged": merged.is_some() && !args.dry_run,
            "added": counts.added,
            "changed": counts.changed,
            "removed": counts.removed,
            "resolved": counts.resolved,
            "conflicts": conflicts,
        }))]);
    }
    match outcome {
        Outcome::Merged(merged) if args.dry_run => {
            say([format!("would merge {} into {}: {}", args.from, args.into, summary(merged))])
        }
        Outcome::Merged(merged) => {
            args.at.done(&format!("merged {} into {}: {}", args.from, args.into, summary(merged)))
        }
        Outcome::Conflicts(conflicts) => {
            conflicts.iter().try_for_each(|conflict| say_fields(&[conflict.kind.word(), &conflict.path]))
        }
    }
}

/// What was merged, in a few words.
fn summary(merged: &Merged) -> String {
    let Merged { added, changed, removed, resolved, .. } = merged;
    if merged.is_nothing() {
        return "nothing to do".to_owned();
    }
    let mut text = format!("{added} added, {changed} changed, {removed} removed");
    if *resolved > 0 {
        text.push_str(&format!(", {resolved} conflicts resolved"));
    }
    text
}
