//! `kvfs volume freeze` and `kvfs volume thaw`.

use super::at::At;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Lets volumes take no changes any more, until they are thawed.
///
/// A guest that has such a volume open loses what it has not stored, as by a kill, and can store nothing
/// any more.
#[derive(Args)]
pub(super) struct FreezeArgs {
    #[command(flatten)]
    at: At,
    /// The volumes.
    #[arg(required = true)]
    volume: Vec<String>,
}

/// Lets frozen volumes and snapshots take changes again.
#[derive(Args)]
pub(super) struct ThawArgs {
    #[command(flatten)]
    at: At,
    /// The volumes.
    #[arg(required = true)]
    volume: Vec<String>,
}

pub(super) fn freeze(args: &FreezeArgs) -> Result<ExitCode> {
    set(&args.at, &args.volume, true)
}

pub(super) fn thaw(args: &ThawArgs) -> Result<ExitCode> {
    set(&args.at, &args.volume, false)
}

fn set(at: &At, names: &[String], is_frozen: bool) -> Result<ExitCode> {
    at.change(
        |volumes| names.iter().try_for_each(|name| at.check(volumes, name)),
        |volumes| {
            names.iter().try_for_each(|name| {
                let done = if is_frozen { volumes.freeze(name) } else { volumes.thaw(name) };
                done.map_err(|error| at.explain(volumes, error))
            })
        },
    )?;
    at.done(&format!("{} {}", if is_frozen { "froze" } else { "thawed" }, names.join(", ")))?;
    Ok(ExitCode::SUCCESS)
}
