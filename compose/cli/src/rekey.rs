//! `kvfs rekey`.

use crate::sealing::{KeyArgs, key_file, passphrase_file};
use crate::store_url::StoreUrl;
use crate::terminal::say;
use anyhow::{Result, bail};
use clap::Args;
use kvfs_host::OpenOptions;
use std::path::PathBuf;

/// Changes the key file or the passphrase of an encrypted store.
///
/// Only the store's header is written. Whoever has the old key and an old copy of the store still
/// opens that copy, and can read what is written later: if the old key has leaked, copy the files
/// to a new store.
#[derive(Args)]
pub(crate) struct RekeyArgs {
    /// The store, such as `file:DIR`. No guest may be running on it.
    #[arg(long)]
    store: StoreUrl,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    new: NewKeyArgs,
}

// No doc comment: clap would take it for the command's.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct NewKeyArgs {
    /// Encrypts the store with this file of at least 32 random bytes from now on.
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// Encrypts the store with the passphrase in this file from now on.
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
}

pub(crate) fn rekey(args: &RekeyArgs) -> Result<()> {
    let Some(from) = args.key.key()? else {
        bail!("the store's present key is missing; name it with --key-file or --passphrase-file");
    };
    let to = match (&args.new.new_key_file, &args.new.new_passphrase_file) {
        (Some(path), _) => key_file(path)?,
        (_, Some(path)) => passphrase_file(path)?,
        (None, None) => bail!("the new key is missing; name it with --new-key-file or --new-passphrase-file"),
    };
    args.key.refuse_useless(&args.store)?;
    OpenOptions::new().key(&from).accept_loss(args.key.accepts_loss()).rekey(&args.store, &to)?;
    say([format!("{}: the new key opens it from now on; the old one does not", args.store)])
}
