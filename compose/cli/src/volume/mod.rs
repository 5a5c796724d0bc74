//! `kvfs volume`.

// The store that is worked on, and what is shown of it.
mod shown;

mod at;

mod garbage;

mod patch;

mod create;
mod diff;
mod flatten;
mod fork;
mod freeze;
mod info;
mod list;
mod remove;
mod rename;
mod restore;

pub(crate) use diff::{DiffArgs, diff};

use anyhow::Result;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Lists, makes, forks, restores and removes the volumes of a store.
///
/// A fork or snapshot copies nothing: volumes share the layers that hold what they have in common. Each
/// change is made whole or not at all, and is durable when the command ends. On success, nothing is
/// printed but on a terminal.
#[derive(Args)]
pub(crate) struct VolumeArgs {
    #[command(subcommand)]
    command: VolumeCommand,
}

#[derive(Subcommand)]
enum VolumeCommand {
    List(list::ListArgs),
    Info(info::InfoArgs),
    Create(create::CreateArgs),
    Fork(fork::ForkArgs),
    Snapshot(fork::SnapshotArgs),
    Restore(restore::RestoreArgs),
    Rename(rename::RenameArgs),
    Rm(remove::RemoveArgs),
    Gc(garbage::GcArgs),
    Freeze(freeze::FreezeArgs),
    Thaw(freeze::ThawArgs),
    Flatten(flatten::FlattenArgs),
}

pub(crate) fn volume(args: &VolumeArgs) -> Result<ExitCode> {
    match &args.command {
        VolumeCommand::List(args) => list::list(args),
        VolumeCommand::Info(args) => info::info(args),
        VolumeCommand::Create(args) => create::create(args),
        VolumeCommand::Fork(args) => fork::fork(args),
        VolumeCommand::Snapshot(args) => fork::snapshot(args),
        VolumeCommand::Restore(args) => restore::restore(args),
        VolumeCommand::Rename(args) => rename::rename(args),
        VolumeCommand::Rm(args) => remove::remove(args),
        VolumeCommand::Gc(args) => garbage::gc(args),
        VolumeCommand::Freeze(args) => freeze::freeze(args),
        VolumeCommand::Thaw(args) => freeze::thaw(args),
        VolumeCommand::Flatten(args) => flatten::flatten(args),
    }
}
