//! Answers in files of a local directory.
//!
//! A file holds answers of one layer and never changes: it is written under another name and renamed.
//! So programs share a directory without locks, and a kill at any moment leaves whole files.

mod directory;
mod file;

mod layers;

pub(crate) use layers::Disk;
