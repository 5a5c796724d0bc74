//! The store whose volumes are named.

use crate::interrupt;
use crate::sealing::KeyArgs;
use crate::store_url::StoreUrl;
use crate::terminal::{on_terminal, say};
use crate::volume_error::explain;
use anyhow::Result;
use clap::Args;
use kvfs_host::{AnyStore, Volumes, VolumesError};

// No doc comment: clap would take it for the command's.
#[derive(Args)]
pub(super) struct At {
    /// The store, such as `file:DIR`.
    #[arg(long, value_name = "URL")]
    pub(super) store: StoreUrl,
    #[command(flatten)]
    pub(super) key: KeyArgs,
}

/// The volumes of an open store.
pub(super) type Opened = Volumes<AnyStore>;

impl At {
    /// Opens the store for reading only.
    pub(super) fn look(&self) -> Result<Opened> {
        interrupt::end_in_order()?;
        Ok(Volumes::new(self.key.open_to_check(&self.store)?))
    }

    /// Looks at the store, and then opens it for writing and changes it. What cannot be done is seen
    /// while the store is open for reading only, and so disturbs nobody who has it open.
    pub(super) fn change(
        &self,
        look: impl FnOnce(&Opened) -> Result<()>,
        change: impl FnOnce(&Opened) -> Result<()>,
    ) -> Result<()> {
        look(&self.look()?)?;
        self.change_in(self.key.open(&self.store)?, change)
    }

    /// Changes a store that is open for writing, and closes it.
    pub(super) fn change_in(
        &self,
        store: AnyStore,
        change: impl FnOnce(&Opened) -> Result<()>,
    ) -> Result<()> {
        let changed = change(&Volumes::new(store.clone()));
        let closed = self.store.closed(store.close(), "the change");
        changed.and(closed)
    }

    /// Fails unless there is a volume of this name that can be read.
    pub(super) fn check(&self, volumes: &Opened, volume: &str) -> Result<()> {
        volumes.info(volume).map(drop).map_err(|error| self.explain(volumes, error))
    }

    /// Fails if there is a volume of this name, or can be none.
    pub(super) fn check_free(&self, volumes: &Opened, volume: &str) -> Result<()> {
        match volumes.info(volume) {
            Err(VolumesError::Missing { .. }) => Ok(()),
            Ok(_) => Err(self.explain(volumes, VolumesError::Taken { name: volume.to_owned() })),
            Err(error) => Err(self.explain(volumes, error)),
        }
    }

    /// Explains why something cannot be done, and what to do about it.
    pub(super) fn explain(&self, volumes: &Opened, error: VolumesError) -> anyhow::Error {
        explain(&self.store, volumes, error)
    }

    /// Says what was done, if somebody watches.
    pub(super) fn done(&self, what: &str) -> Result<()> {
        if on_terminal() { say([what]) } else { Ok(()) }
    }
}
