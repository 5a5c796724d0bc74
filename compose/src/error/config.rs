//! Errors of options.

use kvfs_http_wire::{MAX_TOKEN_CHARS, MIN_TOKEN_CHARS};

use crate::limits::{
    MAX_CACHED_BYTES, MAX_DESCRIPTORS, MAX_DIRTY_BYTES, MAX_MEMORY_BYTES, MAX_OWN_VOLUMES,
    MAX_VOLUME_NAME_BYTES, MIN_CACHED_BYTES, MIN_DESCRIPTORS, MIN_DIRTY_BYTES, MIN_MEMORY_BYTES,
};

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
    /// The limit of open descriptors is out of range.
    #[error(
        "an instance may have {MIN_DESCRIPTORS} to {MAX_DESCRIPTORS} descriptors open, not {descriptors}; choose \
         another number"
    )]
    Descriptors {
        /// The limit.
        descriptors: u32,
    },
    /// The number of snapshots and forks is out of range.
    #[error(
        "a guest may have 1 to {MAX_OWN_VOLUMES} snapshots and forks of each volume, not {volumes}; choose another \
         number"
    )]
    OwnVolumes {
        /// The number.
        volumes: u32,
    },
    /// The limit of the cache is out of range.
    #[error("a cache has {MIN_CACHED_BYTES} to {MAX_CACHED_BYTES} bytes, not {bytes}; choose another size")]
    CachedBytes {
        /// The limit.
        bytes: u64,
    },
    /// The limit of dirty bytes is out of range.
    #[error("{MIN_DIRTY_BYTES} to {MAX_DIRTY_BYTES} bytes may be dirty, not {bytes}; choose another size")]
    DirtyBytes {
        /// The limit.
        bytes: u64,
    },
    /// More may be dirty than cached.
    #[error(
        "{dirty_bytes} bytes are to be dirty at most: no more than the {cached_bytes} that may be cached can be; \
         choose less, or a larger cache"
    )]
    DirtierThanCache {
        /// The limit of dirty bytes.
        dirty_bytes: u64,
        /// The limit of the cache.
        cached_bytes: u64,
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
    /// The URL of a store server is not valid.
    #[error("{url:?} cannot be the URL of a store server: {reason}; write http://HOST:PORT")]
    Server {
        /// The URL.
        url: String,
        /// The fault.
        reason: &'static str,
    },
    /// A text is not the token of a store server. It is not shown.
    #[error(
        "a token has {MIN_TOKEN_CHARS} to {MAX_TOKEN_CHARS} characters, of letters, digits and -._~+/=, and the one \
         given has not; make one with `openssl rand -hex 32`"
    )]
    Token,
    /// The text is no audit log.
    #[error("`{text}` is no audit log; use changes or all, then ,max-bytes=SIZE ,volume=NAME or ,required")]
    Audit {
        /// The text.
        text: String,
    },
    /// The volume of the audit log is mounted, so the guest could reach it.
    #[error("the volume {name:?} takes the audit log and is mounted too; choose another for one of them")]
    AuditVolumeMounted {
        /// The name.
        name: String,
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
