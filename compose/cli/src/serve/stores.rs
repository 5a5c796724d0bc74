//! The store that pages show: opened again from time to time, so that they show what is there.

use super::answer::Refused;
use crate::mounted::Images;
use crate::sealing::KeyArgs;
use crate::store_url::StoreUrl;
use crate::terminal::with_causes;
use crate::volume_error::explain;
use anyhow::Result;
use hyper::StatusCode;
use kvfs::image::Image;
use kvfs_host::{AnyStore, Files, FilesError, Volumes, VolumesError};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A store that is open for longer is opened again before it is shown.
const FRESH: Duration = Duration::from_secs(2);

/// So many times as long as opening takes, it stays open: opening must not be most of the work.
const OPENING_SHARE: u32 = 20;

/// How to open the store, and the last time that it was.
pub(super) struct Stores {
    url: StoreUrl,
    key: KeyArgs,
    images: Option<Mutex<Images>>,
    open: Mutex<Open>,
}

struct Open {
    store: AnyStore,
    since: Instant,
    took: Duration,
}

/// The volumes of the store at one moment.
pub(super) type Shown = Volumes<AnyStore>;

/// The store at one moment.
pub(super) struct Moment<'s> {
    stores: &'s Stores,
    pub(super) volumes: Shown,
}

impl Stores {
    pub(super) fn new(url: &StoreUrl, key: KeyArgs, component: Option<&Path>) -> Result<Self> {
        let images = component.map(Images::of).transpose()?.map(Mutex::new);
        let open = Mutex::new(Open::new(url, &key)?);
        Ok(Self { url: url.clone(), key, images, open })
    }

    pub(super) fn url(&self) -> String {
        self.url.to_string()
    }

    /// Returns the store as it is, or was a moment ago.
    pub(super) fn now(&self) -> Result<Moment<'_>, Refused> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.since.elapsed() > FRESH.max(open.took * OPENING_SHARE) {
            *open = Open::new(&self.url, &self.key)
                .map_err(|error| Refused::new(StatusCode::SERVICE_UNAVAILABLE, with_causes(&error)))?;
        }
        Ok(Moment { stores: self, volumes: Volumes::new(open.store.clone()) })
    }
}

impl Open {
    fn new(url: &StoreUrl, key: &KeyArgs) -> Result<Self> {
        let since = Instant::now();
        let store = key.open_to_read(url)?;
        Ok(Self { store, since, took: since.elapsed() })
    }
}

impl Moment<'_> {
    /// Opens the files of a volume.
    pub(super) fn files(&self, volume: &str) -> Result<Files, Refused> {
        let image = self.image(volume)?;
        self.volumes.look(volume, image).map_err(|error| refuse_files(&error))
    }

    /// The image that a volume lies on, if the component with it was named.
    pub(super) fn image(&self, volume: &str) -> Result<Option<Image>, Refused> {
        let info = self.volumes.info(volume).map_err(|error| self.refuse(error))?;
        let (Some(id), Some(images)) = (&info.image, &self.stores.images) else { return Ok(None) };
        let mut images = images.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, with_causes(&error));
        images.by_id(id, volume).map_err(failed)
    }

    /// Explains why something cannot be shown.
    pub(super) fn refuse(&self, error: VolumesError) -> Refused {
        let status = match &error {
            VolumesError::Missing { .. } | VolumesError::Name { .. } => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refused::new(status, with_causes(&explain(&self.stores.url, &self.volumes, error)))
    }
}

/// Explains why files cannot be shown.
pub(super) fn refuse_files(error: &FilesError) -> Refused {
    use kvfs::Error;
    let status = match error.in_volume() {
        Some(Error::NoEntry | Error::NotDirectory | Error::NameTooLong) => StatusCode::NOT_FOUND,
        Some(Error::NotPermitted) => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refused::new(status, error.to_string())
}
