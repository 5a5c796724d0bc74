//! A store on disk: one redb file, with changes that are not durable yet in memory in front of it.

mod holes;
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
pub use salvage::{Damage, RedbSalvage};
pub(crate) use shadow::is_locked;
pub use store::RedbStore;
