//! A repair under way: what it may do, what it has done, and what it writes with.

use super::writer::Writer;
use crate::fsck::report::write_hex;
use crate::stored::record::superblock::Superblock;
use crate::types::ImageId;
use std::fmt;

/// What a repair may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RepairOptions {
    /// Makes whole what has lost bytes: zeros where an extent is damaged or missing, and what the
    /// extents tell where an inode is. Without it such a file stays as it is, and reading what is
    /// lost stays an error.
    pub accept_loss: bool,
}

/// One thing that a repair has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The key of the record that was changed, made or removed, to the byte.
    pub key: Vec<u8>,
    /// What was done, in words.
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
    /// Notes what is done to the record under `key`.
    pub(super) fn note(&mut self, key: Vec<u8>, what: impl Into<String>) {
        self.fixes.push(Fix { key, what: what.into() });
    }
}
