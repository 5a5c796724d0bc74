//! The one volume of the component, opened when it is first used.

use crate::clock::WallClock;
use crate::config;
use crate::store::ImportedStore;
use kvfs::{Error, Result, Volume};
use std::cell::RefCell;

thread_local! {
    static VOLUME: RefCell<Option<Volume>> = const { RefCell::new(None) };
}

/// Does something with the volume. A volume that cannot be opened is tried again the next time: the
/// store may be there then.
pub(crate) fn with<T>(operation: impl FnOnce(&mut Volume) -> Result<T>) -> Result<T> {
    VOLUME.with(|place| {
        // Nothing that runs in here comes back here: the store cannot call the guest or us.
        let mut place = place.try_borrow_mut().map_err(|_| Error::Invalid)?;
        let volume = match &mut *place {
            Some(volume) => volume,
            None => {
                place.insert(Volume::open(Box::new(ImportedStore), Box::new(WallClock), config::options())?)
            }
        };
        operation(volume)
    })
}

/// Does something with the volume, if it was ever used.
pub(crate) fn with_open<T>(operation: impl FnOnce(&mut Volume) -> Result<T>) -> Option<Result<T>> {
    VOLUME.with(|place| place.try_borrow_mut().ok()?.as_mut().map(operation))
}
