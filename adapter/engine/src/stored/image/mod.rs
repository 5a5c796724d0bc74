//! Images: the records of a volume that will never change again, packed into one string of bytes.
//!
//! An image is read where it lies, without a store and without a copy: composition places it in the
//! adapter's memory. [`pack`] makes one of a volume, [`Image`] reads it,
//! [`Volume::open_image`](crate::Volume::open_image) and [`Volume::open_overlay`](crate::Volume::open_overlay)
//! make a file system of it. `FORMAT.md` has the bytes.
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

mod read;
mod write;

pub use read::Image;
pub use write::{NAME_BYTES_MAX, pack};
#[cfg(feature = "fuzzing")]
pub(crate) use {read::reseal, write::lay_out};

use std::fmt;

/// Starts every image.
const MAGIC: [u8; 8] = *b"kvfs\x00im\x01";

/// Raised when older versions cannot read the layout.
const FORMAT: u16 = 1;

/// Bytes of the header before the names.
const HEADER_BYTES: usize = 48;

/// Bytes of the header that its checksum covers, together with the names.
const HEADER_SUMMED_BYTES: usize = 40;

/// Records of a block, but of the last one, which may have fewer: a search reads one block to its end,
/// and checks it once.
const BLOCK_RECORDS: usize = 32;

/// Bytes of the table of blocks for each.
const BLOCK_ENTRY_BYTES: usize = 16;

/// Bytes of a block for each record, before the keys.
const RECORD_ENTRY_BYTES: usize = 10;

/// Tells images apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageId {
    /// What people call it, up to 255 bytes. Nothing is decided by it.
    pub name: String,
    /// 128 bits of the content: two XXH64 with different seeds. It tells trees apart that differ by
    /// accident, not ones that someone made alike.
    pub digest: [u8; 16],
}

impl ImageId {
    /// The start of the digest, as people are shown it.
    pub fn short_digest(&self) -> String {
        self.digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for ImageId {
    /// The name, and the start of the digest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.name.escape_debug(), self.short_digest())
    }
}
