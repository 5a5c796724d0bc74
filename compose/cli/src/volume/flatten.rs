//! `kvfs volume flatten`.

use super::at::At;
use super::garbage::free_all;
use crate::busy::Busy;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Copies what volumes share with others, so that they share nothing.
///
/// Reading such a volume looks into one layer below its own. An interrupt leaves the volume as it was,
/// and `kvfs volume gc` frees what was copied.
#[derive(Args)]
pub(super) struct FlattenArgs {
    #[command(flatten)]
    at: At,
    /// The volumes.
    #[arg(required = true)]
    volume: Vec<String>,
}

pub(super) fn flatten(args: &FlattenArgs) -> Result<ExitCode> {
    let FlattenArgs { at, volume: names } = args;
    at.change(
        |volumes| names.iter().try_for_each(|name| at.check(volumes, name)),
        |volumes| {
            for name in names {
                let _busy = Busy::new("copying what is shared");
                volumes.flatten(name).map_err(|error| at.explain(volumes, error))?;
            }
            free_all(at, volumes).map(drop)
        },
    )?;
    at.done(&format!("flattened {}", names.join(", ")))?;
    Ok(ExitCode::SUCCESS)
}
