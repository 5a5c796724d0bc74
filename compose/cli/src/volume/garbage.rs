//! `kvfs volume gc`, and what other commands free.

use super::at::{At, Opened};
use crate::busy::Busy;
use crate::terminal::warn;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Records that are freed between two looks at the clock, and by commands that make no garbage.
const STEP_RECORDS: u64 = 4096;

/// Frees what removed and restored volumes have left.
///
/// `kvfs volume rm` does so itself; this goes on where one was interrupted. It can run beside guests.
#[derive(Args)]
pub(super) struct GcArgs {
    #[command(flatten)]
    at: At,
}

pub(super) fn gc(args: &GcArgs) -> Result<ExitCode> {
    let look = |_: &Opened| Ok(());
    args.at.change(look, |volumes| {
        let records = free_all(&args.at, volumes)?;
        args.at.done(&format!("freed {records} records"))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Frees all garbage, in small steps: an interrupt between them loses nothing. Returns how many records
/// were freed.
pub(super) fn free_all(at: &At, volumes: &Opened) -> Result<u64> {
    let busy = Busy::new("freeing");
    let mut records = 0;
    loop {
        let step = volumes.collect(STEP_RECORDS).map_err(|error| at.explain(volumes, error))?;
        records += step.records;
        if step.done {
            return Ok(records);
        }
        busy.counting("freeing", records);
    }
}

/// Frees some garbage, for commands that are not about it: it must not pile up where nobody frees it,
/// and must not take long.
pub(super) fn free_some(at: &At, volumes: &Opened) {
    if let Err(error) = volumes.collect(STEP_RECORDS) {
        warn(format_args!("{}: what removed volumes have left cannot be freed: {error}", at.store));
    }
}
