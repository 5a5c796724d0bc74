//! A repair under way: its options, its fixes, and its writer.

use super::writer::Writer;
use crate::fsck::report::write_hex;
use crate::stored::record::superblock::Superblock;
use crate::types::ImageId;
use std::fmt;

/// Options of a repair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RepairOptions {
    /// Completes files that have lost bytes: zeros for damaged or missing extents, and a new inode
    /// by the extents for a lost one. Without it such a file is not changed, and reading its lost
    /// part stays an error.
    pub accept_loss: bool,
}

/// One change of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The key of the record that was changed, made or removed.
    pub key: Vec<u8>,
    /// The change, in words.
    pub what: String,
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repaired key ")?;
        write_hex(f, &self.key)?;
        write!(f, ": {}", self.what)
    }
}

/// The image below the volume that is repaired.
pub(super) struct Below {
    pub(super) id: ImageId,
    pub(super) superblock: Superblock,
}

/// A repair under way.
pub(super) struct Work<'s> {
    pub(super) writer: Writer<'s>,
    pub(super) options: RepairOptions,
    pub(super) fixes: Vec<Fix>,
}

impl Work<'_> {
    /// Notes what was done to the record under `key`.
    pub(super) fn note(&mut self, key: Vec<u8>, what: impl Into<String>) {
        self.fixes.push(Fix { key, what: what.into() });
    }
}
