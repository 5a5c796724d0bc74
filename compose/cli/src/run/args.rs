//! The arguments of `kvfs run`.

use super::bounds::Bounds;
use super::layer_cache::LayerCacheArgs;
use crate::composition::CompositionArgs;
use crate::parse::parse_directory;
use crate::sealing::KeyArgs;
use crate::store_url::StoreUrl;
use clap::Args;
use kvfs_host::StoreAccess;
use std::path::{Path, PathBuf};

/// Runs a guest on a store, after composing it if it is not composed yet.
///
/// The exit code is the guest's; 134 after a trap, 130 after an interrupt, and 124, 137 or 152 if
/// --timeout, --max-memory or --max-fuel ended the guest. The store is closed in order in all of
/// these cases.
///
/// A guest that says it is composed is composed again from its parts, so that nothing in it reaches
/// the store past the file system. A guest that asks for the store itself is refused: see
/// --allow-raw-store.
#[derive(Args)]
pub(crate) struct RunArgs {
    /// The store: `memory:[SIZE]`, gone at the end, of at most SIZE (such as 64M); `redb:PATH`, a
    /// file that is made if missing; `file:DIR`, a directory that is empty, missing or such a
    /// store; or a store at a distance, of the kinds that this kvfs was built with.
    #[arg(long, value_name = "memory:[SIZE]|redb:PATH|file:DIR|URL", default_value = "memory:")]
    pub(super) store: StoreUrl,
    /// Makes what the store needs at its server (a table, a bucket of S3 and the database in it) if it is
    /// missing.
    /// Without it, a mistyped name is an error and not a second store.
    #[arg(long)]
    pub(super) create: bool,
    #[command(flatten)]
    pub(super) key: KeyArgs,
    /// Has the store file:DIR, or one at a distance, alone or together with other programs. A redb
    /// store is always alone, and a store at a distance unless told otherwise.
    ///
    /// Alone, small changes are faster: they wait in memory, at most 16 MiB and about 5 seconds long,
    /// until the guest syncs or ends. A kill loses what waits, and so does another program that opens
    /// the store, after which this guest's changes fail. Of a store at a distance, a quarter of a second
    /// and 1 MiB wait, and only another program that opens the same volume ends this guest's changes.
    #[arg(long, value_name = "alone|together", value_parser = parse_access)]
    pub(super) store_access: Option<StoreAccess>,
    #[command(flatten)]
    pub(super) layer_cache: LayerCacheArgs,
    /// Runs the guest on a fork of this volume, which takes the place of the volume that it mounts.
    ///
    /// The volume itself stays as it is. The fork is removed when the guest has ended, unless --keep
    /// names it. A kill or an interrupt leaves the fork: `kvfs volume list` shows it as VOLUME.run-PID-TIME,
    /// or under the name of --keep.
    #[arg(long, value_name = "VOLUME")]
    pub(super) fork_of: Option<String>,
    /// Keeps the fork as a volume of this name.
    #[arg(long, value_name = "NAME", requires = "fork_of")]
    pub(super) keep: Option<String>,
    /// Merges the fork into the volume when the guest has ended well, and removes it then.
    ///
    /// A guest that fails is not merged. Where the volume has changed meanwhile in a way that does not go
    /// with the guest's changes, nothing is merged, the conflicts are told, and the exit code is 1. In
    /// both cases the fork stays, under the name that is told or that of --keep.
    #[arg(long, requires = "fork_of", conflicts_with = "discard")]
    pub(super) merge: bool,
    /// Removes the fork when the guest has ended, as is done without --keep too.
    #[arg(long, requires = "fork_of", conflicts_with = "keep")]
    discard: bool,
    /// Sets a variable in the guest's environment; may be given many times.
    #[arg(long, value_name = "K=V", value_parser = parse_variable)]
    pub(super) env: Vec<(String, String)>,
    /// Preopens a directory of the host under a name, for a mount host:PREOPEN or for a provider;
    /// may be given many times.
    ///
    /// The guest sees only what is mounted of it; a provider that does not come with kvfs sees all
    /// of it. A name that no mount and no provider asks for is refused.
    #[arg(long, value_name = "HOST-DIR::PREOPEN", value_parser = parse_directory)]
    pub(super) dir: Vec<(PathBuf, String)>,
    /// Appends the audit log to FILE instead of the store; it is made if missing. Only with
    /// --audit, or for a guest that was composed with it.
    #[arg(long, value_name = "FILE")]
    pub(super) audit_file: Option<PathBuf>,
    /// Lets the guest use the host's network and look up names.
    #[arg(long)]
    pub(super) inherit_network: bool,
    /// DANGEROUS. Runs a guest that asks for the store itself (`kvfs inspect` says so) as it is.
    ///
    /// It can read, change and remove everything in the store, every volume and those of other
    /// guests included, past kvfs. Only for a component that you have written yourself or trust
    /// with all that. It gets no directories.
    #[arg(long, conflicts_with = "dir")]
    pub(super) allow_raw_store: bool,
    #[command(flatten)]
    pub(super) bounds: Bounds,
    #[command(flatten)]
    pub(super) composition: CompositionArgs,
    /// The guest, composed or not, then its arguments, with or without a `--` between.
    #[arg(required = true, trailing_var_arg = true, value_name = "GUEST [--] ARGS")]
    guest_and_args: Vec<String>,
}

impl RunArgs {
    pub(super) fn guest(&self) -> &Path {
        // There is one: the argument is required.
        Path::new(self.guest_and_args.first().map_or("", String::as_str))
    }

    pub(super) fn guest_args(&self) -> &[String] {
        match self.guest_and_args.get(1..).unwrap_or_default() {
            [dashes, rest @ ..] if dashes == "--" => rest,
            all => all,
        }
    }
}

fn parse_access(text: &str) -> Result<StoreAccess, String> {
    match text {
        "alone" => Ok(StoreAccess::Alone),
        "together" => Ok(StoreAccess::Together),
        _ => Err("it must be `alone` or `together` (the default for file:DIR)".into()),
    }
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it must have the form NAME=VALUE".into()),
    }
}
