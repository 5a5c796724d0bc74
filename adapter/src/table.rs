//! The table of mounts of the component, made at the first use of a file.

use crate::audit;
use crate::clock::WallClock;
use crate::config::{self, Config, Source};
use kvfs::image::Image;
use kvfs::{Error, MountNo, Mounts, Options, Result, Volume};
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

thread_local! {
    /// Never dropped: components end without dropping.
    static MOUNTS: RefCell<Option<ManuallyDrop<Mounts>>> = const { RefCell::new(None) };
    static FAILURE: Cell<Option<Error>> = const { Cell::new(None) };
}

/// Does something with the table.
#[inline(always)]
pub(crate) fn with<T>(operation: impl FnOnce(&mut Mounts) -> Result<T>) -> Result<T> {
    MOUNTS.with(|place| {
        // Never entered again from within: the store cannot call the guest or us.
        let mut place = place.try_borrow_mut().map_err(|_| Error::Invalid)?;
        let mounts = match &mut *place {
            Some(mounts) => mounts,
            None => set_up(&mut place)?,
        };
        operation(mounts)
    })
}

/// Does something with the volume of a mount.
#[inline(always)]
pub(crate) fn with_volume<T>(mount: MountNo, operation: impl FnOnce(&mut Volume) -> Result<T>) -> Result<T> {
    with(|mounts| operation(mounts.volume(mount)?))
}

/// Closes something that is dropped. A drop cannot report a failure: the volume's next change does.
pub(crate) fn let_go(mount: MountNo, close: impl FnOnce(&mut Volume) -> Result<()>) {
    MOUNTS.with(|place| {
        if let Ok(mut place) = place.try_borrow_mut()
            && let Some(volume) = place.as_mut().and_then(|mounts| mounts.opened(mount))
        {
            let outcome = close(volume);
            if let Err(error) = &outcome {
                audit::drop_failed(error);
            }
            volume.tell_later(outcome);
        }
    });
}

/// Returns how many descriptors, streams and listings are open in volumes.
#[cfg(feature = "host-mounts")]
fn open_descriptors() -> u32 {
    // Nothing asks while an operation on a volume is under way.
    let count = |place: &RefCell<Option<ManuallyDrop<Mounts>>>| {
        place.try_borrow().map(|place| place.as_ref().map_or(0, |mounts| mounts.open_descriptors()))
    };
    MOUNTS.with(count).unwrap_or(u32::MAX)
}

/// Stores everything, durably.
pub(crate) fn sync_all() -> Result<()> {
    let outcome = MOUNTS.with(|place| match place.try_borrow_mut() {
        Ok(mut place) => place.as_mut().map_or(Ok(()), |mounts| mounts.sync_all()),
        Err(_) => Err(Error::Invalid),
    });
    FAILURE.set(outcome.clone().err());
    outcome
}

/// Returns the error of the last [`sync_all`], if it failed.
pub(crate) fn failure() -> Option<Error> {
    FAILURE.take()
}

/// Makes the table. Not inlined: every exported call would have a copy.
#[cold]
#[inline(never)]
fn set_up(place: &mut Option<ManuallyDrop<Mounts>>) -> Result<&mut ManuallyDrop<Mounts>> {
    let config = config::get()?;
    let open = move |number: usize| {
        let source = config.sources.get(number).ok_or(Error::Invalid)?;
        let volume = open(source, config, config.options(number))?;
        audit::mask(&volume, config);
        Ok(volume)
    };
    #[cfg_attr(not(feature = "host-mounts"), expect(unused_mut))]
    let mut mounts = Mounts::new(config.mounts.clone(), Box::new(open))?;
    #[cfg(feature = "host-mounts")]
    {
        mounts.count_outside(crate::host_slot::count);
        crate::host_slot::count_volumes(open_descriptors);
    }
    Ok(place.insert(ManuallyDrop::new(mounts)))
}

fn open(source: &Source, config: &Config, options: Options) -> Result<Volume> {
    match source {
        Source::Kv { .. } => Volume::open(audit::store(config), Box::new(WallClock), options),
        Source::Image { image } => Volume::open_image(image_at(image.clone())?, options),
        Source::Overlay { image, .. } => {
            let image = image_at(image.clone())?;
            Volume::open_overlay(audit::store(config), Box::new(WallClock), image, options)
        }
    }
}

fn image_at(range: std::ops::Range<usize>) -> Result<Image> {
    let blob = kvfs_wasm_config::image().unwrap_or_default();
    Image::open(blob.get(range).ok_or(Error::Format("the image is not where the table of mounts says"))?)
}
