//! The key of a sealed store.

use anyhow::{Context, Result};
use clap::Args;
use kvfs_host::{
    AnyStore, UserKey, open_sealed_store, open_sealed_store_read_only, open_store, open_store_read_only,
};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The environment variable with a passphrase.
const PASSPHRASE: &str = "KVFS_PASSPHRASE";

/// More than a key file or a passphrase may have.
const MAX_READ_BYTES: u64 = 1 << 16;

// No doc comment: clap would take it for the command's.
#[derive(Args)]
pub(crate) struct KeyArgs {
    /// Encrypts the store with the key in this file: at least 32 random bytes. An empty store becomes
    /// an encrypted one; a store with data must have been encrypted with this key.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    key_file: Option<PathBuf>,
    /// Encrypts the store with the passphrase in this file, less a line end. Without --key-file and
    /// this, KVFS_PASSPHRASE is the passphrase, if it is set.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl KeyArgs {
    /// Returns whether an argument names a key.
    pub(crate) fn is_given(&self) -> bool {
        self.key_file.is_some() || self.passphrase_file.is_some()
    }

    /// Opens a store, with the key if there is one.
    pub(crate) fn open(&self, url: &str) -> Result<AnyStore> {
        Ok(match self.key()? {
            Some(key) => open_sealed_store(url, &key)?,
            None => open_store(url)?,
        })
    }

    /// Opens a store for reading only, with the key if there is one.
    pub(crate) fn open_read_only(&self, url: &str) -> Result<AnyStore> {
        Ok(match self.key()? {
            Some(key) => open_sealed_store_read_only(url, &key)?,
            None => open_store_read_only(url)?,
        })
    }

    /// Returns the key: of an argument, or of the environment.
    pub(crate) fn key(&self) -> Result<Option<UserKey>> {
        match (&self.key_file, &self.passphrase_file) {
            (Some(path), _) => key_file(path).map(Some),
            (_, Some(path)) => passphrase_file(path).map(Some),
            (None, None) => match std::env::var_os(PASSPHRASE) {
                Some(passphrase) => {
                    let key = UserKey::from_passphrase(passphrase.into_encoded_bytes());
                    Ok(Some(key.context(PASSPHRASE)?))
                }
                None => Ok(None),
            },
        }
    }
}

pub(crate) fn key_file(path: &Path) -> Result<UserKey> {
    UserKey::from_key_file(read(path)?).with_context(|| path.display().to_string())
}

pub(crate) fn passphrase_file(path: &Path) -> Result<UserKey> {
    let mut passphrase = read(path)?;
    if passphrase.last() == Some(&b'\n') {
        passphrase.pop();
        passphrase.pop_if(|last| *last == b'\r');
    }
    UserKey::from_passphrase(passphrase).with_context(|| path.display().to_string())
}

/// Reads a file that may have no end, as /dev/urandom. The buffer is not moved, so that no copy of
/// the key stays behind.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(MAX_READ_BYTES as usize + 64);
    File::open(path)
        .and_then(|file| file.take(MAX_READ_BYTES).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}; check the path", path.display()))?;
    Ok(bytes)
}
