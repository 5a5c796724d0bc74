//! Where a composition gets its store from, and the providers that come with the library.

use crate::configure::{ConfigError, configure};
use crate::encode::encode_for;
use crate::error::{ComposeError, one_line};
use crate::guest::{Guest, Outline, STORE};
use crate::names::InterfaceName;
use std::borrow::Cow;

/// The core module of the provider `memory`, as built together with this crate.
///
/// It carries its world in a custom section, as wit-bindgen leaves it.
pub static MEMORY_PROVIDER: &[u8] = include_bytes!(env!("KVFS_PROVIDER_MEMORY_CORE"));

/// The least that [`Provider::Memory`] may hold: a file system with next to nothing in it.
pub const MIN_MEMORY_BYTES: u64 = 64 << 10;

/// The most that [`Provider::Memory`] may hold: of the 4 GiB that a component's memory can have, what
/// calls and answers leave.
pub const MAX_MEMORY_BYTES: u64 = 3 << 30;

/// Where a composition gets its store from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Provider {
    /// The host: `kvfs:store/kv-store` stays an import.
    #[default]
    Host,
    /// The result's own memory; gone with the instance.
    Memory {
        /// The most it may hold, keys and what entries cost beside their bytes included: from
        /// [`MIN_MEMORY_BYTES`] to [`MAX_MEMORY_BYTES`]; 1 GiB unless told. What would be more fails as on
        /// a full disk.
        size_bytes: Option<u64>,
    },
    /// A component that exports `kvfs:store/kv-store`: its bytes. What it imports is imported by the
    /// result.
    Component(Vec<u8>),
}

impl Provider {
    /// Returns the configured core module of a provider that comes with the library.
    pub(crate) fn core(&self) -> Result<Option<Vec<u8>>, ComposeError> {
        match self {
            Self::Memory { size_bytes } => {
                let mut text = String::new();
                if let Some(size_bytes) = *size_bytes {
                    if !(MIN_MEMORY_BYTES..=MAX_MEMORY_BYTES).contains(&size_bytes) {
                        return Err(ConfigError::MemorySize { size_bytes }.into());
                    }
                    text = format!("provider=memory\nsize={size_bytes}\n");
                }
                configure(MEMORY_PROVIDER, &text).map(Some)
            }
            Self::Host | Self::Component(_) => Ok(None),
        }
    }

    /// Returns the component to join with a guest, or none if the store is the host's.
    pub(crate) fn component(&self, guest: &Guest<'_>) -> Result<Option<ProviderComponent<'_>>, ComposeError> {
        let bytes = match (self, self.core()?) {
            (Self::Component(bytes), _) => Cow::Borrowed(bytes.as_slice()),
            (_, Some(core)) => {
                Cow::Owned(encode_for(&core, guest).map_err(|e| bad(one_line(&format!("{e:#}"))))?)
            }
            (_, None) => return Ok(None),
        };
        ProviderComponent::read(bytes).map(Some)
    }
}

/// A component that exports the store.
pub(crate) struct ProviderComponent<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) outline: Outline,
}

impl<'a> ProviderComponent<'a> {
    fn read(bytes: Cow<'a, [u8]>) -> Result<Self, ComposeError> {
        let outline = Outline::read(&bytes).map_err(|e| bad(e.to_string()))?;
        if !outline.is_component {
            return Err(bad("it is a core module".into()));
        }
        if !outline.exports.iter().any(|name| InterfaceName::parse(name).base == STORE) {
            return Err(bad(format!("it exports [{}]", outline.exports.join(", "))));
        }
        Ok(Self { bytes, outline })
    }
}

fn bad(reason: String) -> ComposeError {
    ComposeError::BadProvider { reason }
}
