//! A key-value store in the files of one directory, without file locks.
//!
//! It runs wherever there is a [`Directory`]: inside a component over `wasi:filesystem`, natively over the
//! operating system's files, and in tests over a simulated disk. `README.md` beside the crate describes the
//! files and why nothing is lost.
//!
//! - A *segment* is a file of records, written by one opener and never by another; a record is one `apply`.
//! - A *lease* is an empty file whose creation claims the next number, the opener's *epoch*. Whoever opens the
//!   directory writes into the older leases; a writer acknowledges nothing once its own is not empty.
//! - The *index*, in memory, says for each key where its value lies.

mod compact;
mod directory;
mod error;
mod lease;
mod open;
mod reader;
mod record;
mod reserve;
mod segment;
mod store;

/// Whether a file of this name in a directory says that a store is there.
pub fn is_own_name(name: &str) -> bool {
    segment::parse_name(name).is_some() || name == reserve::NAME
}

pub use directory::{Directory, File, IoError, IoKind, Listed, Status};
pub use error::{RESTORE, StoreError};
pub use reader::FileReader;
pub use store::{Entry, FileStore, MAX_ENTRIES, Mutation, Options};
