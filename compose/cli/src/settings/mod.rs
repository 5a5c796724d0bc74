//! `kvfs settings`.

mod scrub;

mod show;

mod set;

use crate::volume_args::VolumeArgs;
use anyhow::Result;
use clap::{Args, Subcommand};

/// Shows the settings of a volume of a store, and changes them with `set`.
///
/// Settings are limits, and secrets that are masked. They count for all who open the volume,
/// whatever component they run. A mount with limits replaces the limits when it is opened. A store
/// that does not exist is not made, and neither is a volume.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct SettingsArgs {
    #[command(subcommand)]
    command: Option<SettingsCommand>,
    #[command(flatten)]
    shown: Option<VolumeArgs>,
}

#[derive(Subcommand)]
enum SettingsCommand {
    Set(set::SetArgs),
}

pub(crate) fn settings(args: &SettingsArgs) -> Result<()> {
    match (&args.command, &args.shown) {
        (Some(SettingsCommand::Set(args)), _) => set::set(args),
        (None, Some(args)) => show::show(args),
        // The arguments' own rules leave nothing else.
        (None, None) => Ok(()),
    }
}
