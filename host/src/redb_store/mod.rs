//! A store on disk: one redb file, with changes that are not durable yet in memory in front of it.

mod overlay;
mod pages;
mod quiet;

mod gate;
mod shadow;

mod file;

mod state;

mod room;

mod reader;
mod store;

pub use reader::RedbReader;
pub use store::{MAX_BUFFERED_AGE, MAX_BUFFERED_BYTES, RedbStore};
