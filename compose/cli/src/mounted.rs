//! The mounts of a composed component: volumes with the images below them, and directories of the
//! host.

use anyhow::{Context, Result};
use kvfs::image::Image;
use kvfs_compose::{FixedMount, FixedSource, MountAccess};
use kvfs_host::{EngineStore, SyncStore};

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
