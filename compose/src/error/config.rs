//! Errors of options.

use crate::limits::{MAX_MEMORY_BYTES, MAX_VOLUME_NAME_BYTES, MIN_MEMORY_BYTES};

/// Why an option is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such mode.
    #[error("no mode `{mode}`; use strict, close or lazy")]
    UnknownMode {
        /// The mode.
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
    /// A volume's name has a control character.
    #[error("a volume's name has no control characters, and {name:?} has some; choose another")]
    VolumeCharacters {
        /// The name.
        name: String,
    },
    /// The size of a store in memory is too small or too large.
    #[error(
        "a store in memory has {MIN_MEMORY_BYTES} to {MAX_MEMORY_BYTES} bytes, not {size_bytes}; choose another size"
    )]
    MemorySize {
        /// The size.
        size_bytes: u64,
    },
    /// The name of the directory of the provider `file` is not valid.
    #[error(
        "a preopened directory's name has 1 to {MAX_VOLUME_NAME_BYTES} bytes and no control characters, {path:?} \
         does not; choose another"
    )]
    FilePath {
        /// The name.
        path: String,
    },
    /// The name of the bucket of the provider `keyvalue` is not valid.
    #[error(
        "a bucket's name has at most {MAX_VOLUME_NAME_BYTES} bytes and no control characters, {bucket:?} does not; \
         choose another"
    )]
    Bucket {
        /// The name.
        bucket: String,
    },
    /// The configuration is longer than the adapter's static for it.
    #[error(
        "the configuration has {length_bytes} bytes and the adapter takes {capacity_bytes}; shorten the names of volumes and mounts, or write fewer rules"
    )]
    TooLong {
        /// The length of the text, with the zero that ends it.
        length_bytes: usize,
        /// The size of the static.
        capacity_bytes: u32,
    },
}
