//! Exports trees to directories of the host and to tars.

mod header;

mod archive;
#[cfg(unix)]
mod place;
#[cfg(unix)]
mod tree;

pub use archive::Compression;
