//! The packed tree that a volume lies on, for commands that open volumes.

use crate::mounted::Images;
use crate::store_url::StoreUrl;
use crate::volume_error::explain;
use anyhow::{Result, bail};
use clap::Args;
use kvfs::image::Image;
use kvfs_host::{SyncStore, Volumes, VolumesError};
use std::path::PathBuf;

// No doc comment: clap would take it for the command's.
#[derive(Args)]
pub(crate) struct ImageArgs {
    /// A component that was composed with a mount `overlay:`, for a volume on its packed tree.
    #[arg(long, value_name = "COMPONENT")]
    image: Option<PathBuf>,
}

/// The images of the component that is named, if one is.
pub(crate) struct Below(Option<Images>);

impl ImageArgs {
    /// Reads the component, if one is named.
    pub(crate) fn read(&self) -> Result<Below> {
        Ok(Below(self.image.as_deref().map(Images::of).transpose()?))
    }
}

impl Below {
    /// Returns the image that a volume is opened on; of a volume that there is not, the one to make it on.
    pub(crate) fn of<S: SyncStore + Clone + 'static>(
        &mut self,
        store: &StoreUrl,
        volumes: &Volumes<S>,
        volume: &str,
    ) -> Result<Option<Image>> {
        let recorded = match volumes.info(volume) {
            Ok(info) => Some(info.image),
            Err(VolumesError::Missing { .. }) => None,
            Err(error) => return Err(explain(store, volumes, error)),
        };
        match (&mut self.0, recorded) {
            (None, None | Some(None)) => Ok(None),
            (None, Some(Some(_))) => bail!(
                "{store}: volume `{volume}` lies on a packed tree; name the component that it was used with: \
                 --image COMPONENT"
            ),
            (Some(_), Some(None)) => {
                bail!("{store}: volume `{volume}` lies on no packed tree; leave --image out")
            }
            (Some(images), Some(Some(id))) => {
                images.by_id(&id, volume)?.map_or_else(|| images.by_name(volume), Ok).map(Some)
            }
            (Some(images), None) => images.by_name(volume).map(Some),
        }
    }
}
