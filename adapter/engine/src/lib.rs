//! A file system over an ordered key-value store.
//!
//! [`Volume`] is the file system. It opens over any [`KvStore`], four functions on keys and values,
//! and has the operations of `wasi:filesystem` as methods. The crate has no WIT, no clock, no
//! randomness and no I/O but the store, so it runs in a wasm component, a test and a tool alike.
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
//! Beside the sources, `FORMAT.md` describes the bytes in the store, and `SEMANTICS.md` what each
//! operation does and what a cut leaves of it.

// The ground: shared types, limits and errors, and the store.
mod attempts;
mod bytes;
mod descriptor;
mod error;
pub mod limits;
mod memory;
mod options;
mod pattern;
mod place;
mod policy;
mod quota;
mod scrub;
mod sort;
mod store;
mod types;

// The stored bytes: keys, records, images.
mod stored;

// The part of a volume that is in memory.
mod cache;

// The store behind a volume: reads through its layers, guarded applies.
mod backing;

// Loading from there into memory.
mod load;

// The state of a volume: all of this together.
mod volume;

// Storing what is dirty: commits, the journal, garbage.
mod storing;

// Operations as transactions.
mod transaction;

// Walking paths.
mod walking;

// Opening a volume, and the operations, one file each.
mod opening;
mod ops;

// Several volumes as one tree; checking and repairing stored volumes.
mod fsck;
mod mounts;
mod shares;

// Packing volumes into images.
pub mod image;

// Volumes as wholes: forked, restored, removed; and what of them never changes again.
pub mod frozen;
pub mod volumes;

// The same by the guests that have them mounted.
pub mod own;

// For fuzz targets only.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

/// The examples of SEMANTICS.md, executed.
#[cfg(doctest)]
#[doc = include_str!("../SEMANTICS.md")]
struct Semantics;

pub use descriptor::{Access, Descriptor};
pub use error::{Code, Damage, Error, OtherImage, Result};
pub use fsck::{
    Finding, Fix, HalfScrubbed, Invariant, Repair, RepairOptions, Report, fsck, fsck_overlay, repair,
    repair_overlay,
};
pub use memory::MemoryStore;
pub use mounts::{Located, MountSpec, Mounted, Mounts, Opener};
pub use opening::{probe, probe_overlay, set_settings, settings};
pub use ops::{At, DirEntry, DirStream, MetadataHash, OpenFlags};
pub use options::{CacheLimits, DEFAULT_VOLUME, Mode, Options};
pub use pattern::{PathState, PatternError, Patterns};
pub use policy::{Grant, Policy, PolicyError, Rights};
pub use quota::{Quota, Settings, Used};
pub use scrub::{MAX_SECRET_BYTES, MAX_SECRETS, MIN_SECRET_BYTES, Scope, Scrubbing, ScrubbingError};
pub use store::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
pub use types::{Clock, Crossing, InodeNo, Kind, MountNo, SetTime, Stat, Timestamp};
pub use volume::Volume;
pub use walking::path::{Ending, Follow};
pub use walking::start::Start;
pub use walking::steps;
