//! Images: the records of a volume that never changes again, packed into one byte string.
//!
//! An image is read in place, without a store and without a copy: composition puts it into the
//! adapter's memory. [`pack`] makes one of a volume, [`Image`] reads it,
//! [`Volume::open_image`](crate::Volume::open_image) and
//! [`Volume::open_overlay`](crate::Volume::open_overlay) make a file system of it. `FORMAT.md`
//! describes the bytes.
//!
//! ```
//! use kvfs::image::{self, Image};
//! use kvfs::{Access, Clock, Error, Follow, MemoryStore, OpenFlags, Options, Timestamp, Volume};
//!
//! struct Noon;
//! impl Clock for Noon {
//!     fn now(&mut self) -> Timestamp {
//!         Timestamp { seconds: 43_200, nanoseconds: 0 }
//!     }
//! }
//!
//! # fn main() -> Result<(), kvfs::Error> {
//! let mut store = MemoryStore::default();
//! let mut volume = Volume::open(Box::new(store.clone()), Box::new(Noon), Options::default())?;
//! let root = volume.root()?;
//! volume.create_directory_at(&root, "lib")?;
//! volume.close(root)?;
//! volume.sync_all()?;
//!
//! let bytes: &'static [u8] = image::pack(&mut store, "main", "my tree")?.leak();
//! let mut volume = Volume::open_image(Image::open(bytes)?, Options::default())?;
//! let root = volume.root()?;
//! assert!(volume.stat_at(&root, "lib", Follow::Yes).is_ok());
//! assert_eq!(volume.create_directory_at(&root, "more"), Err(Error::ReadOnly));
//! # volume.close(root)
//! # }
//! ```

use crate::backing::chain::Chain;
use crate::backing::overlay::{Layers, move_value};
use crate::error::{Error, Result};
use crate::fsck;
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::store::KvStore;
use crate::stored::image::{Digest, Record, lay_out};
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::journal::Changes;
use crate::stored::record::superblock::Superblock;

pub use crate::stored::image::Image;
pub use crate::types::ImageId;

/// Longest name of an image, in bytes: its length is one byte of the header.
pub const MAX_NAME_BYTES: usize = 255;

/// Packs a volume of a store into an image, under a name for people.
///
/// The bytes depend only on the content of the volume, with inode numbers and times, and on the two
/// names, not on its epoch: the same operations under the same clock give the same image. The
/// volume is not changed.
///
/// # Errors
/// [`Error::Invalid`] for an empty name or one of more than 255 bytes. [`Error::Format`] for a
/// volume that is not at rest (it must be synced, without orphans), that lies on an image itself,
/// or that is too large for an image, which has less than 4 GiB. [`Error::Damaged`] if
/// [`crate::fsck`] finds anything. [`Error::NoEntry`] if there is no such volume. The store's.
///
/// # Cost
/// Reads the volume twice, and holds its content in memory twice.
pub fn pack(store: &mut dyn KvStore, volume: &str, name: &str) -> Result<Vec<u8>> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(Error::Invalid);
    }
    let report = fsck::fsck(store, volume)?;
    if !report.is_clean() {
        return Err(Error::damaged("volume", 0, "a check finds something wrong with it; repair it first"));
    }
    let keys = KeySpace::new(volume);
    let value = store.get(&[keys.superblock()])?.into_iter().next().flatten().ok_or(Error::NoEntry)?;
    let mut superblock = Superblock::decode(keys.superblock(), &value)?;
    if superblock.lower.is_some() {
        return Err(Error::Format("it lies on an image itself"));
    }
    let mut records = read(store, &superblock, &keys)?;
    let (superblock_key, superblock_value) = records.first_mut().ok_or(Error::NoEntry)?;
    superblock.freeze(report.content_bytes);
    *superblock_value = superblock.encode(keys.superblock());
    debug_assert_eq!(superblock_key.as_slice(), [tag::SUPERBLOCK]);

    let mut digest = Digest::new();
    for (key, value) in &records {
        digest.record(key, value);
    }
    superblock.uuid = digest.end();
    if let Some((_, value)) = records.first_mut() {
        *value = superblock.encode(keys.superblock());
    }
    lay_out(&records, volume, name, superblock.uuid)
}

/// Reads all records in order, with keys without the volume's name, the superblock first. Of a volume
/// in layers they become those of one without.
fn read(store: &mut dyn KvStore, superblock: &Superblock, keys: &KeySpace) -> Result<Vec<Record>> {
    let limits = store.limits()?;
    let (max_entries, max_bytes) =
        (READDIR_PAGE_ENTRIES.min(limits.max_batch_entries), READDIR_PAGE_BYTES.min(limits.max_batch_bytes));
    let mut layered = keys.clone();
    Chain::read(store, superblock, keys)?.set_in(&mut layered);
    let mut records = Vec::new();
    let changes = Changes::new();
    for (mut start, end) in layered.record_ranges() {
        loop {
            let layers = Layers::of_store(store, &layered, &changes, limits.max_batch_entries as usize);
            let page = layers.scan(&start, &end, max_entries, max_bytes)?.entries;
            let Some(last) = page.last() else { break };
            start.clone_from(&last.key);
            start.push(0);
            for mut entry in page {
                let (tag, rest) = layered.split_any(&entry.key).unwrap_or((tag::TOMBSTONE, &[]));
                // An image has none: they are for who changes a volume.
                if (tag, rest) == (tag::SETTINGS, &[]) {
                    continue;
                }
                if !matches!(tag, tag::SUPERBLOCK | tag::INODE | tag::DENTRY | tag::EXTENT) {
                    return Err(Error::Format("it is not at rest: sync it, and close what was unlinked"));
                }
                let inner = [&[tag], rest].concat();
                move_value(&entry.key, &keys.outer(&inner), &mut entry.value);
                records.push((inner, entry.value));
            }
        }
    }
    Ok(records)
}
