//! The key of a sealed store.

use crate::files::read_secret;
use crate::full::with_room;
use crate::terminal::{warn, warn_with};
use anyhow::{Context, Result, bail};
use clap::Args;
use kvfs_host::{AnyStore, Damage, LayerCache, OpenError, OpenOptions, RepairCopy, StoreAccess, UserKey};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The environment variable with a passphrase.
const PASSPHRASE: &str = "KVFS_PASSPHRASE";

// No doc comment: clap would take it for the command's.
#[derive(Args)]
pub(crate) struct KeyArgs {
    /// Encrypts the store with the key in this file: at least 32 random bytes. An empty store
    /// becomes an encrypted one; a store with data must have been encrypted with this key.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    key_file: Option<PathBuf>,
    /// Encrypts the store with the passphrase in this file, without its last line end. Without this
    /// and --key-file, KVFS_PASSPHRASE is the passphrase, if it is set; other programs of yours can
    /// read it in /proc/PID/environ.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Opens the store even if it has lost what it had acknowledged as durable, as its mark beside
    /// it tells. It then counts as it is.
    #[arg(long)]
    accept_loss: bool,
}

impl KeyArgs {
    /// Returns whether losses are accepted.
    pub(crate) fn accepts_loss(&self) -> bool {
        self.accept_loss
    }

    /// Returns whether an argument names a key.
    pub(crate) fn is_given(&self) -> bool {
        self.key_file.is_some() || self.passphrase_file.is_some()
    }

    /// Opens a store for a guest, alone or together with others if `access` says so. With `create`,
    /// makes what is missing at a server. With `layer_cache`, keeps there what frozen layers hold.
    pub(crate) fn open_for_guest(
        &self,
        url: &str,
        access: Option<StoreAccess>,
        create: bool,
        layer_cache: Option<&LayerCache>,
    ) -> Result<AnyStore> {
        self.refuse_useless(url)?;
        let key = self.key()?;
        let options = OpenOptions::new().accept_loss(self.accept_loss).create(create);
        let options = access.into_iter().fold(options, OpenOptions::access);
        let options = key.iter().fold(options, OpenOptions::key);
        let opened = layer_cache.into_iter().fold(options, OpenOptions::layer_cache).open(url);
        opened.map_err(|error| with_room(url, error.into()))
    }

    /// Opens a store, with the key if there is one.
    pub(crate) fn open(&self, url: &str) -> Result<AnyStore> {
        self.refuse_useless(url)?;
        self.open_as(url, |options| options)
    }

    fn open_as(&self, url: &str, with: impl FnOnce(OpenOptions<'_>) -> OpenOptions<'_>) -> Result<AnyStore> {
        let opened = self.options(|options| with(options).open(url));
        opened.map_err(|error| with_room(url, error))
    }

    /// Calls with the options for opening the store.
    fn options<T>(&self, call: impl FnOnce(OpenOptions<'_>) -> Result<T, OpenError>) -> Result<T> {
        let key = self.key()?;
        let options = OpenOptions::new().accept_loss(self.accept_loss);
        call(key.iter().fold(options, |options, key| options.key(key))).map_err(Into::into)
    }

    /// Opens a store to look at it, even if it has lost durable applies: with its key, or as it
    /// lies.
    pub(crate) fn open_to_look(&self, url: &str, as_it_lies: bool) -> Result<AnyStore> {
        let key = if as_it_lies { None } else { self.key()? };
        let options = OpenOptions::new().read_only(true).accept_loss(true).as_it_lies(as_it_lies);
        Ok(key.iter().fold(options, |options, key| options.key(key)).open(url)?)
    }

    /// Copies what can be read of a store to repair a volume of it: see
    /// [`OpenOptions::repair_copy`].
    pub(crate) fn repair_copy(&self, url: &str) -> Result<Option<RepairCopy>> {
        self.options(|options| options.salvage(true).repair_copy(url, &mut |_| {}))
    }

    /// Warns if the environment has a passphrase that `what` makes no use of.
    pub(crate) fn warn_if_unused(&self, what: impl Display) {
        if std::env::var_os(PASSPHRASE).is_some() {
            warn(format_args!("{what}: {PASSPHRASE} is set, and nothing is encrypted with it"));
        }
    }

    /// Refuses `--accept-loss` for a store that notices none: whoever gives it would believe that a
    /// loss was looked for.
    pub(crate) fn refuse_useless(&self, url: &str) -> Result<()> {
        if self.accept_loss && !OpenOptions::notices_loss(url)? {
            let url = kvfs_host::without_secrets(url);
            bail!("{url}: it notices no loss that could be accepted; leave --accept-loss out");
        }
        Ok(())
    }

    /// Opens a store to read from a volume of it, with the key if there is one.
    pub(crate) fn open_to_read(&self, url: &str) -> Result<AnyStore> {
        self.refuse_useless(url)?;
        self.open_to_check(url)
    }

    /// Opens a store to check a volume of it, for reading only, with the key if there is one.
    /// Values that do not open are empty.
    pub(crate) fn open_to_check(&self, url: &str) -> Result<AnyStore> {
        self.open_as(url, |options| options.read_only(true).salvage(true))
    }

    /// Opens a store to read files of it, for reading only, with the key if there is one.
    pub(crate) fn open_read_only(&self, url: &str) -> Result<AnyStore> {
        self.refuse_useless(url)?;
        self.open_as(url, |options| options.read_only(true))
    }

    /// Opens a store to repair a volume of it, with the key if there is one. Values that do not
    /// open are empty.
    pub(crate) fn open_to_repair(&self, url: &str) -> Result<AnyStore> {
        self.open_as(url, |options| options.salvage(true))
    }

    /// Looks at a store with `look`, and then opens it for writing with `open`: opening a store for
    /// writing makes one that does not exist.
    pub(crate) fn look_first(
        &self,
        url: &str,
        look: impl FnOnce(AnyStore) -> Result<()>,
        open: impl FnOnce(&Self, &str) -> Result<AnyStore>,
    ) -> Result<AnyStore> {
        look(self.open_to_read(url)?)?;
        open(self, url)
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

/// Tells of damage of the store itself.
pub(crate) fn tell_damage(store: impl Display, damage: &Damage) {
    if damage.is_none() {
        return;
    }
    let ranges = damage.ranges.iter().map(|(from, to)| match to {
        Some(to) => format!("from key {} to before {}", from.escape_ascii(), to.escape_ascii()),
        None => format!("from key {} on", from.escape_ascii()),
    });
    let what = format!("{store} is damaged itself: {damage}");
    if damage.ranges.is_empty() {
        warn(what);
    } else {
        warn_with(what, ranges);
    }
}

pub(crate) fn key_file(path: &Path) -> Result<UserKey> {
    UserKey::from_key_file(read_secret(path)?).with_context(|| path.display().to_string())
}

pub(crate) fn passphrase_file(path: &Path) -> Result<UserKey> {
    let mut passphrase = read_secret(path)?;
    if passphrase.last() == Some(&b'\n') {
        passphrase.pop();
        passphrase.pop_if(|last| *last == b'\r');
    }
    UserKey::from_passphrase(passphrase).with_context(|| path.display().to_string())
}
