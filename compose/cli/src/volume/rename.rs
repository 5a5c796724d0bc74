//! `kvfs volume rename`.

use super::at::At;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Gives a volume another name.
///
/// A guest that has the volume open can store nothing any more. Components name their volumes when they
/// are composed, so they find it under its old name no more.
#[derive(Args)]
pub(super) struct RenameArgs {
    #[command(flatten)]
    at: At,
    /// The volume.
    from: String,
    /// Its new name.
    to: String,
}

pub(super) fn rename(args: &RenameArgs) -> Result<ExitCode> {
    let RenameArgs { at, from, to } = args;
    at.change(
        |volumes| at.check(volumes, from).and_then(|()| at.check_free(volumes, to)),
        |volumes| volumes.rename(from, to).map_err(|error| at.explain(volumes, error)),
    )?;
    at.done(&format!("renamed {from} to {to}"))?;
    Ok(ExitCode::SUCCESS)
}
