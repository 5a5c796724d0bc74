//! Checks before a volume is opened: of its name, its superblock, and its image.

use crate::error::{Error, OtherImage, Result};
use crate::limits::MAX_VOLUME_NAME_BYTES;
use crate::store::KvStore;
use crate::stored::image::Image;
use crate::stored::key::KeySpace;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::Superblock;
use crate::types::{ImageId, InodeNo};

/// Fails unless a volume can have this name.
pub(crate) fn check_volume_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_VOLUME_NAME_BYTES || name.contains('\0') {
        return Err(Error::Invalid);
    }
    Ok(())
}

/// Fails if a volume has lost its superblock: making a new volume would bury the rest. Returns whether
/// the name is free: others may live on the records of a volume that had it.
pub(super) fn check_new(store: &mut dyn KvStore, keys: &KeySpace) -> Result<bool> {
    let mut root = Vec::new();
    keys.inode(InodeNo::ROOT, &mut root);
    let mut values = store.get(&[&root, &keys.own_layer().header()])?.into_iter();
    let (root, layer) = (values.next().flatten(), values.next().flatten());
    if root.is_some() && layer.is_none() {
        return Err(Error::damaged("superblock", 0, "missing, though there is a root; a repair can make it"));
    }
    Ok(layer.is_none())
}

/// The stored values that describe a volume as a whole: its superblock and its settings.
pub(super) struct Heads {
    pub(super) superblock: Option<Vec<u8>>,
    settings: Option<Vec<u8>>,
}

impl Heads {
    /// # Cost
    /// One `get`.
    pub(super) fn read(store: &mut dyn KvStore, keys: &KeySpace) -> Result<Self> {
        let mut values = store.get(&[keys.superblock(), &keys.settings()])?.into_iter();
        let (superblock, settings) = (values.next().flatten(), values.next().flatten());
        Ok(Self { superblock, settings })
    }

    /// Returns the settings, of which the superblock tells so. Fails if they are not those, or if
    /// this version does not know all that a writer must.
    pub(super) fn settings(&self, keys: &KeySpace, superblock: &Superblock) -> Result<SettingsRecord> {
        let generation = superblock.settings;
        let settings = SettingsRecord::of_volume(&keys.settings(), self.settings.as_deref(), generation)?;
        settings.check_known(true).map(|()| settings)
    }
}

/// Decodes a superblock, and refuses a volume that this version cannot write to, or not above this
/// image.
pub(super) fn decode_usable(key: &[u8], value: &[u8], image: Option<&ImageId>) -> Result<Superblock> {
    let superblock = Superblock::decode(key, value)?;
    check_usable(&superblock, image).map(|()| superblock)
}

/// Refuses an image that was packed for a volume of another name, which its checksums cover.
pub(crate) fn check_same_name(image: &Image, volume: &str) -> Result<()> {
    if image.volume() == volume {
        return Ok(());
    }
    Err(Error::Format("the image was packed for a volume of another name; pack it for this one"))
}

/// Refuses a volume that lies on another image than this one.
pub(crate) fn check_image(superblock: &Superblock, image: Option<&ImageId>) -> Result<()> {
    let recorded = superblock.lower.as_ref().map(|lower| &lower.image);
    // The image's name is for people only.
    if recorded.map(|image| image.digest) != image.map(|image| image.digest) {
        let (recorded, given) = (recorded.cloned(), image.cloned());
        return Err(Error::OtherImage(Box::new(OtherImage { recorded, given })));
    }
    Ok(())
}

/// Refuses a volume that this version cannot write to, or not above this image.
pub(crate) fn check_usable(superblock: &Superblock, image: Option<&ImageId>) -> Result<()> {
    check_image(superblock, image)?;
    if superblock.frozen {
        return Err(Error::Format("it is frozen: an image that others lie on takes no writer"));
    }
    Ok(())
}
