//! `kvfs inspect`.

use crate::busy::Busy;
use crate::files::read;
use crate::terminal::say;
use anyhow::{Context, Result};
use clap::Args;
use kvfs_compose::Visible;
use std::path::PathBuf;

/// Shows what a wasm file is, what it imports and exports, and what it needs from a runtime.
#[derive(Args)]
pub(crate) struct InspectArgs {
    /// A component or a core module.
    file: PathBuf,
}

pub(crate) fn inspect(args: &InspectArgs) -> Result<()> {
    let bytes = read(&args.file)?;
    let busy = Busy::new("validating");
    let found = kvfs_compose::inspect(&bytes).with_context(|| args.file.display().to_string())?;
    drop(busy);
    say(format!("{}: {found}", Visible(args.file.display())).lines())
}
