//! A file system over an ordered key-value store.
//!
//! [`Volume`] is the file system: it opens over anything that implements [`KvStore`], four functions
//! on keys and values, and has the operations of `wasi:filesystem` as methods. There is no WIT in it,
//! no clock, no randomness and no I/O but the store, so it runs in a wasm component, in a test and in a
//! tool alike.
//!
//! ```
//! use kvfs::{Access, At, Clock, Follow, MemoryStore, OpenFlags, Options, Timestamp, Volume};
//!
//! struct Noon;
//! impl Clock for Noon {
//!     fn now(&mut self) -> Timestamp {
//!         Timestamp { seconds: 43_200, nanoseconds: 0 }
//!     }
//! }
//!
//! # fn main() -> Result<(), kvfs::Error> {
//! let store = MemoryStore::default();
//! let mut volume = Volume::open(Box::new(store.clone()), Box::new(Noon), Options::default())?;
//! let root = volume.root()?;
//! let create = OpenFlags { create: true, ..OpenFlags::default() };
//! let write = Access { write: true, ..Access::default() };
//! let file = volume.open_at(&root, "hello.txt", Follow::Yes, create, write)?;
//! volume.write(&file, At::End, b"hello")?;
//! volume.close(file)?;
//!
//! // Another opener finds it, and the first one is fenced off.
//! let mut again = Volume::open(Box::new(store), Box::new(Noon), Options::default())?;
//! let root_again = again.root()?;
//! assert_eq!(again.stat_at(&root_again, "hello.txt", Follow::Yes)?.size, 5);
//! assert_eq!(volume.create_directory_at(&root, "late"), Err(kvfs::Error::Fenced));
//! # again.close(root_again)?;
//! # Ok(())
//! # }
//! ```
//!
//! How it keeps its promises is written beside the sources: `FORMAT.md`, what lies in the store, and
//! `SEMANTICS.md`, what each operation does and what a cut leaves of it.

mod backing;
mod bytes;
mod cache;
mod descriptor;
mod error;
mod fsck;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
mod load;
mod memory;
mod mounts;
mod opening;
mod ops;
mod quota;
mod store;
mod stored;
mod storing;
mod transaction;
mod types;
mod volume;
mod walking;

/// The examples of SEMANTICS.md, executed.
#[cfg(doctest)]
#[doc = include_str!("../SEMANTICS.md")]
struct Semantics;

pub use cache::CacheLimits;
pub use descriptor::{Access, Descriptor};
pub use error::{Code, Damage, Error, OtherImage, Result};
pub use fsck::{
    Finding, Fix, Invariant, Repair, RepairOptions, Report, fsck, fsck_overlay, repair, repair_overlay,
};
pub use memory::MemoryStore;
pub use mounts::{ELSEWHERE, Located, MountSpec, Mounts, Opener};
pub use ops::{At, DirEntry, DirStream, MetadataHash, OpenFlags};
pub use quota::{Quota, Used};
pub use store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
pub use stored::image;
pub use types::{Clock, InodeNo, Kind, SetTime, Stat, Timestamp};
pub use volume::mountpoints::{Crossing, MountNo, Start};
pub use volume::{DEFAULT_VOLUME, Mode, Options, Volume, probe, probe_overlay};
pub use walking::path::{Ending, Follow};
