//! The cache of frozen layers, below the file system.

#![allow(missing_docs)]

mod server;
mod viewed;

mod beside_tools;
mod copies;
mod disk;
mod kept;
mod rounds;
