//! What a composed component mounts: volumes of a store with the images below them, and directories of the host.

use super::engine_store::EngineStore;
use anyhow::{Context, Result};
use kvfs::image::Image;
use kvfs_compose::{FixedMount, FixedSource, MountAccess};
use kvfs_host::AnyStore;

/// A volume of the store that a component mounts.
pub(super) struct MountedVolume {
    pub(super) name: String,
    /// The image below it, for as long as the command runs.
    pub(super) image: Option<Image>,
}

impl MountedVolume {
    /// Lists the volumes among mounts.
    pub(super) fn all(mounts: &[FixedMount<'_>]) -> Result<Vec<MountedVolume>> {
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
            volumes.push(MountedVolume { name, image });
        }
        Ok(volumes)
    }

    /// Fails if the volume cannot be used: the guest would be told by error codes only.
    pub(super) fn probe(&self, store: &AnyStore) -> Result<bool> {
        let mut store = EngineStore(store.clone());
        Ok(match &self.image {
            Some(image) => kvfs::probe_overlay(&mut store, &self.name, image),
            None => kvfs::probe(&mut store, &self.name),
        }?)
    }
}

/// A directory of the host that a component mounts.
pub(super) struct MountedDirectory {
    /// The guest's path.
    pub(super) path: String,
    /// The name under which it is preopened.
    pub(super) preopen: String,
    pub(super) read_only: bool,
}

impl MountedDirectory {
    /// Lists the directories among mounts.
    pub(super) fn all(mounts: &[FixedMount<'_>]) -> Vec<MountedDirectory> {
        let directory = |mount: &FixedMount<'_>| match &mount.source {
            FixedSource::Host { preopen, .. } => Some(MountedDirectory {
                path: mount.path.clone(),
                preopen: preopen.clone(),
                read_only: mount.access == MountAccess::ReadOnly,
            }),
            _ => None,
        };
        mounts.iter().filter_map(directory).collect()
    }
}
