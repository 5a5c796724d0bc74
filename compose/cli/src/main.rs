//! The `kvfs` command: reads its arguments and leaves the work to the libraries.

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]
#![cfg_attr(not(feature = "runtime"), allow(dead_code, reason = "for the commands that need a runtime"))]

// The terminal, files, interrupts and the runtime.
mod busy;
mod files;
#[cfg(feature = "runtime")]
mod full;
#[cfg(feature = "runtime")]
mod http_listener;
#[cfg(feature = "runtime")]
mod interrupt;
#[cfg(feature = "runtime")]
mod runtime;
#[cfg(feature = "runtime")]
mod same_bytes;
#[cfg(feature = "runtime")]
mod store_url;
mod terminal;

// Output of many lines.
#[cfg(feature = "runtime")]
mod lines;

// Texts, line by line.
#[cfg(feature = "runtime")]
mod text_diff;

// Arguments that several commands take.
mod composition;
mod parse;
mod provider;

// Volumes in stores of the host.
#[cfg(feature = "runtime")]
mod mounted;
#[cfg(feature = "runtime")]
mod salvage;
#[cfg(feature = "runtime")]
mod sealing;
#[cfg(feature = "runtime")]
mod volume_args;
#[cfg(feature = "runtime")]
mod volume_error;

// What is below a volume.
#[cfg(feature = "runtime")]
mod image;

// The commands.
#[cfg(feature = "runtime")]
mod audit;
#[cfg(feature = "runtime")]
mod check_store;
mod completions;
mod compose;
#[cfg(feature = "runtime")]
mod door;
#[cfg(feature = "runtime")]
mod fsck;
mod inspect;
mod manual;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod mount;
#[cfg(feature = "runtime")]
mod rekey;
#[cfg(feature = "runtime")]
mod run;
#[cfg(feature = "runtime")]
mod serve;
#[cfg(feature = "runtime")]
mod settings;
#[cfg(feature = "runtime")]
mod store;
#[cfg(feature = "runtime")]
mod store_server;
#[cfg(feature = "runtime")]
mod volume;

use clap::{CommandFactory, Parser, Subcommand};
#[cfg(not(feature = "runtime"))]
use std::ffi::OsString;
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
    Compose(Box<compose::ComposeArgs>),
    #[cfg(feature = "runtime")]
    Run(run::RunArgs),
    #[cfg(feature = "runtime")]
    Fsck(fsck::FsckArgs),
    #[cfg(feature = "runtime")]
    Audit(audit::AuditArgs),
    #[cfg(feature = "runtime")]
    CheckStore(check_store::CheckStoreArgs),
    #[cfg(feature = "runtime")]
    Rekey(rekey::RekeyArgs),
    #[cfg(feature = "runtime")]
    Diff(volume::DiffArgs),
    #[cfg(feature = "runtime")]
    Serve(serve::ServeArgs),
    #[cfg(feature = "runtime")]
    Import(door::ImportArgs),
    #[cfg(feature = "runtime")]
    Export(door::ExportArgs),
    #[cfg(feature = "runtime")]
    Ls(door::LsArgs),
    #[cfg(feature = "runtime")]
    Cat(door::CatArgs),
    #[cfg(feature = "runtime")]
    Put(door::PutArgs),
    #[cfg(feature = "runtime")]
    Get(door::GetArgs),
    #[cfg(all(feature = "mount", target_os = "linux"))]
    Mount(mount::MountArgs),
    #[cfg(feature = "runtime")]
    Mkdir(door::MkdirArgs),
    #[cfg(feature = "runtime")]
    Cp(door::CpArgs),
    #[cfg(feature = "runtime")]
    Mv(door::MvArgs),
    #[cfg(feature = "runtime")]
    Rm(door::RmArgs),
    #[cfg(feature = "runtime")]
    Find(door::FindArgs),
    #[cfg(feature = "runtime")]
    Tree(door::TreeArgs),
    #[cfg(feature = "runtime")]
    Stat(door::StatArgs),
    #[cfg(feature = "runtime")]
    Du(door::DuArgs),
    #[cfg(feature = "runtime")]
    Df(door::DfArgs),
    #[cfg(feature = "runtime")]
    Settings(settings::SettingsArgs),
    #[cfg(feature = "runtime")]
    Store(store::StoreArgs),
    #[cfg(feature = "runtime")]
    StoreServer(store_server::StoreServerArgs),
    #[cfg(feature = "runtime")]
    Volume(volume::VolumeArgs),
    Inspect(inspect::InspectArgs),
    Completions(completions::CompletionsArgs),
    Man(manual::ManArgs),
    /// Fails: this build has no runtime.
    #[cfg(not(feature = "runtime"))]
    #[command(name = "run", aliases = ["audit", "cat", "check-store", "cp", "df", "diff", "du", "export", "find", "fsck", "get", "import", "ls", "mkdir", "mv", "put", "rekey", "rm", "serve", "settings", "stat", "store", "store-server", "tree", "volume"], hide = true, disable_help_flag = true)]
    NeedsRuntime {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    terminal::start();
    #[cfg(feature = "runtime")]
    let args = door::with_two_dashes(std::env::args_os());
    #[cfg(not(feature = "runtime"))]
    let args: Vec<OsString> = std::env::args_os().collect();
    let cli = Cli::try_parse_from(&args).unwrap_or_else(|error| terminal::usage::<Cli>(&error, &args));
    let done = match cli.command {
        Command::Compose(args) => compose::compose(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "runtime")]
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "runtime")]
        Command::Fsck(args) => Ok(fsck::fsck(&args)),
        #[cfg(feature = "runtime")]
        Command::Audit(args) => audit::audit(&args),
        #[cfg(feature = "runtime")]
        Command::CheckStore(args) => check_store::check_store(&args),
        #[cfg(feature = "runtime")]
        Command::Rekey(args) => rekey::rekey(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "runtime")]
        Command::Diff(args) => Ok(volume::diff(&args)),
        #[cfg(feature = "runtime")]
        Command::Serve(args) => serve::serve(args).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "runtime")]
        Command::Import(args) => door::import(&args),
        #[cfg(feature = "runtime")]
        Command::Export(args) => door::export(&args),
        #[cfg(feature = "runtime")]
        Command::Ls(args) => door::ls(&args),
        #[cfg(feature = "runtime")]
        Command::Cat(args) => door::cat(&args),
        #[cfg(feature = "runtime")]
        Command::Put(args) => door::put(&args),
        #[cfg(feature = "runtime")]
        Command::Get(args) => door::get(&args),
        #[cfg(all(feature = "mount", target_os = "linux"))]
        Command::Mount(args) => mount::mount(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "runtime")]
        Command::Mkdir(args) => door::mkdir(&args),
        #[cfg(feature = "runtime")]
        Command::Cp(args) => door::cp(&args),
        #[cfg(feature = "runtime")]
        Command::Mv(args) => door::mv(&args),
        #[cfg(feature = "runtime")]
        Command::Rm(args) => door::rm(&args),
        #[cfg(feature = "runtime")]
        Command::Find(args) => door::find(&args),
        #[cfg(feature = "runtime")]
        Command::Tree(args) => door::tree(&args),
        #[cfg(feature = "runtime")]
        Command::Stat(args) => door::stat(&args),
        #[cfg(feature = "runtime")]
        Command::Du(args) => door::du(&args),
        #[cfg(feature = "runtime")]
        Command::Df(args) => door::df(&args),
        #[cfg(feature = "runtime")]
        Command::Settings(args) => settings::settings(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "runtime")]
        Command::Store(args) => store::store(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "runtime")]
        Command::StoreServer(args) => store_server::store_server(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "runtime")]
        Command::Volume(args) => volume::volume(&args),
        #[cfg(not(feature = "runtime"))]
        Command::NeedsRuntime { .. } => Err(anyhow::anyhow!(
            "this build of kvfs only composes and inspects; build it with its feature `runtime` for run, fsck, \
             audit, cat, check-store, cp, df, diff, du, export, find, get, import, ls, mkdir, mv, put, \
             rekey, rm, serve, settings, stat, store, store-server, tree and volume, or compose with \
             --provider and run the result with the `wasmtime` command"
        )),
        Command::Completions(args) => {
            completions::completions(&args, &mut Cli::command()).map(|()| ExitCode::SUCCESS)
        }
        Command::Man(args) => manual::man(&args, Cli::command()).map(|()| ExitCode::SUCCESS),
        Command::Inspect(args) => inspect::inspect(&args).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| terminal::failed(&error))
}
