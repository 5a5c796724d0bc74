//! Volumes as wholes: listed, forked, restored, renamed and removed, without being opened.
//!
//! A volume's records lie in layers. The top layer takes the volume's changes; those below are frozen,
//! and any number of volumes may stand on them. So a fork copies nothing: it freezes the top layer, and
//! gives both volumes new ones. `FORMAT.md` has the records and the argument.
//!
//! Every function here is one guarded `apply`, or a few that each leave a sound store. None disturbs a
//! writer, unless it says so: a writer whose top layer was frozen goes on in the new one.
//!
//! ```
//! use kvfs::{Access, At, Clock, Follow, MemoryStore, OpenFlags, Options, Timestamp, Volume, volumes};
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
//! volume.create_directory_at(&root, "before")?;
//! volumes::fork(&mut store, &mut Noon, "main", "try", volumes::Taken::Writable)?;
//!
//! // The writer goes on, and the fork does not see it.
//! volume.create_directory_at(&root, "after")?;
//! let try_it = Options { volume: "try".to_owned(), ..Options::default() };
//! let mut fork = Volume::open(Box::new(store), Box::new(Noon), try_it)?;
//! let fork_root = fork.root()?;
//! assert!(fork.stat_at(&fork_root, "before", Follow::Yes).is_ok());
//! assert!(fork.stat_at(&fork_root, "after", Follow::Yes).is_err());
//! # fork.close(fork_root)?;
//! # volume.close(root)
//! # }
//! ```

// The ground: one change of a store, and what is stored of a volume.
mod change;
mod heads;
mod stored;

// Who changes it.
mod by;

mod building;

mod merge_layers;

mod stand;

mod fork;
mod freeze;
mod garbage;
mod list;
mod remove;
mod rename;
mod restore;

mod check;
mod owned;

mod view;

mod paths;

mod diff;
mod merging;

pub(crate) use by::Writer;
pub use check::{LayersReport, check_layers};
pub(crate) use diff::diff_within;
pub use diff::{Changed, Difference, What, diff};
pub(crate) use fork::fork_by;
pub use fork::{Taken, fork};
pub use freeze::{freeze, thaw};
pub use garbage::{Collected, collect_garbage};
pub use list::{VolumeInfo, info, list};
pub use merge_layers::flatten;
pub use merging::{Conflict, ConflictKind, Doing, Merged, Outcome, Side, merge};
pub(crate) use owned::{SEPARATOR, check_owned, owned};
pub use remove::remove;
pub(crate) use remove::remove_own;
pub use rename::rename;
pub use restore::restore;
pub(crate) use restore::restore_by;
