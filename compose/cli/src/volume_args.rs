//! A volume of a store, named by arguments.

use crate::full::with_room;
use crate::sealing::KeyArgs;
use crate::store_url::StoreUrl;
use anyhow::anyhow;
use clap::Args;

// No doc comment: clap would take it for the command's.
#[derive(Args)]
pub(crate) struct VolumeArgs {
    /// The store, such as `file:DIR`. No guest may be running on it.
    // The group tells `settings` whether these arguments are given: clap leaves a group without
    // members if it has arguments of another struct.
    #[arg(long, group = "VolumeArgs")]
    pub(crate) store: StoreUrl,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    /// The volume of the store.
    #[arg(long, default_value = kvfs::DEFAULT_VOLUME)]
    pub(crate) volume: String,
}

impl VolumeArgs {
    /// Explains why something cannot be done with the volume, and what to do about it.
    pub(crate) fn explain(&self, error: kvfs::Error, doing: &str) -> anyhow::Error {
        explain(&self.store, &self.volume, error, doing)
    }
}

/// Explains why something cannot be done with a volume that `--volume` names, and what to do about it.
pub(crate) fn explain(store: &StoreUrl, volume: &str, error: kvfs::Error, doing: &str) -> anyhow::Error {
    match error {
        kvfs::Error::NoEntry => {
            anyhow!("{store}: there is no volume `{volume}` in it; name another with --volume")
        }
        kvfs::Error::Fenced => {
            anyhow!("{store}: a program has opened volume `{volume}` meanwhile; end it, and try again")
        }
        error => {
            with_room(store, anyhow!(error).context(format!("{store}: cannot {doing} volume `{volume}`")))
        }
    }
}
