//! `kvfs volume fork` and `kvfs volume snapshot`.

use super::at::At;
use super::garbage::free_some;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Makes a volume that holds what another one holds now.
///
/// Takes the same time whatever the volume holds, and copies nothing. What a guest at work on it has
/// not handed to the store yet is not in the fork, as it would not be after a kill. The fork has the
/// settings of the other volume.
#[derive(Args)]
pub(super) struct ForkArgs {
    #[command(flatten)]
    at: At,
    /// The volume to fork.
    from: String,
    /// The name of the new volume.
    new: String,
}

/// Makes a fork that takes no changes.
///
/// As `kvfs volume fork`, but nobody can write to the new volume until `kvfs volume thaw`. `kvfs volume
/// restore` puts a volume back to it.
#[derive(Args)]
pub(super) struct SnapshotArgs {
    #[command(flatten)]
    at: At,
    /// The volume to take the snapshot of.
    from: String,
    /// The name of the snapshot.
    new: String,
}

pub(super) fn fork(args: &ForkArgs) -> Result<ExitCode> {
    make(&args.at, &args.from, &args.new, false)
}

pub(super) fn snapshot(args: &SnapshotArgs) -> Result<ExitCode> {
    make(&args.at, &args.from, &args.new, true)
}

fn make(at: &At, from: &str, new: &str, is_snapshot: bool) -> Result<ExitCode> {
    at.change(
        |volumes| at.check(volumes, from).and_then(|()| at.check_free(volumes, new)),
        |volumes| {
            let made = if is_snapshot { volumes.snapshot(from, new) } else { volumes.fork(from, new) };
            made.map_err(|error| at.explain(volumes, error))?;
            free_some(at, volumes);
            Ok(())
        },
    )?;
    let what = if is_snapshot { "snapshot" } else { "fork" };
    at.done(&format!("made {new}, a {what} of {from}"))?;
    Ok(ExitCode::SUCCESS)
}
