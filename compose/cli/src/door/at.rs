//! The store and the volume whose files are named.

use crate::full::with_room;
use crate::image::{Below, ImageArgs};
use crate::interrupt;
use crate::sealing::KeyArgs;
use crate::store_url::StoreUrl;
use crate::volume_error::explain;
use anyhow::Result;
use clap::Args;
use kvfs::{Mode, Options};
use kvfs_host::{AnyStore, Files, FilesError, Volumes, VolumesError};
use std::collections::{BTreeMap, BTreeSet};

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
    #[command(flatten)]
    image: ImageArgs,
}

/// The use of volumes that are copied or moved from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sources {
    Read,
    Change,
}

/// Volumes of a store that are open together, each once.
pub(super) struct Open {
    pub(super) target: Files,
    sources: BTreeMap<String, Files>,
}

impl Open {
    /// Returns a volume, and the target if that is another one.
    pub(super) fn source(&mut self, volume: &str) -> (&mut Files, Option<&mut Files>) {
        match self.sources.get_mut(volume) {
            Some(source) => (source, Some(&mut self.target)),
            None => (&mut self.target, None),
        }
    }
}

impl At {
    /// Opens the volume for reading only. A guest may be at work on it.
    pub(super) fn look(&self) -> Result<Files> {
        interrupt::end_in_order()?;
        let volumes = Volumes::new(self.key.open_read_only(&self.store)?);
        self.check(&volumes, &self.volume)?;
        let image = self.image.read()?.of(&self.store, &volumes, &self.volume)?;
        volumes.look(&self.volume, image).map_err(|error| self.explain(error))
    }

    /// Opens the volume for writing, works on it, and makes everything durable. What was done before an
    /// error stays. With `create`, makes the volume if there is none.
    pub(super) fn change<T>(&self, create: bool, work: impl FnOnce(&mut Files) -> Result<T>) -> Result<T> {
        interrupt::end_in_order()?;
        let mut below = self.image.read()?;
        if !create {
            // What cannot be done is seen before anybody who has the store open is disturbed.
            let looked = Volumes::new(self.key.open_read_only(&self.store)?);
            self.check(&looked, &self.volume)?;
            below.of(&self.store, &looked, &self.volume)?;
        }
        let store = self.key.open(&self.store)?;
        let done = self.change_in(&Volumes::new(store.clone()), &mut below, create, work);
        let closed = self.store.closed(store.close(), "the change");
        done.and_then(|done| closed.map(|()| done))
    }

    /// As [`At::change`], on the volume `target` and with other volumes of the store.
    pub(super) fn change_with<T>(
        &self,
        target: &str,
        sources: &BTreeSet<&str>,
        access: Sources,
        work: impl FnOnce(&mut Open) -> Result<T>,
    ) -> Result<T> {
        interrupt::end_in_order()?;
        let looked = Volumes::new(self.key.open_read_only(&self.store)?);
        let mut below = self.image.read()?;
        for volume in sources.iter().chain([&target]) {
            self.check(&looked, volume)?;
            below.of(&self.store, &looked, volume)?;
        }
        drop(looked);
        let store = self.key.open(&self.store)?;
        let volumes = Volumes::new(store.clone());
        let opened = self.open_all(&volumes, &mut below, target, sources, access);
        let done = opened.and_then(|open| self.change_open(open, access, work));
        let closed = self.store.closed(store.close(), "the change");
        done.and_then(|done| closed.map(|()| done))
    }

    fn open_all(
        &self,
        volumes: &Volumes<AnyStore>,
        below: &mut Below,
        target: &str,
        sources: &BTreeSet<&str>,
        access: Sources,
    ) -> Result<Open> {
        let mut open = Open { target: self.files(volumes, below, target)?, sources: BTreeMap::new() };
        for volume in sources.iter().filter(|volume| **volume != target) {
            let files = match access {
                Sources::Read => {
                    let image = below.of(&self.store, volumes, volume)?;
                    volumes.look(volume, image).map_err(|error| self.explain(error))?
                }
                Sources::Change => self.files(volumes, below, volume)?,
            };
            open.sources.insert((*volume).to_owned(), files);
        }
        Ok(open)
    }

    fn change_open<T>(
        &self,
        mut open: Open,
        access: Sources,
        work: impl FnOnce(&mut Open) -> Result<T>,
    ) -> Result<T> {
        let done = work(&mut open);
        let mut stored = open.target.close();
        if access == Sources::Change {
            // Nothing is removed there that is not durable at the target.
            for files in open.sources.into_values() {
                stored = stored.and(files.close());
            }
        }
        done.and_then(|done| stored.map(|()| done).map_err(|error| self.explain(error)))
    }

    fn change_in<T>(
        &self,
        volumes: &Volumes<AnyStore>,
        below: &mut Below,
        create: bool,
        work: impl FnOnce(&mut Files) -> Result<T>,
    ) -> Result<T> {
        if create && matches!(volumes.info(&self.volume), Err(VolumesError::Missing { .. })) {
            let made = match below.of(&self.store, volumes, &self.volume)? {
                Some(image) => volumes.open_overlay(self.options(&self.volume), image).map(drop),
                None => volumes.create(&self.volume),
            };
            made.map_err(|error| explain(&self.store, volumes, error))?;
        }
        self.check(volumes, &self.volume)?;
        let mut files = self.files(volumes, below, &self.volume)?;
        let done = work(&mut files);
        let stored = files.close().map_err(|error| self.explain(error));
        done.and_then(|done| stored.map(|()| done))
    }

    /// Opens a volume for writing. Changes gather: its end makes them durable together.
    fn files(&self, volumes: &Volumes<AnyStore>, below: &mut Below, volume: &str) -> Result<Files> {
        let files = match below.of(&self.store, volumes, volume)? {
            Some(image) => volumes.files_on(self.options(volume), image),
            None => volumes.files(self.options(volume)),
        };
        files.map_err(|error| self.explain(error))
    }

    fn options(&self, volume: &str) -> Options {
        Options { volume: volume.to_owned(), mode: Mode::Lazy, ..Options::default() }
    }

    fn check(&self, volumes: &Volumes<AnyStore>, volume: &str) -> Result<()> {
        volumes.info(volume).map(drop).map_err(|error| explain(&self.store, volumes, error))
    }

    /// Explains why something cannot be done with the files.
    pub(super) fn explain(&self, error: FilesError) -> anyhow::Error {
        with_room(&self.store, anyhow::Error::new(error).context(self.store.to_string()))
    }
}
