//! Mounts a volume in a directory of a Linux host, by FUSE.
//!
//! [`mount`] shows a [`Volume`](kvfs::Volume), the file system that guests use, to every program of the
//! host: shells, editors, tar, git, rsync, databases. `README.md` beside the crate says what is kept of
//! what programs ask for, what is not, and what a kill leaves.
//!
//! ```no_run
//! use kvfs::{Clock, MemoryStore, Options, Timestamp, Volume};
//! use kvfs_mount::{MountOptions, mount};
//! use std::path::Path;
//!
//! struct Noon;
//! impl Clock for Noon {
//!     fn now(&mut self) -> Timestamp {
//!         Timestamp { seconds: 43_200, nanoseconds: 0 }
//!     }
//! }
//!
//! # fn main() -> Result<(), kvfs_mount::MountError> {
//! let session = mount(Path::new("/mnt/volume"), MountOptions::default(), || {
//!     let store = Box::new(MemoryStore::default());
//!     Volume::open(store, Box::new(Noon), Options::default())
//! })?;
//! std::fs::write("/mnt/volume/hello.txt", "hello").expect("the volume is mounted");
//! session.unmount()
//! # }
//! ```
//!
//! The crate is empty on other systems than Linux.

#![warn(missing_docs)]
#![cfg(target_os = "linux")]

// The ground: errors, options, and translations between the kernel's words and the volume's.
mod errno;
mod error;
mod names;
mod options;
mod teller;
mod times;

// What the kernel holds: inodes that it knows, files and directories that it has open.
mod handles;
mod known;
mod listing;

// The volume with all of this, and its operations.
mod state;

mod attributes;
mod changes;
mod data;
mod directories;

// The volume's thread, and the kernel's requests to it.
mod worker;

mod filesystem;

// Mounting and unmounting.
mod mountpoint;

mod session;

pub use error::MountError;
pub use options::MountOptions;
pub use session::{Session, Unmounter, mount};
