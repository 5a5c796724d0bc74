//! The `kvfs` command: reads its arguments and leaves the work to the libraries.

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod cli;

use clap::{Args, Parser, Subcommand};
use kvfs_compose::{ByteSize, Link, Mode, Mount};
#[cfg(feature = "run")]
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

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
    /// Joins a guest with the file system into one component.
    Compose(ComposeArgs),
    /// Runs a guest on a store, composed first if it is not yet.
    ///
    /// Its exit code is the guest's; 134 after a trap, 130 after an interrupt, and 124, 137 or 152 for a guest that was
    /// ended by --timeout, --max-memory or --max-fuel. The store is closed in order in all of these cases.
    ///
    /// What says that it is composed is composed again from its parts, so that nothing in it gets the store past the file
    /// system. What asks for the store itself is refused: see --allow-raw-store.
    Run(RunArgs),
    /// Checks a volume of a store, and repairs it if asked to.
    ///
    /// Without --repair the store is only read, be it that it may not be written, and not a byte of it
    /// changes. The exit code is that of fsck(8): 0 the volume is sound, 1 it was repaired and is sound
    /// now, 4 it is not sound, 8 it could not be checked.
    Fsck(FsckArgs),
    /// Checks that a store or a provider keeps the contract of kvfs:store: one line for each claim.
    ///
    /// The store must be empty and is left empty. A claim that cannot be judged (the store is too small for it, or
    /// states limits beyond what is tried) is none that does not hold, and is counted by itself. A provider has 60
    /// seconds for each claim, or as --timeout says; after a trap a new instance goes on. The exit code is 0 if every
    /// checked claim holds, 4 if one does not, 1 if nothing could be checked.
    CheckStore(CheckStoreArgs),
    /// Tells what a wasm file is, what it imports and exports, and what it needs of a runtime.
    Inspect {
        /// A component or a core module.
        file: PathBuf,
    },
}

#[derive(Args)]
struct ComposeArgs {
    /// A component of WASI 0.2, or a core module for WASI preview1.
    guest: PathBuf,
    /// Where to write the result.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Where the store comes from: `host`; `memory`, gone with the program, of at most SIZE (such as 64M
    /// or 2G; 1G unless told); `file`, in a directory that the host preopens as GUEST-DIR, /kvfs unless
    /// told (`wasmtime run --dir STATE::/kvfs`); `keyvalue`, in a bucket of the host's wasi:keyvalue, which keeps it
    /// as long as that host does; or a component that exports kvfs:store/kv-store.
    #[arg(
        long,
        value_name = "host|memory[:SIZE]|file[:GUEST-DIR]|keyvalue[:BUCKET]|FILE.wasm",
        default_value = "host"
    )]
    provider: String,
    #[command(flatten)]
    fixed: Fixed,
}

#[derive(Args)]
#[cfg_attr(not(feature = "run"), allow(dead_code, reason = "parsed to be refused"))]
struct RunArgs {
    /// The store: `memory:`, gone at the end, of at most SIZE (such as 64M) if one follows the colon; `redb:PATH`, a file
    /// that is made if missing; or `file:DIR`, a directory that is empty, missing or such a store.
    #[arg(long, value_name = "memory:[SIZE]|redb:PATH|file:DIR", default_value = "memory:")]
    store: String,
    /// Sets a variable in the guest's environment; may be given many times.
    #[arg(long, value_name = "K=V", value_parser = parse_variable)]
    env: Vec<(String, String)>,
    /// Preopens a directory of the host under a name, for a mount host:PREOPEN or for a provider; may be given many
    /// times. The guest sees nothing of it that is not mounted; a provider that does not come with kvfs sees all.
    /// A name that neither asks for is refused.
    #[arg(long, value_name = "HOST-DIR::PREOPEN", value_parser = parse_directory)]
    dir: Vec<(PathBuf, String)>,
    /// Lets the guest use the host's network and look up names.
    #[arg(long)]
    inherit_network: bool,
    /// DANGEROUS. Runs a guest that asks for the store itself (`kvfs inspect` says so) as it is: it can read, change and
    /// remove everything in the store, in every volume and of every other guest, and nothing of kvfs stands between. For
    /// a component that you have written yourself, or trust with all that. It gets no directories.
    #[arg(long, conflicts_with = "dir")]
    allow_raw_store: bool,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    fixed: Fixed,
    /// The guest, composed or not, and behind it the guest's arguments, with or without a `--` between.
    #[arg(required = true, trailing_var_arg = true, value_name = "GUEST [--] ARGS")]
    guest_and_args: Vec<String>,
}

#[cfg(feature = "run")]
impl RunArgs {
    fn guest(&self) -> &Path {
        // There is one: the argument is required.
        Path::new(self.guest_and_args.first().map_or("", String::as_str))
    }

    fn guest_args(&self) -> &[String] {
        match self.guest_and_args.get(1..).unwrap_or_default() {
            [dashes, rest @ ..] if dashes == "--" => rest,
            all => all,
        }
    }
}

#[derive(Args)]
#[cfg_attr(not(feature = "run"), allow(dead_code, reason = "parsed to be refused"))]
struct FsckArgs {
    /// The store, such as `redb:PATH`. No guest may be running on it.
    #[arg(long)]
    store: String,
    /// The volume of the store to check.
    #[arg(long, default_value = kvfs::DEFAULT_VOLUME)]
    volume: String,
    /// For a volume that lies on a packed tree (a mount `overlay:`): a component that was composed with that
    /// mount, to take the tree from. Both are checked as the one tree that they are.
    #[arg(long, value_name = "COMPONENT")]
    image: Option<PathBuf>,
    /// Repairs what is wrong. Nothing that can be read is lost; what has no name any more goes to
    /// /lost+found.
    #[arg(long)]
    repair: bool,
    /// Lets the repair make whole what has lost bytes: zeros for lost pieces of a file, and what is left
    /// for a file whose size is lost. Otherwise reading them stays an error.
    #[arg(long, requires = "repair")]
    accept_loss: bool,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
#[cfg_attr(not(feature = "run"), allow(dead_code, reason = "parsed to be refused"))]
struct CheckStoreArgs {
    /// A store of the host: `memory:[SIZE]`, `redb:PATH` or `file:DIR`.
    #[arg(long, conflicts_with = "provider")]
    store: Option<String>,
    /// A provider: `memory[:SIZE]`, `file[:GUEST-DIR]`, `keyvalue[:BUCKET]` (on buckets in memory), or a component that
    /// exports kvfs:store/kv-store.
    #[arg(long, value_name = "memory[:SIZE]|file[:GUEST-DIR]|keyvalue[:BUCKET]|FILE.wasm")]
    provider: Option<String>,
    /// Gives the provider a directory; may be given many times.
    #[arg(long, value_name = "HOST-DIR::GUEST-DIR", requires = "provider", value_parser = parse_directory)]
    dir: Vec<(PathBuf, String)>,
    /// The time that each claim has, such as 500ms, 30s or 5m; a number alone is seconds. A provider that takes longer is interrupted, and the claim fails.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_time)]
    timeout: Duration,
}

/// What a guest may use. Without bounds it may use what the machine has.
#[derive(Args)]
#[cfg_attr(not(feature = "run"), allow(dead_code, reason = "parsed to be refused"))]
struct Bounds {
    /// Ends the guest after a time, such as 500ms, 30s or 5m; a number alone is seconds. The exit code is then 124.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    timeout: Option<Duration>,
    /// Lets the guest and the file system beside it have so much memory together, such as 256M. A guest that asks for
    /// more is told that there is none; if it cannot go on, the exit code is 137.
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| text.parse::<ByteSize>())]
    max_memory: Option<ByteSize>,
    /// Ends the guest after so many units of fuel, about one for each instruction. The same run takes the same fuel on
    /// every machine. The exit code is then 152.
    #[arg(long, value_name = "UNITS")]
    max_fuel: Option<u64>,
}

/// What composition fixes in its result.
#[derive(Args, Clone)]
struct Fixed {
    /// How guest and file system are joined: `component` (the default, takes any guest), or `core`,
    /// which makes a file call a core-wasm call.
    #[arg(long, value_name = "component|core", value_parser = |text: &str| text.parse::<Link>())]
    link: Option<Link>,
    /// When writes are committed: strict (each operation), close (the default) or lazy (the default with
    /// `--provider memory` without a size, which is gone with the program in any case).
    #[arg(long, value_parser = |text: &str| text.parse::<Mode>())]
    mode: Option<Mode>,
    /// The volume of the store to mount where no other is named [default: main].
    #[arg(long)]
    volume: Option<String>,
    /// Mounts something at a path of the guest; may be given many times. SOURCE is kv[:VOLUME], a volume of
    /// the store; image:DIR-or-TAR, a tree packed into the result, read-only;
    /// overlay:DIR-or-TAR[:VOLUME], a packed tree with a volume above it that takes the changes; or
    /// host:PREOPEN[,file=NAME=HOST-PATH ...], a directory that the host preopens, or the named files of it.
    /// A TAR may be compressed with gzip. Behind the source of a volume, max-bytes=SIZE (such as 64M),
    /// max-inodes=NUMBER and max-names=NUMBER limit what it may hold, above a packed tree what lies above the tree; ro
    /// makes any source read-only. Without a mount, the volume is at `/`.
    #[arg(long, value_name = "PATH=SOURCE[,OPTION ...]", value_parser = |text: &str| text.parse::<Mount>())]
    mount: Vec<Mount>,
    /// Lets guest and provider both import a package, such as my:log; may be given many times. It is refused
    /// otherwise, as the guest could reach the store past the file system. The parts of WASI 0.2 that keep nothing need no leave;
    /// wasi:filesystem does where a directory of the host is mounted and FILE.wasm uses it too.
    #[arg(long, value_name = "PACKAGE")]
    share: Vec<String>,
}

#[cfg(feature = "run")]
impl Fixed {
    /// Whether any of it is given.
    fn is_given(&self) -> bool {
        let Self { link, mode, volume, mount, share } = self;
        link.is_some() || mode.is_some() || volume.is_some() || !mount.is_empty() || !share.is_empty()
    }
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it has the form NAME=VALUE".into()),
    }
}

fn parse_directory(text: &str) -> Result<(PathBuf, String), String> {
    match text.split_once("::") {
        Some((host, guest)) if !host.is_empty() && !guest.is_empty() => Ok((host.into(), guest.to_owned())),
        _ => Err("it has the form HOST-DIR::GUEST-DIR".into()),
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let time = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).map_err(|_| {
            "it is a number of seconds, or numbers with units, such as 500ms, 30s or 5m".to_owned()
        })?,
    };
    if time.is_zero() { Err("it is no time at all".into()) } else { Ok(time) }
}

fn main() -> ExitCode {
    cli::terminal::start();
    let cli = Cli::try_parse().unwrap_or_else(|error| cli::terminal::usage(&error));
    let done = match cli.command {
        Command::Compose(args) => cli::compose::compose(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "run")]
        Command::Run(args) => cli::run::run(&args),
        #[cfg(feature = "run")]
        Command::CheckStore(args) => cli::check_store::check_store(&args),
        #[cfg(feature = "run")]
        Command::Fsck(args) => Ok(cli::fsck::fsck(&args)),
        #[cfg(not(feature = "run"))]
        Command::Run(_) | Command::CheckStore(_) | Command::Fsck(_) => Err(anyhow::anyhow!(
            "this command was built without stores and a runtime, to be there soon; build it with its feature `run`, \
             or compose with --provider and run the result in the `wasmtime` command"
        )),
        Command::Inspect { file } => cli::inspect::inspect(&file).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        cli::complain(&error);
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_mount_names_all_that_a_mount_takes() {
        let help = Fixed::augment_args(clap::Command::new("kvfs")).render_long_help().to_string();
        for part in [
            "kv[:VOLUME]",
            "image:DIR",
            "overlay:DIR",
            "host:PREOPEN",
            "file=NAME",
            "max-bytes=",
            "max-inodes=",
            "max-names=",
            "; ro ",
        ] {
            assert!(help.contains(part), "{part}: {help}");
        }
    }
}
