//! What a volume may hold, and how it is counted: exactly, whether a limit is set or not.
//!
//! This module and [`crate::stored::record::inode::Inode::charged_bytes`] say what is charged for a record.

use crate::limits::{INODE_CHARGE_BYTES, NAME_CHARGE_BYTES};

/// How much a volume may hold. Growth over it is refused with [`crate::Error::Quota`]; what a volume
/// holds already stays, and everything else goes on working.
///
/// Of a volume on an image only what the volume itself has counts: what was made or changed above the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Bytes of files (holes not counted) and of links' targets, [`INODE_CHARGE_BYTES`] for each inode, and
    /// [`NAME_CHARGE_BYTES`] and its length for each name; `None` for no limit.
    pub bytes: Option<u64>,
    /// Files, directories (the root is one) and links; `None` for no limit.
    pub inodes: Option<u64>,
    /// Directory entries: a file has one for each of its names; `None` for no limit.
    pub names: Option<u64>,
}

/// What a volume holds, as its [`Quota`] counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Used {
    /// Bytes of content, of inodes and of names.
    pub bytes: u64,
    /// Inodes, those included that have no name any more and are open.
    pub inodes: u64,
    /// Names.
    pub names: u64,
}

/// Bytes that are charged for a name.
pub(crate) fn name_bytes(name: &str) -> u64 {
    NAME_CHARGE_BYTES.saturating_add(name.len() as u64)
}

impl Used {
    /// A name.
    pub(crate) fn name(name: &str) -> Self {
        Self { bytes: name_bytes(name), names: 1, ..Self::default() }
    }

    /// An inode with so many bytes of content.
    pub(crate) fn inode(content_bytes: u64) -> Self {
        Self { bytes: INODE_CHARGE_BYTES.saturating_add(content_bytes), inodes: 1, ..Self::default() }
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            inodes: self.inodes.saturating_add(other.inodes),
            names: self.names.saturating_add(other.names),
        }
    }

    /// What is left once something goes.
    pub(crate) fn without(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            inodes: self.inodes.saturating_sub(other.inodes),
            names: self.names.saturating_sub(other.names),
        }
    }
}
