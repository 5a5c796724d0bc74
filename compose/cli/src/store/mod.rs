//! `kvfs store`.

mod volumes;

mod copy;
mod info;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Copies a store, and shows what is in one.
#[derive(Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Subcommand)]
enum StoreCommand {
    Copy(copy::CopyArgs),
    Info(info::InfoArgs),
}

pub(crate) fn store(args: &StoreArgs) -> Result<()> {
    match &args.command {
        StoreCommand::Copy(args) => copy::copy(args),
        StoreCommand::Info(args) => info::info(args),
    }
}
