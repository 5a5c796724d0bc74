//! The store and the volume whose files are named.

use crate::interrupt;
use crate::sealing::KeyArgs;
use crate::store_url::StoreUrl;
use crate::volume_error::explain;
use anyhow::{Context, Result};
use clap::Args;
use kvfs::{Mode, Options};
use kvfs_host::{AnyStore, Files, FilesError, Volumes, VolumesError};

// No doc comment: clap would take it for the command's.
#[derive(Args)]
pub(super) struct At {
    /// The store, such as `file:DIR`.
    #[arg(long, value_name = "URL")]
    pub(super) store: StoreUrl,
    #[command(flatten)]
    key: KeyArgs,
    /// The volume of the store.
    #[arg(long, default_value = kvfs::DEFAULT_VOLUME)]
    pub(super) volume: String,
}

impl At {
    /// Opens the volume for reading only. A guest may be at work on it.
    pub(super) fn look(&self) -> Result<Files> {
        interrupt::end_in_order()?;
        let volumes = Volumes::new(self.key.open_read_only(&self.store)?);
        self.check(&volumes)?;
        volumes.look(&self.volume, None).map_err(|error| self.explain(error))
    }

    /// Opens the volume for writing, works on it, and makes everything durable. What was done before an
    /// error stays. With `create`, makes the volume if there is none.
    pub(super) fn change<T>(&self, create: bool, work: impl FnOnce(&mut Files) -> Result<T>) -> Result<T> {
        interrupt::end_in_order()?;
        if !create {
            // What cannot be done is seen before anybody who has the store open is disturbed.
            self.check(&Volumes::new(self.key.open_read_only(&self.store)?))?;
        }
        let store = self.key.open(&self.store)?;
        let done = self.change_in(&Volumes::new(store.clone()), create, work);
        let closed = store.close().with_context(|| format!("{}: cannot make the change durable", self.store));
        done.and_then(|done| closed.map(|()| done))
    }

    fn change_in<T>(
        &self,
        volumes: &Volumes<AnyStore>,
        create: bool,
        work: impl FnOnce(&mut Files) -> Result<T>,
    ) -> Result<T> {
        if create && matches!(volumes.info(&self.volume), Err(VolumesError::Missing { .. })) {
            volumes.create(&self.volume).map_err(|error| explain(&self.store, volumes, error))?;
        }
        self.check(volumes)?;
        // Changes gather: the end of the command makes them durable together.
        let options = Options { volume: self.volume.clone(), mode: Mode::Lazy, ..Options::default() };
        let mut files = volumes.files(options).map_err(|error| self.explain(error))?;
        let done = work(&mut files);
        let stored = files.close().map_err(|error| self.explain(error));
        done.and_then(|done| stored.map(|()| done))
    }

    fn check(&self, volumes: &Volumes<AnyStore>) -> Result<()> {
        volumes.info(&self.volume).map(drop).map_err(|error| explain(&self.store, volumes, error))
    }

    /// Explains why something cannot be done with the files.
    pub(super) fn explain(&self, error: FilesError) -> anyhow::Error {
        anyhow::Error::new(error).context(self.store.to_string())
    }
}
