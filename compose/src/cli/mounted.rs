//! What a composed component mounts: volumes of a store with the images below them, and directories of the host.

use super::engine_store::EngineStore;
use anyhow::{Context, Result};
use kvfs::image::Image;
use kvfs_compose::{FixedSource, MountAccess, fixed_mounts};
use kvfs_host::AnyStore;

/// A volume of the store that a component mounts.
pub(super) struct MountedVolume {
    pub(super) name: String,
    /// The image below it, for as long as the command runs.
    pub(super) image: Option<Image>,
}

impl MountedVolume {
    /// Lists the volumes of a component; none for one that is not composed.
    pub(super) fn all(component: &[u8]) -> Result<Vec<MountedVolume>> {
        let mut volumes = Vec::new();
        for mount in fixed_mounts(component) {
            let (name, image) = match mount.source {
                FixedSource::Volume { volume } => (volume, None),
                FixedSource::Overlay { image, volume } => {
                    let image = Image::open(image.to_vec().leak());
                    let image = image.with_context(|| format!("the image for {}", mount.path))?;
                    (volume, Some(image))
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
    /// Lists the directories of a component; none for one that is not composed.
    pub(super) fn all(component: &[u8]) -> Vec<MountedDirectory> {
        let directory = |mount: kvfs_compose::FixedMount<'_>| match mount.source {
            FixedSource::Host { preopen, .. } => Some(MountedDirectory {
                path: mount.path,
                preopen,
                read_only: mount.access == MountAccess::ReadOnly,
            }),
            _ => None,
        };
        fixed_mounts(component).into_iter().filter_map(directory).collect()
    }
}
