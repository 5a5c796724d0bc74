//! Quotas: how much a volume may hold. Usage is counted exactly, whether a limit is set or not.
//!
//! This module and [`crate::stored::record::inode::Inode::charged_bytes`] define the charge of each
//! record.

use crate::limits::{INODE_CHARGE_BYTES, NAME_CHARGE_BYTES};
use crate::scrub::Scrubbing;

/// How much a volume may hold. Growth over it is refused, with [`crate::Error::Quota`] where no
/// other error is named. A volume that already holds more keeps it, and every other operation
/// works.
///
/// A volume on an image is charged only for what was made or changed above the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Bytes of files without holes and of link targets, plus [`INODE_CHARGE_BYTES`] for each
    /// inode, plus [`NAME_CHARGE_BYTES`] and its length for each name. `None`: no limit.
    pub bytes: Option<u64>,
    /// Files, directories (the root too) and links. `None`: no limit.
    pub inodes: Option<u64>,
    /// Directory entries: one for each name of a file. `None`: no limit.
    pub names: Option<u64>,
    /// Bytes of the largest file, holes included. A write that begins below the limit is cut short
    /// there; all other growth over it fails with [`crate::Error::FileTooLarge`]. `None`: no limit
    /// but [`crate::limits::MAX_FILE_BYTES`].
    pub file_bytes: Option<u64>,
}

impl Quota {
    /// Returns of each limit the smaller of two.
    pub(crate) fn within(self, other: Self) -> Self {
        let smaller = |limit: Option<u64>, other: Option<u64>| match (limit, other) {
            (Some(limit), Some(other)) => Some(limit.min(other)),
            (limit, other) => limit.or(other),
        };
        Self {
            bytes: smaller(self.bytes, other.bytes),
            inodes: smaller(self.inodes, other.inodes),
            names: smaller(self.names, other.names),
            file_bytes: smaller(self.file_bytes, other.file_bytes),
        }
    }
}

/// Settings of a volume by hosts and tools, for all who open it. No operation of a guest reaches
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Settings {
    /// How much the volume may hold.
    pub quota: Quota,
    /// The secrets to mask, and the files to mask them in; `None` for none.
    pub scrubbing: Option<Scrubbing>,
}

/// The usage of a volume, as its [`Quota`] counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Used {
    /// Bytes of content, of inodes and of names.
    pub bytes: u64,
    /// Inodes, including unlinked ones that are still open.
    pub inodes: u64,
    /// Names.
    pub names: u64,
}

/// The charge of a name, in bytes.
pub(crate) fn name_bytes(name: &str) -> u64 {
    NAME_CHARGE_BYTES.saturating_add(name.len() as u64)
}

impl Used {
    /// The charge of one name.
    pub(crate) fn name(name: &str) -> Self {
        Self { bytes: name_bytes(name), names: 1, ..Self::default() }
    }

    /// The charge of one inode with so many bytes of content.
    pub(crate) fn inode(content_bytes: u64) -> Self {
        Self { bytes: INODE_CHARGE_BYTES.saturating_add(content_bytes), inodes: 1, ..Self::default() }
    }

    /// The sum of two charges.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            inodes: self.inodes.saturating_add(other.inodes),
            names: self.names.saturating_add(other.names),
        }
    }

    /// The difference of two charges, at least zero.
    pub(crate) fn without(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            inodes: self.inodes.saturating_sub(other.inodes),
            names: self.names.saturating_sub(other.names),
        }
    }
}
