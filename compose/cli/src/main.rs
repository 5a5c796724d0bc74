//! The `kvfs` command: reads its arguments and leaves the work to the libraries.

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

// The terminal, files, interrupts and the runtime.
mod busy;
mod files;
mod interrupt;
mod runtime;
mod terminal;

// Arguments that several commands take.
mod composition;
mod parse;
mod provider;

// Volumes in stores of the host.
mod mounted;

// The commands.
mod check_store;
mod compose;
mod fsck;
mod inspect;
mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Gives WebAssembly components a file system that lives in a key-value store.
///
/// KVFS_LOG sets what is logged to standard error, such as KVFS_LOG=debug.
#[derive(Parser)]
#[command(name = "kvfs", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Compose(compose::ComposeArgs),
    Run(run::RunArgs),
    Fsck(fsck::FsckArgs),
    CheckStore(check_store::CheckStoreArgs),
    Inspect(inspect::InspectArgs),
}

fn main() -> ExitCode {
    terminal::start();
    let cli = Cli::try_parse().unwrap_or_else(|error| terminal::usage::<Cli>(&error));
    let done = match cli.command {
        Command::Compose(args) => compose::compose(&args).map(|()| ExitCode::SUCCESS),
        Command::Run(args) => run::run(&args),
        Command::Fsck(args) => Ok(fsck::fsck(&args)),
        Command::CheckStore(args) => check_store::check_store(&args),
        Command::Inspect(args) => inspect::inspect(&args).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        terminal::complain(&error);
        ExitCode::FAILURE
    })
}
