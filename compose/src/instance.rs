//! Limits of an instance: what the file system of one component may hold, all its volumes together.

use crate::error::ConfigError;
use crate::limits::{
    MAX_CACHED_BYTES, MAX_DESCRIPTORS, MAX_DIRTY_BYTES, MIN_CACHED_BYTES, MIN_DESCRIPTORS, MIN_DIRTY_BYTES,
};
use kvfs::CacheLimits;
use std::fmt::Write;

/// Bounds of one instance of the result: what all its volumes together may hold in memory and open.
/// `None`: the default.
///
/// ```
/// let limits = kvfs_compose::InstanceLimits::default().max_descriptors(100).max_cached_bytes(8 << 20);
/// assert_eq!(limits.max_dirty_bytes, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceLimits {
    /// Descriptors, streams and listings of volumes open at once, 16 to 65,536, which is the default.
    /// Opening more fails with `insufficient-memory`. In directories of the host as many more may be
    /// open, but 512 at most.
    pub max_descriptors: Option<u32>,
    /// Bytes of files, inodes and names that are cached, 1 MiB to 1 GiB, by default 64 MiB. More
    /// makes the file system evict; it never fails. What is open or dirty stays, and may exceed it.
    pub max_cached_bytes: Option<u64>,
    /// Bytes of file data that wait for a commit, 64 KiB to 256 MiB and no more than may be cached,
    /// by default 8 MiB or half of the cache, whichever is less. More makes the file system commit;
    /// it never fails for that. One write, of up to 1 MiB, may exceed it.
    pub max_dirty_bytes: Option<u64>,
}

/// The keys of the lines.
pub(crate) const KEYS: [&str; 3] = ["max-descriptors", "max-cached-bytes", "max-dirty-bytes"];

impl InstanceLimits {
    /// Limits what is open at once.
    pub fn max_descriptors(mut self, descriptors: u32) -> Self {
        self.max_descriptors = Some(descriptors);
        self
    }

    /// Limits what is cached.
    pub fn max_cached_bytes(mut self, bytes: u64) -> Self {
        self.max_cached_bytes = Some(bytes);
        self
    }

    /// Limits what waits for a commit.
    pub fn max_dirty_bytes(mut self, bytes: u64) -> Self {
        self.max_dirty_bytes = Some(bytes);
        self
    }

    /// Returns what is cached at most, the default included.
    pub(crate) fn cached_bytes(&self) -> u64 {
        self.max_cached_bytes.unwrap_or(CacheLimits::DEFAULT_BYTES as u64)
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(descriptors) = self.max_descriptors
            && !(MIN_DESCRIPTORS..=MAX_DESCRIPTORS).contains(&descriptors)
        {
            return Err(ConfigError::Descriptors { descriptors });
        }
        let cached = self.cached_bytes();
        if !(MIN_CACHED_BYTES..=MAX_CACHED_BYTES).contains(&cached) {
            return Err(ConfigError::CachedBytes { bytes: cached });
        }
        match self.max_dirty_bytes {
            Some(bytes) if !(MIN_DIRTY_BYTES..=MAX_DIRTY_BYTES).contains(&bytes) => {
                Err(ConfigError::DirtyBytes { bytes })
            }
            Some(bytes) if bytes > cached => {
                Err(ConfigError::DirtierThanCache { dirty_bytes: bytes, cached_bytes: cached })
            }
            _ => Ok(()),
        }
    }

    /// Returns the lines `key=value` for the adapter.
    pub(crate) fn lines(&self) -> Result<String, ConfigError> {
        self.check()?;
        let usual = kvfs::Options::default().max_dirty_bytes as u64;
        let cached = self.max_cached_bytes;
        let dirty = self.max_dirty_bytes.or(cached.map(|bytes| bytes / 2).filter(|half| *half < usual));
        let mut text = String::new();
        let values = [self.max_descriptors.map(u64::from), cached, dirty];
        for (key, value) in KEYS.iter().zip(values) {
            if let Some(value) = value {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{key}={value}");
            }
        }
        Ok(text)
    }

    /// Reads one of the lines; `None` if the key is no limit, came before, or has no number.
    pub(crate) fn read(&mut self, key: &str, value: &str) -> Option<()> {
        let number: u64 = value.parse().ok()?;
        let is_first = match KEYS.iter().position(|known| *known == key)? {
            0 => self.max_descriptors.replace(number.try_into().ok()?).is_none(),
            1 => self.max_cached_bytes.replace(number).is_none(),
            _ => self.max_dirty_bytes.replace(number).is_none(),
        };
        is_first.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_and_read_alike() {
        let limits =
            InstanceLimits::default().max_descriptors(16).max_cached_bytes(1 << 20).max_dirty_bytes(1 << 20);
        let lines = limits.lines().unwrap();
        assert_eq!(lines, "max-descriptors=16\nmax-cached-bytes=1048576\nmax-dirty-bytes=1048576\n");
        let mut read = InstanceLimits::default();
        for line in lines.lines() {
            let (key, value) = line.split_once('=').unwrap();
            read.read(key, value).unwrap();
            assert_eq!(read.read(key, value), None, "a second line of {key}");
        }
        assert_eq!(read, limits);
        assert_eq!(read.read("max-fuel", "1"), None);
        assert_eq!(InstanceLimits::default().lines().unwrap(), "");
    }

    #[test]
    fn less_cache_alone_leaves_less_dirty() {
        let lines = |bytes| InstanceLimits::default().max_cached_bytes(bytes).lines().unwrap();
        assert_eq!(lines(4 << 20), "max-cached-bytes=4194304\nmax-dirty-bytes=2097152\n");
        assert_eq!(lines(16 << 20), "max-cached-bytes=16777216\n");
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let none = InstanceLimits::default();
        for (limits, part) in [
            (none.max_descriptors(15), "16 to 65536"),
            (none.max_descriptors(65_537), "16 to 65536"),
            (none.max_cached_bytes((1 << 20) - 1), "1048576 to 1073741824"),
            (none.max_cached_bytes((1 << 30) + 1), "1048576 to 1073741824"),
            (none.max_dirty_bytes((64 << 10) - 1), "65536 to 268435456"),
            (none.max_dirty_bytes((256 << 20) + 1), "65536 to 268435456"),
            (none.max_dirty_bytes(65 << 20), "no more than the 67108864"),
            (none.max_cached_bytes(1 << 20).max_dirty_bytes((1 << 20) + 1), "no more than the 1048576"),
        ] {
            let error = limits.lines().unwrap_err().to_string();
            assert!(error.contains(part), "{limits:?}: {error}");
        }
        assert!(
            none.max_descriptors(65_536).max_cached_bytes(1 << 30).max_dirty_bytes(256 << 20).lines().is_ok()
        );
    }
}
