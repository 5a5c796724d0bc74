//! The files of volumes in a store that is open for reading only.

mod held;

mod files;

pub(crate) use files::{Files, ReadError};

use held::Held;
use kvfs::image::Image;
use kvfs::{CacheLimits, Options, Volume, probe, probe_overlay};
use kvfs_host::{AnyStore, EngineStore, SystemClock, VolumesError};

/// Memory for what is read of a volume.
const CACHE_BYTES: usize = 16 << 20;

/// Opens the files of a volume for reading. Nobody who has it open is disturbed: what opening changes,
/// such as the epoch, is held in memory.
pub(crate) fn look_into(store: &AnyStore, volume: &str, image: Option<Image>) -> Result<Files, VolumesError> {
    let failed = |source| match source {
        kvfs::Error::NoEntry => VolumesError::Missing { name: volume.to_owned() },
        kvfs::Error::Invalid => VolumesError::Name { name: volume.to_owned() },
        source => VolumesError::Failed { doing: "read", name: volume.to_owned(), source },
    };
    let mut held = Held::new(EngineStore(store.clone()));
    let is_there = match &image {
        Some(image) => probe_overlay(&mut held, volume, image),
        None => probe(&mut held, volume),
    };
    if !is_there.map_err(failed)? {
        return Err(failed(kvfs::Error::NoEntry));
    }
    let cache = CacheLimits::of_bytes(CACHE_BYTES);
    let options = Options { volume: volume.to_owned(), cache, ..Options::default() };
    let (store, clock) = (Box::new(held), Box::new(SystemClock));
    let opened = match image {
        Some(image) => Volume::open_overlay(store, clock, image, options),
        None => Volume::open(store, clock, options),
    };
    let mut opened = opened.map_err(failed)?;
    opened.set_read_only(true);
    Files::new(opened).map_err(failed)
}
