//! The mounts of a composed component: volumes with the images below them, and directories of the
//! host.

use crate::files::read;
use anyhow::{Context, Result, bail};
use kvfs::image::{Image, ImageId};
use kvfs_compose::{FixedMount, FixedSource, MountAccess, fixed_mounts};
use kvfs_host::{EngineStore, SyncStore};
use std::path::{Path, PathBuf};

/// A volume of the store that a component mounts.
pub(crate) struct MountedVolume {
    pub(crate) name: String,
    /// The image below it, for as long as the command runs.
    pub(crate) image: Option<Image>,
}

impl MountedVolume {
    /// Lists the volumes among mounts.
    pub(crate) fn all(mounts: &[FixedMount<'_>]) -> Result<Vec<Self>> {
        let mut volumes = Vec::new();
        for mount in mounts {
            let (name, image) = match &mount.source {
                FixedSource::Volume { volume } => (volume.clone(), None),
                FixedSource::Overlay { image, volume } => {
                    let image = Image::open(image.to_vec().leak());
                    let image = image.with_context(|| format!("the image for {}", mount.path))?;
                    (volume.clone(), Some(image))
                }
                _ => continue,
            };
            volumes.push(Self { name, image });
        }
        Ok(volumes)
    }

    /// Fails if the volume cannot be used. The guest itself would only get an error code.
    pub(crate) fn probe(&self, store: impl SyncStore) -> Result<bool> {
        let mut store = EngineStore(store);
        Ok(match &self.image {
            Some(image) => kvfs::probe_overlay(&mut store, &self.name, image),
            None => kvfs::probe(&mut store, &self.name),
        }?)
    }
}

/// The images of a component that lie below volumes.
pub(crate) struct Images {
    component: PathBuf,
    /// The volume that each was packed for, and whether its content was found to be that of its digest.
    images: Vec<(String, Image, bool)>,
}

impl Images {
    pub(crate) fn of(component: &Path) -> Result<Self> {
        let volumes = MountedVolume::all(&fixed_mounts(&read(component)?))?;
        let images = volumes.into_iter().filter_map(|mounted| Some((mounted.name, mounted.image?, false)));
        Ok(Self { component: component.to_owned(), images: images.collect() })
    }

    /// Returns the image of this identity, if the component has it, for `volume`.
    pub(crate) fn by_id(&mut self, id: &ImageId, volume: &str) -> Result<Option<Image>> {
        let at = self.images.iter().position(|(_, image, _)| image.id() == id);
        at.map(|at| self.verified(at, volume)).transpose()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Returns whether the component has an image below a volume of this name.
    pub(crate) fn has(&self, volume: &str) -> bool {
        self.images.iter().any(|(name, ..)| name == volume)
    }

    /// Returns the image that the component has below a volume of this name.
    pub(crate) fn by_name(&mut self, volume: &str) -> Result<Image> {
        if let Some(at) = self.images.iter().rposition(|(name, ..)| name == volume) {
            return self.verified(at, volume);
        }
        let others: Vec<_> = self.images.iter().map(|(name, ..)| format!("`{name}`")).collect();
        let has = match others.len() {
            0 => "it has none below any volume".to_owned(),
            _ => format!("it has one below {}", others.join(", ")),
        };
        let component = self.component.display();
        bail!(
            "{component}: it was composed with no packed tree below volume `{volume}`; {has} (`kvfs inspect` lists its mounts)"
        )
    }

    /// Returns an image whose content matches its digest: by another tree than the volume was used with,
    /// good records would be taken for bad ones.
    fn verified(&mut self, at: usize, volume: &str) -> Result<Image> {
        let (_, image, verified) = self.images.get_mut(at).context("no such image")?;
        if !*verified {
            image.verify().with_context(|| {
                format!("{}: the image below volume `{volume}`", self.component.display())
            })?;
            *verified = true;
        }
        Ok(image.clone())
    }
}

/// A directory of the host that a component mounts.
pub(crate) struct MountedDirectory {
    /// The guest's path.
    pub(crate) path: String,
    /// The name under which it is preopened.
    pub(crate) preopen: String,
    pub(crate) read_only: bool,
}

impl MountedDirectory {
    /// Lists the directories among mounts.
    pub(crate) fn all(mounts: &[FixedMount<'_>]) -> Vec<Self> {
        let directory = |mount: &FixedMount<'_>| match &mount.source {
            FixedSource::Host { preopen, .. } => Some(Self {
                path: mount.path.clone(),
                preopen: preopen.clone(),
                read_only: mount.access == MountAccess::ReadOnly,
            }),
            _ => None,
        };
        mounts.iter().filter_map(directory).collect()
    }
}
