//! Who changes volumes: tools of a host, or the writer of a volume, who makes volumes of its own.

use super::stored::StoredVolume;
use crate::error::{Error, Result};
use crate::stored::record::superblock::Superblock;
use xxhash_rust::xxh64::xxh64;

/// The hash that a mark begins with: no other hash of a uuid is made with it.
const MARK_SEED: u64 = u64::from_be_bytes(*b"kvfs own");

/// Bytes of a uuid that are the mark in a volume that is another one's own.
const MARK_BYTES: usize = 8;

/// The open writer of a volume, for one volume of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'n> {
    /// The epoch under which it has its volume open.
    pub(crate) epoch: u64,
    /// What it calls the volume of its own.
    pub(crate) name: &'n str,
}

impl Writer<'_> {
    /// Fails if another opener has taken its volume over.
    pub(crate) fn check_volume(&self, volume: &Superblock) -> Result<()> {
        if volume.epoch == self.epoch { Ok(()) } else { Err(Error::Fenced) }
    }

    /// Fails if its volume has not made the other one under this name. The name alone shows nothing:
    /// a host names volumes as it likes.
    pub(super) fn check_own(&self, volume: &StoredVolume, other: &StoredVolume) -> Result<()> {
        if is_own(&volume.superblock, self.name, &other.superblock) { Ok(()) } else { Err(Error::NoEntry) }
    }

    /// Marks the uuid of a new volume as one of `owner`'s own.
    pub(crate) fn mark(&self, owner: [u8; 16], uuid: &mut [u8; 16]) {
        if let Some(place) = uuid.first_chunk_mut::<MARK_BYTES>() {
            *place = mark_of(owner, self.name);
        }
    }
}

/// Whether `owner` has made a volume as one of its own under this name.
pub(super) fn is_own(owner: &Superblock, name: &str, other: &Superblock) -> bool {
    other.uuid.first_chunk::<MARK_BYTES>() == Some(&mark_of(owner.uuid, name))
}

fn mark_of(owner: [u8; 16], name: &str) -> [u8; MARK_BYTES] {
    xxh64(name.as_bytes(), xxh64(&owner, MARK_SEED)).to_be_bytes()
}
