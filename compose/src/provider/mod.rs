//! The providers of the store: those that come with the library, and others.

mod contract;
mod server;

use crate::error::{ComposeError, ConfigError, one_line};
use crate::limits::{MAX_MEMORY_BYTES, MAX_VOLUME_NAME_BYTES, MIN_MEMORY_BYTES};
use crate::names::{InterfaceName, STORE};
use crate::wasm::Outline;
use crate::wasm::embed::{configure, read_config};
use contract::STORE_EXPORT;
pub use server::Token;
use std::borrow::Cow;
use std::fmt;
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// The core module of the provider `memory`, as built together with this crate.
///
/// A custom section of it, written by wit-bindgen, has its world.
pub static MEMORY_PROVIDER: &[u8] = include_bytes!(env!("KVFS_PROVIDER_MEMORY_CORE"));

/// The core module of the provider `file`, as [`MEMORY_PROVIDER`].
pub static FILE_PROVIDER: &[u8] = include_bytes!(env!("KVFS_PROVIDER_FILE_CORE"));

/// The core module of the provider `keyvalue`, as [`MEMORY_PROVIDER`].
pub static KEYVALUE_PROVIDER: &[u8] = include_bytes!(env!("KVFS_PROVIDER_KEYVALUE_CORE"));

/// The core module of the provider `http`, as [`MEMORY_PROVIDER`].
pub static HTTP_PROVIDER: &[u8] = include_bytes!(env!("KVFS_PROVIDER_HTTP_CORE"));

/// The default name under which the host preopens the directory of [`Provider::File`].
pub const DEFAULT_FILE_PATH: &str = "/kvfs";

/// The source of the store of a composition.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Provider {
    /// The host: `kvfs:store/kv-store` stays an import.
    #[default]
    Host,
    /// The result's own memory: gone with the instance.
    Memory {
        /// Most bytes of keys, values and the overhead of entries, from [`MIN_MEMORY_BYTES`] to
        /// [`MAX_MEMORY_BYTES`]; 1 GiB by default. Writes beyond it fail as on a full disk.
        size_bytes: Option<u64>,
    },
    /// A directory that the host preopens when it runs the result, as with
    /// `wasmtime run --dir STATE::/kvfs`. The result imports `wasi:filesystem` for it, and
    /// `wasi:random`; the guest never sees the directory. `kvfs_host` opens it as a store too.
    File {
        /// The name under which it is preopened; [`DEFAULT_FILE_PATH`] by default. It has no
        /// control characters and at most [`MAX_VOLUME_NAME_BYTES`]
        /// bytes.
        path: Option<String>,
        /// Opens a store that has lost what was durable, with what is left, each time. False by
        /// default: every call for a file then fails. A way to go on after a loss, and not to stay.
        accept_loss: bool,
    },
    /// A bucket of the host's `wasi:keyvalue` 0.2.0-draft, which the result imports. The host
    /// decides how long it keeps the values: `wasmtime run -S keyvalue` forgets them when the
    /// program ends.
    Keyvalue {
        /// The host's name of the bucket; empty by default, which is wasmtime's only one. It has no
        /// control characters and at most [`MAX_VOLUME_NAME_BYTES`]
        /// bytes.
        bucket: Option<String>,
    },
    /// A store that `kvfs store-server` keeps, perhaps on another machine. The result imports
    /// `wasi:http` for it.
    Http {
        /// The server's URL: `http://HOST[:PORT][/PATH]`, or `https://…` where TLS is in front of
        /// it.
        server: String,
        /// What the server asks for. **The result contains it**: who has the result has the store.
        /// The guest cannot read it.
        token: Token,
    },
    /// The bytes of a component that exports `kvfs:store/kv-store`. The result has its imports.
    Component(Vec<u8>),
}

impl Provider {
    /// Returns the configured core module of a provider that comes with the library.
    pub(crate) fn core(&self) -> Result<Option<Vec<u8>>, ComposeError> {
        match self {
            Self::Memory { size_bytes } => {
                if let Some(size_bytes) = *size_bytes
                    && !(MIN_MEMORY_BYTES..=MAX_MEMORY_BYTES).contains(&size_bytes)
                {
                    return Err(ConfigError::MemorySize { size_bytes }.into());
                }
                configure(MEMORY_PROVIDER, &self.config()).map(Some)
            }
            Self::File { path, .. } => {
                let unfit = |path: &String| {
                    path.is_empty()
                        || path.len() > MAX_VOLUME_NAME_BYTES
                        || path.chars().any(char::is_control)
                };
                if let Some(path) = path.as_ref().filter(|path| unfit(path)) {
                    return Err(ConfigError::FilePath { path: path.clone() }.into());
                }
                configure(FILE_PROVIDER, &self.config()).map(Some)
            }
            Self::Keyvalue { bucket } => {
                let unfit = |bucket: &String| {
                    bucket.len() > MAX_VOLUME_NAME_BYTES || bucket.chars().any(char::is_control)
                };
                if let Some(bucket) = bucket.as_ref().filter(|bucket| unfit(bucket)) {
                    return Err(ConfigError::Bucket { bucket: bucket.clone() }.into());
                }
                configure(KEYVALUE_PROVIDER, &self.config()).map(Some)
            }
            Self::Http { server, .. } => {
                server::check_url(server)?;
                configure(HTTP_PROVIDER, &self.config()).map(Some)
            }
            Self::Host | Self::Component(_) => Ok(None),
        }
    }

    /// Writes the configuration of a provider that comes with the library: lines `key=value`.
    pub(crate) fn config(&self) -> String {
        let line = |key: &str, value: Option<String>| {
            value.map_or_else(String::new, |value| format!("{key}={value}\n"))
        };
        match self {
            Self::Memory { size_bytes } => {
                "provider=memory\n".to_owned() + &line("size", size_bytes.map(|size| size.to_string()))
            }
            Self::File { path, accept_loss } => {
                let accepts = accept_loss.then(|| "true".to_owned());
                "provider=file\n".to_owned() + &line("path", path.clone()) + &line("accept-loss", accepts)
            }
            Self::Keyvalue { bucket } => "provider=keyvalue\n".to_owned() + &line("bucket", bucket.clone()),
            Self::Http { server, token } => {
                let (server, token) = (Some(server.clone()), Some(token.secret().to_owned()));
                "provider=http\n".to_owned() + &line("server", server) + &line("token", token)
            }
            Self::Host | Self::Component(_) => String::new(),
        }
    }

    /// Returns true for a component that does not come with the library.
    pub(crate) fn is_of_its_own(&self) -> bool {
        matches!(self, Self::Component(_))
    }

    /// Returns the provider of the library that a component is, byte for byte.
    fn recognised(bytes: &[u8]) -> Option<Self> {
        let modules =
            Parser::new(0).parse_all(bytes).map_while(Result::ok).filter_map(|payload| match payload {
                Payload::ModuleSection { unchecked_range: range, .. } => {
                    read_config(bytes.get(range.start as usize..range.end as usize)?)
                }
                _ => None,
            });
        let claimed = modules.map(|text| Self::of_config(&text)).next()??;
        let made = claimed.to_component().ok()??;
        if made == bytes { Some(claimed) } else { None }
    }

    /// Replaces the bytes of a component that comes with the library by its variant.
    pub(crate) fn by_name(self) -> Self {
        match self {
            Self::Component(bytes) => Self::recognised(&bytes).unwrap_or(Self::Component(bytes)),
            other => other,
        }
    }

    /// Reads the configuration of a provider that comes with the library.
    pub(crate) fn of_config(config: &str) -> Option<Self> {
        let value = |key: &str| config.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        match value("provider")? {
            "memory" => Some(Self::Memory { size_bytes: value("size").and_then(|size| size.parse().ok()) }),
            "file" => Some(Self::File {
                path: value("path").map(str::to_owned),
                accept_loss: value("accept-loss") == Some("true"),
            }),
            "keyvalue" => Some(Self::Keyvalue { bucket: value("bucket").map(str::to_owned) }),
            "http" => {
                Some(Self::Http { server: value("server")?.to_owned(), token: value("token")?.parse().ok()? })
            }
            _ => None,
        }
    }

    /// Returns the provider as a component, after checking its exports; `None` for
    /// [`Provider::Host`].
    ///
    /// # Errors
    ///
    /// [`ComposeError::BadProvider`] and [`ComposeError::Config`].
    pub fn to_component(&self) -> Result<Option<Vec<u8>>, ComposeError> {
        Ok(self.component()?.map(|provider| provider.bytes.into_owned()))
    }

    /// Returns the component to join with a guest; `None` for [`Provider::Host`].
    pub(crate) fn component(&self) -> Result<Option<ProviderComponent<'_>>, ComposeError> {
        let encode = |core: &[u8]| ComponentEncoder::default().validate(false).module(core)?.encode();
        let bytes = match (self, self.core()?) {
            (Self::Component(bytes), _) => Cow::Borrowed(bytes.as_slice()),
            (_, Some(core)) => Cow::Owned(encode(&core).map_err(|e| bad(one_line(&format!("{e:#}"))))?),
            (_, None) => return Ok(None),
        };
        ProviderComponent::read(bytes).map(Some)
    }
}

impl fmt::Display for Provider {
    /// Writes where the store is, and what a host has to provide for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => write!(f, "the host's, by {STORE_EXPORT}"),
            Self::Memory { size_bytes } => {
                f.write_str("in the component's memory, gone with it")?;
                size_bytes.map_or(Ok(()), |size_bytes| write!(f, ", of at most {size_bytes} bytes"))
            }
            Self::File { path, .. } => {
                let path = path.as_deref().unwrap_or(DEFAULT_FILE_PATH);
                write!(f, "in a directory that the host preopens as {path}: run it with --dir STATE::{path}")
            }
            Self::Keyvalue { bucket } => {
                f.write_str("in a bucket of the host's wasi:keyvalue")?;
                match bucket.as_deref().unwrap_or_default() {
                    "" => f.write_str(": run it with -S keyvalue"),
                    bucket => write!(f, ", which must have one `{bucket}`"),
                }
            }
            Self::Http { server, .. } => {
                write!(f, "kept by the store server at {server}: run it with -S http")
            }
            Self::Component(_) => f.write_str("in the component, by a provider of its own"),
        }
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
        match outline.exports.iter().find(|name| InterfaceName::parse(name).base == STORE) {
            Some(name) if name == STORE_EXPORT => {}
            Some(name) => return Err(bad(format!("it exports {name}, another version"))),
            None => return Err(bad(format!("it exports [{}]", outline.exports.join(", ")))),
        }
        contract::check(&bytes).map_err(bad)?;
        Ok(Self { bytes, outline })
    }
}

fn bad(reason: String) -> ComposeError {
    ComposeError::BadProvider { reason }
}
