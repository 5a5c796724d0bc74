//! Images: their layout, reading them, and writing them.

mod layout;

mod read;
mod write;

pub(crate) use read::Digest;
pub use read::Image;
#[cfg(feature = "fuzzing")]
pub(crate) use read::reseal;
pub(crate) use write::{Record, lay_out};
