//! The files of a volume by path, for hosts and tools without a guest.
//!
//! [`Files`] works on a [`Volume`](kvfs::Volume), the file system that guests use: with its crash
//! safety, its modes and its limits. Paths start at the volume's root and never leave it, by `..` or
//! by a symbolic link.
//!
//! ```
//! use kvfs::{Clock, MemoryStore, Options, Timestamp, Volume};
//! use kvfs_files::Files;
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
//! let mut files = Files::new(Volume::open(Box::new(store), Box::new(Noon), Options::default())?)?;
//! files.make_directories("/in/deep")?;
//! files.write("/in/deep/hello.txt", b"hello")?;
//! assert_eq!(files.read("/in/deep/hello.txt", 100)?, b"hello");
//! assert!(files.read("/../etc/passwd", 100).is_err());
//! files.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! | to | see |
//! |---|---|
//! | read, write, list and change | [`Files`] |
//! | go through a tree of any size | [`Walk`] |
//! | bring trees and tars in and out | [`Files::import_tree`], [`Files::import_tar`], [`Files::export_tree`], [`Files::export_tar`] |
//! | copy inside a volume, and to another one | [`Files::copy`], [`Files::copy_to`] |
//! | use a volume from asynchronous tasks | [`SharedFiles`] |

#![warn(missing_docs)]

// Errors, what is told of long work, and names of the host.
mod error;
mod host_names;
mod report;

// A volume by paths.
mod files;

// Trees as wholes.
mod copy;
mod export;
mod import;

// A thread of its own.
mod shared;

pub use error::FilesError;
pub use export::Compression;
pub use files::{Entry, Files, Step, Walk};
pub use host_names::{MARK, host_name, volume_name};
pub use report::{Loss, Lost, MAX_NAMED, MAX_NAMED_ESCAPED, Progress, Report};
pub use shared::SharedFiles;
