//! `kvfs volume rm`.

use super::at::{At, Opened};
use super::garbage::free_all;
use crate::terminal::complain;
use anyhow::Result;
use clap::Args;
use kvfs::StoreError;
use kvfs_host::VolumesError;
use std::process::ExitCode;

/// Removes volumes, and frees what only they used.
///
/// Each is removed at once. Forks and snapshots of it stay whole. Freeing goes in small steps: after an
/// interrupt the volumes are gone, and `kvfs volume gc` or the next `rm` frees the rest. A guest that has
/// such a volume open can store nothing any more.
#[derive(Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    at: At,
    /// Takes a volume that there is not for one that is removed.
    #[arg(long, short)]
    force: bool,
    /// The volumes.
    #[arg(required = true)]
    volume: Vec<String>,
}

pub(super) fn remove(args: &RemoveArgs) -> Result<ExitCode> {
    let RemoveArgs { at, force, volume: names } = args;
    let (mut removed, mut failed) = (Vec::new(), false);
    at.change(
        |volumes| match names.iter().any(|name| volumes.info(name).is_ok()) || *force {
            true => Ok(()),
            // Nothing can be done: the first name says why.
            false => names.iter().try_for_each(|name| at.check(volumes, name)),
        },
        |volumes| {
            for name in names {
                match remove_one(at, volumes, name) {
                    Ok(()) => removed.push(name.as_str()),
                    Err(VolumesError::Missing { .. }) if *force => {}
                    Err(error) => {
                        failed = true;
                        complain(&at.explain(volumes, error));
                    }
                }
            }
            free_all(at, volumes).map(drop)
        },
    )?;
    if !removed.is_empty() {
        at.done(&format!("removed {}", removed.join(", ")))?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Removes a volume. A full store may have no room for the note of what is to be freed, but garbage of
/// before.
fn remove_one(at: &At, volumes: &Opened, name: &str) -> Result<(), VolumesError> {
    match volumes.remove(name) {
        Err(VolumesError::Failed { source: kvfs::Error::Store(StoreError::QuotaExceeded), .. })
            if free_all(at, volumes).is_ok_and(|records| records > 0) =>
        {
            volumes.remove(name)
        }
        done => done,
    }
}
