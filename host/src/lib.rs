//! Implements kvfs:store for wasmtime: stores, wrappers and the linker helper

mod contract;
mod error;
mod limits;
mod linker;
mod memory;
mod open;
mod redb_store;
mod store;
mod view;
mod wire;

pub use contract::*;
pub use error::*;
pub use limits::*;
pub use linker::*;
pub use memory::*;
pub use open::*;
pub use redb_store::*;
pub use store::*;
pub use view::*;
