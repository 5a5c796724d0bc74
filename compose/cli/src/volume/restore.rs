//! `kvfs volume restore`.

use super::at::{At, Opened};
use super::garbage::free_all;
use anyhow::{Result, bail};
use clap::Args;
use kvfs::volumes::VolumeInfo;
use std::process::ExitCode;

/// Puts a volume back to what a snapshot, or another volume, holds.
///
/// The volume keeps its name and settings; the snapshot stays. A guest that has the volume open can store
/// nothing any more, and must be started again. What the volume holds and no other volume does would be
/// lost, so this is refused without --force.
#[derive(Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    at: At,
    /// Throws away what only this volume holds, and ends the writing of a guest that has it open.
    #[arg(long, short)]
    force: bool,
    /// The volume to put back.
    volume: String,
    /// The snapshot, or any other volume.
    snapshot: String,
}

/// Most volumes that are looked through for one that holds the same.
const MAX_LOOKED_THROUGH: usize = 10_000;

pub(super) fn restore(args: &RestoreArgs) -> Result<ExitCode> {
    let RestoreArgs { at, force, volume, snapshot } = args;
    at.change(
        |volumes| {
            let explain = |error| at.explain(volumes, error);
            let (target, source) =
                (volumes.info(volume).map_err(explain)?, volumes.info(snapshot).map_err(explain)?);
            if !force && !is_held(volumes, &target, &source) {
                let store = &at.store;
                bail!(
                    "{store}: volume `{volume}` has changes that no other volume holds; --force throws them away \
                     and ends the writing of a guest that has it open, or keep them first: kvfs volume snapshot"
                );
            }
            Ok(())
        },
        |volumes| {
            volumes.restore(volume, snapshot).map_err(|error| at.explain(volumes, error))?;
            free_all(at, volumes).map(drop)
        },
    )?;
    at.done(&format!("restored {volume} from {snapshot}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns whether all that a volume holds is held by `source`, or by another volume.
fn is_held(volumes: &Opened, target: &VolumeInfo, source: &VolumeInfo) -> bool {
    let Some(below) = target.layers.get(1).filter(|_| target.unchanged) else { return false };
    let holds = |other: &VolumeInfo| {
        // Those that stand on it, in whatever state they are, have what it holds below them.
        other.name != target.name && other.layers.iter().skip(1).any(|layer| layer == below)
    };
    if holds(source) {
        return true;
    }
    let mut others = Vec::new();
    let listed = volumes.list(|name, _| {
        others.push(name.to_owned());
        match others.len() > MAX_LOOKED_THROUGH {
            true => bail!("too many"),
            false => Ok(()),
        }
    });
    drop(listed);
    others.iter().any(|name| volumes.info(name).is_ok_and(|other| holds(&other)))
}
