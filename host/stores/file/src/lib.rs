//! A key-value store in the files of one directory, without file locks.
//!
//! It runs wherever there is a [`Directory`]: inside a component over `wasi:filesystem`, natively
//! over the operating system's files, and in tests over a simulated disk. `README.md` beside the
//! crate describes the files and argues why nothing is lost.
//!
//! - A *segment* is a file of records, written by one opener only; a record is one `apply`.
//! - A *lease* is an empty file whose creation claims the next number, the writer's *epoch*. It
//!   writes into the older leases; a writer acknowledges nothing once its own is not empty, and goes
//!   on with the next number.
//! - The *index* gives the location of each key's value: recent changes in memory, the others in
//!   *tables*, sorted files that are made of the segments and can be made anew.

mod directory;
mod names;
mod options;
mod record;
mod remedy;
mod salt;

mod lease;
mod list;
mod records;
mod reserve;
mod small;
mod table;
mod usage;

mod location;
mod mark;
mod moving;
mod own;
mod segment;

mod index;

mod known;

mod chain;

mod making;

mod log;

mod roll;

mod checkpoint;
mod copy;

mod gradual;
mod step;

mod collect;
mod open;
mod reader;

mod turn;

mod behind;

mod store;

mod salvage;

/// The key of the marker by which a store is the beginning of a copy: whoever opens one with it must
/// refuse it, unless to go on with the copy. No volume has the key.
pub const COPY_MARKER_KEY: &[u8] = b"\x00kvfs-copying";

/// Returns whether a file of this name is a sign of a store in its directory.
pub fn is_own_name(name: &str) -> bool {
    names::parse_name(name).is_some() || name == reserve::NAME
}

pub use directory::{Directory, File, IoError, IoKind, Listed, Status};
pub use kvfs_contract::StoreError;
pub use options::Options;
pub use reader::FileReader;
pub use remedy::with_remedy;
pub use salvage::{Lost, MAX_REPORTED, Salvaged, salvage};
pub use store::FileStore;
