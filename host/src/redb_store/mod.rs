//! A store on disk: one redb file, with changes that are not durable yet in memory in front of it.

mod holes;
mod overlay;
mod pages;
mod quiet;

mod gate;
mod shadow;

mod file;

mod unverified;

mod state;

mod room;

mod reader;
mod salvage;
mod store;

pub use reader::RedbReader;
pub(crate) use room::free_bytes;
pub use salvage::{Damage, RedbSalvage};
pub(crate) use shadow::is_locked;
pub use store::{MAX_BUFFERED_AGE, MAX_BUFFERED_BYTES, RedbStore};
