//! `kvfs store copy`.

use crate::busy::Busy;
use crate::interrupt;
use crate::sealing::{KeyArgs, key_file, passphrase_file};
use crate::store_url::StoreUrl;
use crate::terminal::say;
use anyhow::{Result, bail};
use clap::Args;
use kvfs_host::{
    Amount, AnyStore, CopyError, CopySide, CopyStep, OpenError, OpenOptions, StoreError, copy_store,
};
use std::fmt::Write;
use std::path::PathBuf;

/// Copies a store with all its volumes to another store, of the same kind or another.
///
/// The copy is read again and compared with its source. Until that is done, nothing opens it. A copy
/// that was interrupted goes on with --continue, which compares what is there and writes what
/// differs.
#[derive(Args)]
pub(super) struct CopyArgs {
    /// The store to copy, such as `redb:PATH`. It is opened for reading only; no guest may be running
    /// on it.
    from: StoreUrl,
    /// The store to copy to, such as `file:DIR`: an empty one, or one that does not exist yet.
    to: StoreUrl,
    #[command(flatten)]
    key: KeyArgs,
    /// Encrypts the copy with the key in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "to_passphrase_file")]
    to_key_file: Option<PathBuf>,
    /// Encrypts the copy with the passphrase in this file.
    #[arg(long, value_name = "FILE")]
    to_passphrase_file: Option<PathBuf>,
    /// Leaves the copy of an encrypted store unencrypted.
    #[arg(long, conflicts_with_all = ["to_key_file", "to_passphrase_file"])]
    decrypt: bool,
    /// Makes what the store to copy to needs at its server if it is missing.
    #[arg(long)]
    create: bool,
    /// Goes on with a copy that was interrupted.
    #[arg(long = "continue")]
    go_on: bool,
}

pub(super) fn copy(args: &CopyArgs) -> Result<()> {
    // Copied entries stay, marked as the beginning of a copy.
    interrupt::end_in_order()?;
    args.key.refuse_useless(&args.from)?;
    let key = args.key.key()?;
    let to_key = match (&args.to_key_file, &args.to_passphrase_file) {
        (Some(path), _) => Some(key_file(path)?),
        (_, Some(path)) => Some(passphrase_file(path)?),
        (None, None) => None,
    };
    if key.is_some() && to_key.is_none() && !args.decrypt {
        bail!(
            "{}: it is encrypted, and the copy would not be; name the copy's key with --to-key-file or \
             --to-passphrase-file, or give --decrypt",
            args.from
        );
    }
    let keyed = |key| {
        let options = OpenOptions::new();
        Option::iter(key).fold(options, |options, key| options.key(key))
    };
    let from = CopySide { url: &args.from, options: keyed(&key).accept_loss(args.key.accepts_loss()) };
    let to = CopySide { url: &args.to, options: keyed(&to_key).create(args.create) };

    let busy = Busy::new("counting");
    // Only to say how much remains.
    let total = match busy.is_seen() {
        true => total(&from.options.read_only(true).open(from.url)?)
            .map_err(|source| CopyError::Store { url: args.from.to_string(), source })?,
        false => Amount::default(),
    };
    let done = copy_store(from, to, args.go_on, &mut |step| match step {
        CopyStep::Copying(amount) => busy.bytes("copying", amount.bytes, total.bytes),
        CopyStep::Verifying(amount) => busy.bytes("verifying", amount.bytes, total.bytes),
        _ => {}
    });
    drop(busy);
    let done = done.map_err(|error| match error {
        // The two sides have options of their own for their keys.
        CopyError::Open(OpenError::Sealed { url }) if url == args.to.to_string() && args.to != args.from => {
            anyhow::anyhow!("`{url}` is encrypted; name its key with --to-key-file or --to-passphrase-file")
        }
        error => error.into(),
    })?;
    let digest = done.digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    say([
        format!(
            "copied {} to {}: {} keys, {} bytes",
            args.from, args.to, done.amount.entries, done.amount.bytes
        ),
        format!("verified: both have the SHA-256 {digest}"),
    ])
}

/// Counts the entries of a store.
fn total(store: &AnyStore) -> Result<Amount, StoreError> {
    let mut amount = Amount::default();
    super::volumes::each(store, |entry| {
        amount.entries += 1;
        amount.bytes += (entry.key.len() + entry.value.len()) as u64;
        Ok(())
    })?;
    Ok(amount)
}
