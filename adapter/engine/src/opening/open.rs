//! Opens volumes, making new ones.

use super::checks::check_volume_name;
use super::nothing::{Midnight, NoStore};
use super::take_over::take_over;
use crate::backing::Backing;
use crate::backing::overlay::Lower;
use crate::error::Result;
use crate::options::Options;
use crate::store::KvStore;
use crate::stored::image::Image;
use crate::stored::key::KeySpace;
use crate::stored::record::settings::SettingsRecord;
use crate::types::Clock;
use crate::volume::Volume;
use crate::volume::room::{check_fit, check_limits};

impl Volume {
    /// Opens a volume, and makes an empty one if the store has none of this name.
    ///
    /// The opener becomes the volume's only writer: former openers can store nothing any more, and
    /// are told so.
    ///
    /// # Cost
    /// Four store calls, whatever the volume holds: `get-limits`, `get` (of two keys), `apply`,
    /// `scan`. One more `get` to make a volume. One more `apply` if the options bring another limit
    /// of file sizes than the stored one. More if the former opener was cut off in a commit through
    /// the journal. The first opening of a volume of format minor 2 or older recounts it: one more
    /// `apply`, and `scan`s over all its names.
    ///
    /// # Durability
    /// None of its own: the new epoch is buffered, and durable with the first durable commit.
    ///
    /// # Errors
    /// [`crate::Error::Format`] for a volume that this version cannot use,
    /// [`crate::Error::StoreLimits`] for a store that cannot hold it, [`crate::Error::Invalid`] for
    /// a bad name, [`crate::Error::Damaged`] for a superblock or settings that cannot be read, and
    /// the store's.
    pub fn open(store: Box<dyn KvStore>, clock: Box<dyn Clock>, options: Options) -> Result<Self> {
        Self::open_above(store, clock, None, options)
    }

    /// Opens a volume that lies on an image, and makes one if the store has none of this name. A
    /// new one holds what the image holds; changes go to the store. The sizes in the options do not
    /// count: the image's do.
    ///
    /// A volume can only be opened with the image that it was made on.
    ///
    /// # Cost
    /// As [`Volume::open`], one call less as long as nothing was written to the volume. Until then,
    /// reading from the image costs no call; afterwards, one `get`.
    ///
    /// # Errors
    /// As [`Volume::open`], and [`crate::Error::OtherImage`] for a volume that was made on another
    /// image, or on none; [`crate::Error::Format`] for an image that was packed for a volume of
    /// another name.
    pub fn open_overlay(
        store: Box<dyn KvStore>,
        clock: Box<dyn Clock>,
        image: Image,
        options: Options,
    ) -> Result<Self> {
        Self::open_above(store, clock, Some(image), options)
    }

    /// Opens an image alone, as a volume that takes no changes and has no store. Of the options,
    /// only the cache limits count.
    ///
    /// # Cost
    /// No store calls.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] and [`crate::Error::Format`].
    pub fn open_image(mut image: Image, mut options: Options) -> Result<Self> {
        image.volume().clone_into(&mut options.volume);
        check_volume_name(&options.volume)?;
        let keys = KeySpace::new(&options.volume);
        let (superblock, value) = image.superblock_value()?;
        let limits = NoStore.limits()?;
        let room = check_fit(&superblock, &limits)?;
        let lower = Some(Lower::new(image));
        let committed = (superblock, value.to_vec(), SettingsRecord::default());
        let mut backing = Backing::new(Box::new(NoStore), limits, keys, lower, committed);
        backing.unsynced = false;
        Ok(Self::new(Box::new(Midnight), options, backing, room).fixed())
    }

    fn open_above(
        mut store: Box<dyn KvStore>,
        mut clock: Box<dyn Clock>,
        mut image: Option<Image>,
        options: Options,
    ) -> Result<Self> {
        check_volume_name(&options.volume)?;
        let limits = store.limits()?;
        check_limits(&limits)?;
        let keys = KeySpace::new(&options.volume);
        let taken = take_over(&mut *store, &mut *clock, &keys, &options, &limits, image.as_mut())?;
        let room = check_fit(&taken.superblock, &limits)?;
        let is_read_only = taken.superblock.is_read_only();
        let committed = (taken.superblock, taken.value, taken.settings);
        let mut backing = Backing::new(store, limits, keys, image.map(Lower::new), committed);
        backing.set_chain(&taken.chain);
        let mut volume = Self::new(clock, options, backing, room);
        volume.adopt_scrubbing();
        if is_read_only {
            volume.backing.unsynced = false;
            volume.read_only = true;
            return Ok(volume);
        }
        volume.backing.know_layers(&taken.chain);
        volume.recover_journal()?;
        volume.load_pending()?;
        volume.recount()?;
        if let Some(quota) = volume.options.quota {
            volume.adopt_quota(quota)?;
        }
        Ok(volume)
    }
}
