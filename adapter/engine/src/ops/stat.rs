//! Returns the metadata of objects, and their identities.

use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::stored::record::inode::Inode;
use crate::types::{InodeNo, Stat};
use crate::volume::Volume;
use crate::walking::path::{Ending, Follow, resolve};
use crate::walking::start::Start;
use xxhash_rust::xxh64::xxh64;

/// The result of `metadata-hash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataHash {
    /// The inode number. libc uses it as `st_ino`, so a file must keep it.
    pub lower: u64,
    /// Differs between volumes, and changes with the file's content and metadata.
    pub upper: u64,
}

impl Volume {
    /// Returns the metadata of an open file or directory.
    ///
    /// # Cost
    /// Nothing.
    pub fn stat(&mut self, descriptor: &Descriptor) -> Result<Stat> {
        let ino = descriptor.ino;
        Ok(to_stat(ino, self.begin()?.attributes(ino)?))
    }

    /// Returns the metadata of the object that a path leads to.
    ///
    /// # Cost
    /// Nothing for known names, existing or missing, and known inodes. Else up to one `get` for each.
    /// Inodes that are asked for in the order of a listing, or of their numbers, come many at once.
    pub fn stat_at(&mut self, base: impl Into<Start>, path: &str, follow: Follow) -> Result<Stat> {
        let dir = base.into().directory()?;
        let mut txn = self.begin()?;
        let entry = resolve(&mut txn, dir, path, Ending::Object(follow))?.existing()?;
        Ok(to_stat(entry.ino, txn.attributes_of(entry)?))
    }

    /// Returns the identity and state of an open file or directory in 128 bits.
    ///
    /// # Cost
    /// As [`Volume::stat`].
    pub fn metadata_hash(&mut self, descriptor: &Descriptor) -> Result<MetadataHash> {
        let stat = self.stat(descriptor)?;
        Ok(self.hash(&stat))
    }

    /// As [`Volume::metadata_hash`], for the object that a path leads to.
    ///
    /// # Cost
    /// As [`Volume::stat_at`].
    pub fn metadata_hash_at(
        &mut self,
        base: impl Into<Start>,
        path: &str,
        follow: Follow,
    ) -> Result<MetadataHash> {
        let stat = self.stat_at(base, path, follow)?;
        Ok(self.hash(&stat))
    }

    /// Returns whether two descriptors are open on the same file or directory of this volume.
    pub fn is_same_object(&self, one: &Descriptor, other: &Descriptor) -> bool {
        one.ino == other.ino
    }

    fn hash(&self, stat: &Stat) -> MetadataHash {
        let mut state = [0_u8; 32];
        for (place, number) in state.chunks_exact_mut(8).zip([
            stat.generation,
            stat.size,
            stat.mtime.seconds.cast_unsigned(),
            u64::from(stat.mtime.nanoseconds),
        ]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let seed = xxh64(&self.backing.committed.uuid, stat.ino.0);
        MetadataHash { lower: stat.ino.0, upper: xxh64(&state, seed) }
    }
}

pub(super) fn to_stat(ino: InodeNo, inode: &Inode) -> Stat {
    Stat {
        ino,
        kind: inode.kind,
        nlink: u64::from(inode.nlink),
        size: inode.size,
        atime: inode.atime,
        mtime: inode.mtime,
        ctime: inode.ctime,
        generation: inode.generation,
    }
}
