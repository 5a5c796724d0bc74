//! The volumes that are checked or repaired, one after the other.

use super::args::FsckArgs;
use crate::busy::Busy;
use crate::mounted::Images;
use crate::volume_args::explain as explain_volume;
use anyhow::{Result, anyhow};
use kvfs::KvStore;
use kvfs::image::Image;
use kvfs::volumes::{self, LayersReport};
use kvfs_host::{AnyStore, EngineStore, SystemClock};

/// What came of the volumes of a store.
pub(super) struct Done<T> {
    /// The volumes and their reports.
    pub(super) volumes: Vec<(String, T)>,
    /// Why volumes could not be checked. Of a single one, this is the error of the command.
    pub(super) failed: Vec<anyhow::Error>,
    /// The report of the layers, unless only one volume is looked at.
    pub(super) layers: Option<LayersReport>,
}

impl<T> Done<T> {
    /// Returns whether there is more than one volume, or may be.
    pub(super) fn is_of_several(&self) -> bool {
        self.layers.is_some() && self.volumes.len() + self.failed.len() > 1
    }
}

/// Why nothing could be looked at.
pub(super) enum Failed {
    /// The store failed, or a volume did in a way that may be its fault.
    Store(kvfs::Error, Option<String>),
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Checks the volumes that the arguments name.
pub(super) fn check(
    args: &FsckArgs,
    images: &mut Option<Images>,
    store: &AnyStore,
) -> Result<Done<kvfs::Report>, Failed> {
    each(args, images, store, |store, name, image| match image {
        Some(image) => kvfs::fsck_overlay(store, name, image),
        None => kvfs::fsck(store, name),
    })
}

/// Repairs the volumes that the arguments name. Those that are sound stay as they are.
pub(super) fn repair(
    args: &FsckArgs,
    images: &mut Option<Images>,
    store: &AnyStore,
) -> Result<Done<kvfs::Repair>> {
    let options = kvfs::RepairOptions { accept_loss: args.key.accepts_loss() };
    let done = each(args, images, store, |store, name, image| match image {
        Some(image) => kvfs::repair_overlay(store, &mut SystemClock, name, image, options),
        None => kvfs::repair(store, &mut SystemClock, name, options),
    });
    done.map_err(|failed| failed.explain(args))
}

impl Failed {
    pub(super) fn explain(self, args: &FsckArgs) -> anyhow::Error {
        match self {
            Self::Store(error, Some(volume)) => explain(args, &volume, error),
            Self::Store(error, None) => {
                anyhow!(error).context(format!("{}: cannot list its volumes", args.store))
            }
            Self::Other(error) => error,
        }
    }
}

fn each<T>(
    args: &FsckArgs,
    images: &mut Option<Images>,
    store: &AnyStore,
    mut look: impl FnMut(&mut EngineStore<AnyStore>, &str, Option<Image>) -> kvfs::Result<T>,
) -> Result<Done<T>, Failed> {
    let mut store = EngineStore(store.clone());
    let names = names(args, &mut store)?;
    let mut done = Done { volumes: Vec::new(), failed: Vec::new(), layers: None };
    let busy = Busy::new("checking");
    for (name, at) in names.iter().zip(1..) {
        if names.len() > 1 {
            busy.counting("checking volumes", at);
        }
        let image = match images {
            Some(images) => image_below(images, &mut store, name, args.volume.is_none()),
            None => Ok(None),
        };
        let looked = image.map(|image| look(&mut store, name, image));
        match looked {
            Ok(Ok(report)) => done.volumes.push((name.clone(), report)),
            // What is wrong with the store is so for all of them.
            Ok(Err(error @ kvfs::Error::Store(_))) => {
                return Err(Failed::Store(error, Some(name.clone())));
            }
            Ok(Err(error @ kvfs::Error::Damaged(_))) if names.len() == 1 => {
                return Err(Failed::Store(error, Some(name.clone())));
            }
            Ok(Err(error)) => done.failed.push(explain(args, name, error)),
            Err(error) => done.failed.push(error),
        }
    }
    if names.len() == 1
        && let Some(error) = done.failed.pop()
    {
        return Err(error.into());
    }
    if args.volume.is_none() {
        done.layers = Some(volumes::check_layers(&mut store).map_err(|error| Failed::Store(error, None))?);
    }
    Ok(done)
}

/// Lists the volumes to look at, those too that have lost their superblocks.
fn names(args: &FsckArgs, store: &mut dyn KvStore) -> Result<Vec<String>, Failed> {
    if let Some(volume) = &args.volume {
        return Ok(vec![volume.clone()]);
    }
    let mut names = Vec::new();
    let listed = volumes::list(store, &mut |name, _| {
        names.push(name.to_owned());
        Ok(())
    });
    let listed = listed.and_then(|()| volumes::check_layers(store));
    names.extend(listed.map_err(|error| Failed::Store(error, None))?.without_superblock);
    if names.is_empty() {
        let store = &args.store;
        return Err(anyhow!(
            "{store}: there is no volume in it, so nothing was checked; `kvfs store info` shows what there is"
        )
        .into());
    }
    Ok(names)
}

/// Finds the image that a volume lies on.
fn image_below(
    images: &mut Images,
    store: &mut dyn KvStore,
    volume: &str,
    others: bool,
) -> Result<Option<Image>> {
    let recorded = volumes::info(store, volume).map(|info| info.image);
    if let Ok(Some(id)) = &recorded
        && let Some(image) = images.by_id(id, volume)?
    {
        return Ok(Some(image));
    }
    // Beside a volume on the image there may be others on none.
    if others && !images.has(volume) && !matches!(recorded, Ok(Some(_))) {
        return Ok(None);
    }
    images.by_name(volume).map(Some)
}

/// Explains an error of the check, and what to do about it.
fn explain(args: &FsckArgs, volume: &str, error: kvfs::Error) -> anyhow::Error {
    let store = &args.store;
    match error {
        kvfs::Error::OtherImage(images) if images.given.is_none() => {
            anyhow!(
                "{store}: {images}; name the component that volume `{volume}` was used with: --image COMPONENT"
            )
        }
        error => explain_volume(store, volume, error, "check"),
    }
}
