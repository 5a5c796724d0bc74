//! The packed tree that the named volumes lie on.

use super::at::{At, Opened};
use crate::mounted::Images;
use anyhow::{Result, anyhow};
use clap::Args;
use kvfs::image::Image;
use kvfs_host::VolumesError;
use std::path::PathBuf;

// No doc comment: clap would take it for the command's.
#[derive(Args)]
pub(super) struct Below {
    /// A component that was composed with a mount `overlay:`, for volumes on its packed tree.
    #[arg(long, value_name = "COMPONENT")]
    image: Option<PathBuf>,
}

impl Below {
    /// Reads the component, if one is named.
    pub(super) fn images(&self) -> Result<Option<Images>> {
        self.image.as_deref().map(Images::of).transpose()
    }
}

/// Finds the image of a component that one of these volumes lies on.
pub(super) fn image(
    at: &At,
    images: Option<Images>,
    volumes: &Opened,
    names: [&String; 2],
) -> Result<Option<Image>> {
    let Some(mut images) = images else { return Ok(None) };
    for volume in names {
        let info = volumes.info(volume).map_err(|error| at.explain(volumes, error))?;
        if let Some(id) = &info.image {
            return images.by_id(id, volume)?.map_or_else(|| images.by_name(volume), Ok).map(Some);
        }
    }
    Ok(None)
}

/// Explains why volumes cannot be compared. Whoever named no component is told to.
pub(super) fn explain(at: &At, volumes: &Opened, error: VolumesError) -> anyhow::Error {
    match error {
        VolumesError::Failed { name, source: kvfs::Error::OtherImage(images), .. }
            if images.given.is_none() =>
        {
            anyhow!(
                "{}: volume `{name}`: {images}; name the component that it was used with: --image COMPONENT",
                at.store
            )
        }
        error => at.explain(volumes, error),
    }
}
