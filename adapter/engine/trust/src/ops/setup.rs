//! The set-up of a volume, its store, and the image below it.

use super::random::quota;
use crate::model::Model;
use crate::rng::Rng;
use crate::store::{JOURNALLED, LARGE, SMALL};
use kvfs::image::Image;
use kvfs::{
    CacheLimits, Clock, Error, KvStore, Limits, Mode, Options, Quota, Repair, RepairOptions, Report, Scope,
    Scrubbing, Volume,
};
use std::rc::Rc;

/// Bytes that no operation writes.
const SECRET: &[u8] = b"no operation writes this";

/// The set-up of a volume and its store.
#[derive(Debug, Clone)]
pub struct Setup {
    pub limits: Limits,
    pub scan_entries_max: u32,
    pub mode: Mode,
    pub cache: CacheLimits,
    pub max_dirty_bytes: usize,
    pub max_dirty_age_nanoseconds: u64,
    pub extent_bytes: u32,
    pub inline_bytes: u32,
    pub quota: Option<Quota>,
    /// Whether the volume masks secrets. The operations write none, so that nothing else may change.
    pub scrubs: bool,
    /// The image below the volume, if any.
    pub base: Option<Rc<Base>>,
}

impl Setup {
    pub fn random(rng: &mut Rng) -> Self {
        let tiny = CacheLimits { extent_bytes: 2 << 10, inodes: 3, inode_bytes: 100, dentries: 4 };
        let middle = Limits { max_batch_entries: 30, ..LARGE };
        let direct = [SMALL, SMALL, middle, Limits { max_batch_bytes: 64 << 10, ..LARGE }, LARGE];
        let journalled = rng.chance(3);
        let limits = if journalled { rng.pick(&JOURNALLED) } else { rng.pick(&direct) };
        let mut setup = Self {
            limits,
            scan_entries_max: rng.pick(&[u32::MAX, 1, 3]),
            mode: rng.pick(&[Mode::Strict, Mode::Close, Mode::Close, Mode::Lazy, Mode::Lazy]),
            cache: rng.pick(&[tiny, tiny, CacheLimits::default()]),
            max_dirty_bytes: rng.pick(&[1, 3000, 4 << 20]),
            max_dirty_age_nanoseconds: rng.pick(&[u64::MAX, u64::MAX, 20_000_000_000]),
            // Larger extents would not fit every store, and the engine would make them smaller.
            extent_bytes: if journalled { 512 } else { rng.pick(&[512, 512, 4096]) },
            inline_bytes: rng.pick(&[0, 64, 600, 4096]),
            // Usage is exact only where no removal waits for room in a commit.
            quota: (limits == LARGE && rng.chance(2)).then(|| quota(rng)),
            scrubs: false,
            base: None,
        };
        // Not drawn: what was found with earlier draws must stay what it is.
        setup.scrubs = setup.inline_bytes == 64;
        setup
    }

    /// The default options, on a store with large limits.
    pub fn plain() -> Self {
        let options = Options::default();
        Self {
            limits: LARGE,
            scan_entries_max: u32::MAX,
            mode: Mode::Close,
            cache: options.cache,
            max_dirty_bytes: options.max_dirty_bytes,
            max_dirty_age_nanoseconds: u64::MAX,
            extent_bytes: options.extent_bytes,
            inline_bytes: options.inline_bytes,
            quota: None,
            scrubs: false,
            base: None,
        }
    }

    pub fn options(&self) -> Options {
        Options {
            volume: "v".to_owned(),
            mode: self.mode,
            cache: self.cache,
            max_dirty_bytes: self.max_dirty_bytes,
            max_dirty_age_nanoseconds: self.max_dirty_age_nanoseconds,
            extent_bytes: self.extent_bytes,
            inline_bytes: self.inline_bytes,
            quota: self.quota,
            ..Options::default()
        }
    }
}

/// An image and the reference's state of it.
pub struct Base {
    pub image: Image,
    pub bytes: &'static [u8],
    pub model: Model,
    /// The time of the last operation below.
    pub seconds: i64,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base({}, {} objects)", self.image.id(), self.model.objects.len())
    }
}

impl Setup {
    /// Opens the volume, above its image if there is one.
    pub fn open(
        &self,
        store: Box<dyn KvStore>,
        clock: Box<dyn Clock>,
        options: Options,
    ) -> Result<Volume, Error> {
        let mut volume = match &self.base {
            Some(base) => Volume::open_overlay(store, clock, base.image.clone(), options),
            None => Volume::open(store, clock, options),
        }?;
        let mut settings = volume.settings();
        if self.scrubs && settings.scrubbing.is_none() {
            settings.scrubbing = Scrubbing::new([1; 16], &[SECRET], Scope::All).ok();
            volume.set_settings(&settings)?;
        }
        Ok(volume)
    }

    /// Checks the volume, with its image if there is one.
    pub fn fsck(&self, store: &mut dyn KvStore) -> Result<Report, Error> {
        match &self.base {
            Some(base) => kvfs::fsck_overlay(store, "v", base.image.clone()),
            None => kvfs::fsck(store, "v"),
        }
    }

    /// Repairs the volume, above its image if there is one.
    pub fn repair(
        &self,
        store: &mut dyn KvStore,
        clock: &mut dyn Clock,
        options: RepairOptions,
    ) -> Result<Repair, Error> {
        match &self.base {
            Some(base) => kvfs::repair_overlay(store, clock, "v", base.image.clone(), options),
            None => kvfs::repair(store, clock, "v", options),
        }
    }
}
