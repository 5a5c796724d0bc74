//! `kvfs volume create`.

use super::at::At;
use anyhow::{Result, bail};
use clap::Args;
use std::process::ExitCode;

/// Makes an empty volume, and the store if there is none.
#[derive(Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    at: At,
    /// The name of the volume.
    volume: String,
}

pub(super) fn create(args: &CreateArgs) -> Result<ExitCode> {
    let CreateArgs { at, volume } = args;
    if at.store.starts_with("memory:") {
        bail!("{}: it would be gone with this process; name a store that stays", at.store);
    }
    // A store that cannot be read may be one that is made now.
    if let Ok(volumes) = at.look() {
        at.check_free(&volumes, volume)?;
    }
    let store = at.key.open_for_guest(&at.store, None, true, None)?;
    at.change_in(store, |volumes| volumes.create(volume).map_err(|error| at.explain(volumes, error)))?;
    at.done(&format!("made volume {volume}"))?;
    Ok(ExitCode::SUCCESS)
}
