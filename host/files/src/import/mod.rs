//! Imports trees of the host and tars.

mod importer;

mod archive;
#[cfg(unix)]
mod tree;
