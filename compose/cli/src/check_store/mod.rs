//! `kvfs check-store`.

mod check;
mod provider_store;

use crate::interrupt;
use crate::parse::{parse_directory, parse_time};
use crate::provider::{ProviderOptions, provider};
use crate::sealing::KeyArgs;
use crate::store_url::{StoreUrl, forms_help};
use anyhow::{Context, Result, bail};
use check::{Check, Open};
use clap::Args;
use kvfs_host::FileStore;
use provider_store::{Program, ProviderStore};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Checks that a store or a provider keeps the contract of kvfs:store: one line for each claim.
///
/// The store must be empty and is left empty. A claim that cannot be judged (the store is too small
/// for it, or its limits are higher than what is tried) does not fail; it is counted separately. A
/// provider has 60 seconds for each claim, or the time of --timeout; after a trap the check goes on
/// with a new instance. The exit code is 0 if every checked claim holds, 4 if one does not, 1 if
/// nothing could be checked.
#[derive(Args)]
pub(crate) struct CheckStoreArgs {
    // Its help lists the kinds of stores that this build knows.
    #[arg(
        long,
        conflicts_with = "provider",
        required_unless_present = "provider",
        help = forms_help("A store of the host")
    )]
    store: Option<StoreUrl>,
    #[command(flatten)]
    key: KeyArgs,
    /// A provider: `memory[:SIZE]`, `file[:GUEST-DIR]`, `keyvalue[:BUCKET]` (on buckets in memory),
    /// or a component that exports kvfs:store/kv-store.
    #[arg(long, value_name = "memory[:SIZE]|file[:GUEST-DIR]|keyvalue[:BUCKET]|FILE.wasm")]
    provider: Option<String>,
    /// Gives the provider a directory; may be given many times.
    #[arg(long, value_name = "HOST-DIR::GUEST-DIR", requires = "provider", value_parser = parse_directory)]
    dir: Vec<(PathBuf, String)>,
    /// The time for each claim, such as 500ms, 30s or 5m; a number alone is seconds. A provider
    /// that takes longer is interrupted, and the claim fails.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_time)]
    timeout: Duration,
}

pub(crate) fn check_store(args: &CheckStoreArgs) -> Result<ExitCode> {
    interrupt::end_in_order()?;
    let limit = args.timeout;
    match (&args.store, &args.provider) {
        (Some(url), _) => {
            let name = &url.to_string();
            Check { name, open: &|| Ok(Box::new(args.key.open(url)?)), interrupt: None, limit }.run()
        }
        (None, Some(name)) => {
            if args.key.is_given() {
                bail!("{name} keeps its entries itself, and a key does not encrypt them; leave the key out");
            }
            args.key.warn_if_unused(name);
            if name.starts_with("http:") || name.starts_with("https:") {
                bail!("{name} keeps its entries in a store server; check the store there, with --store");
            }
            let Some(bytes) = provider(name, args.key.accepts_loss(), &ProviderOptions { token_file: None })?
                .to_component()
                .context(name.clone())?
            else {
                bail!("{name} is not a provider; check a store of the host with --store");
            };
            if name == "file" || name.starts_with("file:") {
                // The provider would make a store among the files of a directory that is not a
                // store.
                args.dir.iter().try_for_each(|(directory, _)| FileStore::check(directory))?;
            }
            let program = Program::new(&bytes, &args.dir).with_context(|| name.clone())?;
            let open: &Open<'_> = &|| Ok(Box::new(ProviderStore::start(&program)?));
            Check { name, open, interrupt: Some(&|| program.interrupt()), limit }.run()
        }
        (None, None) => bail!("there is nothing to check; give --store or --provider"),
    }
}
