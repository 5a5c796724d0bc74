//! Errors of options.

use crate::limits::{MAX_MEMORY_BYTES, MAX_VOLUME_NAME_BYTES, MIN_MEMORY_BYTES};

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
