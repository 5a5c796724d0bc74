//! The question for a store at a distance.

use crate::store_url::{Kind, without_secrets};
use crate::{OpenError, StoreAccess};

/// A store at a distance that is to be opened.
#[allow(dead_code, reason = "each kind reads what it distinguishes")]
pub(crate) struct Asked<'u> {
    pub(crate) kind: &'static Kind,
    /// The whole URL.
    pub(crate) url: &'u str,
    /// What follows the scheme.
    pub(crate) rest: &'u str,
    /// To make what is missing at the server.
    pub(crate) create: bool,
    pub(crate) read_only: bool,
    pub(crate) access: Option<StoreAccess>,
}

impl Asked<'_> {
    /// Makes the error for a store that cannot be opened. `source` must hold no secret.
    pub(super) fn failed(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> OpenError {
        OpenError::Distant { place: self.place(), source: source.into() }
    }

    /// Returns the URL without credentials.
    pub(super) fn place(&self) -> String {
        without_secrets(self.url).into_owned()
    }
}
