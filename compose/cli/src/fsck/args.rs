//! The arguments of `kvfs fsck`.

use crate::sealing::KeyArgs;
use crate::store_url::StoreUrl;
use clap::Args;
use std::path::PathBuf;

/// Checks the volumes of a store, and repairs them with --repair.
///
/// Checks every volume, and the layers that they share; with --volume, only that volume. What volumes
/// share is read once for each of them. Keys that belong to no volume are left alone.
///
/// Without --repair, opens the store read-only. A store in one file (`redb:PATH`) is repaired on a
/// copy beside it, which then takes its place, and stays as PATH.damaged-1. A damaged store in a
/// directory (`file:DIR`) is copied as far as it can be read, likewise. Others are repaired where
/// they lie. The exit code is that of fsck(8): 0 if all is sound, 1 if it was repaired and is sound
/// now, 4 if something is not sound, 8 if something could not be checked.
#[derive(Args)]
#[command(mut_arg("accept_loss", |arg| arg.help(ACCEPT_LOSS)))]
pub(crate) struct FsckArgs {
    /// The store, such as `file:DIR`. No guest may be running on it.
    #[arg(long)]
    pub(super) store: StoreUrl,
    #[command(flatten)]
    pub(super) key: KeyArgs,
    /// The only volume to check.
    #[arg(long)]
    pub(super) volume: Option<String>,
    /// A component that was composed with a mount `overlay:` of a volume.
    ///
    /// The packed tree below the volume, and below forks of it, is taken from it, and both are checked
    /// as the one tree that they form.
    #[arg(long, value_name = "COMPONENT")]
    pub(super) image: Option<PathBuf>,
    /// Repairs what is wrong. Nothing that can be read is lost; what has lost its name goes to
    /// /lost+found.
    #[arg(long)]
    pub(super) repair: bool,
    /// Removes the store as it was once it is repaired, instead of keeping it beside the new one.
    #[arg(long, requires = "repair")]
    pub(super) discard_damaged: bool,
}

const ACCEPT_LOSS: &str = "Checks the store even if it has lost what it had acknowledged as durable, as its mark \
    beside it tells. With --repair, lets the repair fill in lost bytes too: zeros for lost pieces of a file, and what \
    is left for a file whose size is lost; otherwise reading them stays an error";
