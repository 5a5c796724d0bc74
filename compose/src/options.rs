//! What is fixed at build time, as lines `key=value`. See `embed` for how a module gets them.

use crate::provider::{MAX_MEMORY_BYTES, MIN_MEMORY_BYTES};
use std::fmt;
use std::str::FromStr;

/// Longest name of a volume, in bytes: its length is one byte in the store's keys.
pub const MAX_VOLUME_NAME_BYTES: usize = 255;

/// When what was written is committed to the store.
///
/// A commit at the end of the program is durable in every mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// With every operation.
    Strict,
    /// With the close of a file and every change of a directory.
    #[default]
    Close,
    /// When much has gathered, on sync, and at the end.
    Lazy,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Close => "close",
            Self::Lazy => "lazy",
        })
    }
}

impl FromStr for Mode {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "strict" => Ok(Self::Strict),
            "close" => Ok(Self::Close),
            "lazy" => Ok(Self::Lazy),
            other => Err(ConfigError::UnknownMode { mode: other.to_owned() }),
        }
    }
}

/// Why options cannot be written into the adapter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such mode.
    #[error("no mode `{mode}`; use strict, close or lazy")]
    UnknownMode {
        /// What was asked for.
        mode: String,
    },
    /// A volume's name is empty or too long.
    #[error(
        "a volume's name has 1 to {MAX_VOLUME_NAME_BYTES} bytes, this one has {length_bytes}; choose another"
    )]
    VolumeLength {
        /// The length of the name.
        length_bytes: usize,
    },
    /// A volume's name has a character that does not print.
    #[error("a volume's name has no control characters, {name:?} has; choose another")]
    VolumeCharacters {
        /// The name.
        name: String,
    },
    /// A store in memory of a size that it cannot have.
    #[error(
        "a store in memory has {MIN_MEMORY_BYTES} to {MAX_MEMORY_BYTES} bytes, not {size_bytes}; choose another size"
    )]
    MemorySize {
        /// What was asked for.
        size_bytes: u64,
    },
    /// The name of the directory of a provider is none.
    #[error(
        "a preopened directory's name has 1 to {MAX_VOLUME_NAME_BYTES} bytes and no control characters, {path:?} \
         does not; choose another"
    )]
    FilePath {
        /// What was asked for.
        path: String,
    },
    /// The name of the bucket of a provider is none.
    #[error(
        "a bucket's name has at most {MAX_VOLUME_NAME_BYTES} bytes and no control characters, {bucket:?} does not; \
         choose another"
    )]
    Bucket {
        /// What was asked for.
        bucket: String,
    },
    /// The text is longer than the adapter's static.
    #[error(
        "the configuration has {length_bytes} bytes and the adapter takes {capacity_bytes}; shorten the names of volumes and mounts"
    )]
    TooLong {
        /// The length of the text, with the zero that ends it.
        length_bytes: usize,
        /// What the adapter has room for.
        capacity_bytes: u32,
    },
}

/// What is fixed in a composition at build time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) mode: Option<Mode>,
    pub(crate) volume: Option<String>,
}

impl Config {
    /// Returns the lines, empty if everything is left at its default.
    pub(crate) fn text(&self) -> Result<String, ConfigError> {
        let mut text = String::new();
        if let Some(mode) = self.mode {
            text += &format!("mode={mode}\n");
        }
        if let Some(name) = &self.volume {
            check_volume(name)?;
            text += &format!("volume={name}\n");
        }
        Ok(text)
    }

    /// Returns the volume that is meant where none is named.
    pub(crate) fn volume(&self) -> &str {
        self.volume.as_deref().unwrap_or(kvfs::DEFAULT_VOLUME)
    }
}

/// Fails unless a volume can have this name.
pub(crate) fn check_volume(name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.len() > MAX_VOLUME_NAME_BYTES {
        return Err(ConfigError::VolumeLength { length_bytes: name.len() });
    }
    if name.chars().any(char::is_control) {
        return Err(ConfigError::VolumeCharacters { name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_volumes_are_checked() {
        let volume = |name: &str| Config { mode: None, volume: Some(name.into()) }.text();
        assert!(volume(&"v".repeat(255)).is_ok());
        assert!(matches!(volume(""), Err(ConfigError::VolumeLength { length_bytes: 0 })));
        assert!(matches!(volume(&"v".repeat(256)), Err(ConfigError::VolumeLength { length_bytes: 256 })));
        assert!(matches!(volume("a\nmode=lazy"), Err(ConfigError::VolumeCharacters { .. })));
        assert!("eager".parse::<Mode>().is_err());
    }
}
