//! What a guest may do with the volumes that it mounts, as wholes: commit, snapshot, fork, restore and
//! compare them.
//!
//! A guest names a volume by the path of a mount. Snapshots and forks that it makes are *owned* by that
//! volume: the one that it calls `before` is the volume `main@before` of the store. Nothing here lists,
//! reads, changes or removes another volume: not by its name, since a name alone shows nothing, but by
//! a mark in its identity that it has from its owner. `SEMANTICS.md` says what each function means for
//! the rest of the guest.
//!
//! ```
//! use kvfs::{
//!     Clock, Follow, MemoryStore, MountNo, MountSpec, Mounted, Mounts, Options, Timestamp, Volume, own,
//! };
//!
//! struct Noon;
//! impl Clock for Noon {
//!     fn now(&mut self) -> Timestamp {
//!         Timestamp { seconds: 43_200, nanoseconds: 0 }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::default();
//! let open = move |_| Volume::open(Box::new(store.clone()), Box::new(Noon), Options::default());
//! let root =
//!     MountSpec { path: "/".to_owned(), mounted: Mounted::Volume(0), read_only: false, policy: None };
//! let mut mounts = Mounts::new(vec![root], Box::new(open))?;
//!
//! let here = MountNo(0);
//! let dir = mounts.volume(here)?.root()?;
//! own::snapshot(&mut mounts, "/", "before", 64)?;
//! mounts.volume(here)?.create_directory_at(&dir, "mistake")?;
//! let found = own::diff(&mut mounts, "/", "before")?;
//! assert_eq!(found[0].path, "/mistake");
//!
//! own::restore(&mut mounts, "/", "before")?;
//! assert!(mounts.volume(here)?.stat_at(&dir, "mistake", Follow::No).is_err());
//! # mounts.volume(here)?.close(dir)?;
//! # Ok(())
//! # }
//! ```

mod error;
mod name;

mod volume;

mod compare;
mod entries;
mod restore;
mod take;

pub use compare::diff;
pub use entries::{OwnVolume, entries, remove};
pub use error::OwnError;
pub use restore::restore;
pub use take::{commit, fork, snapshot};
