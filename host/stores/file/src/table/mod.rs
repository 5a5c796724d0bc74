//! Sorted tables on disk: where each key's value is in the segments.
//!
//! A table is written once, from keys in ascending order, and never changed. It is a tree of
//! blocks, the root last, then a filter of its keys if it is large enough for one, then a footer. Blocks of places, about 4 KiB each, are the lowest level;
//! each block above lists blocks of the level below, by a key that separates them from those before
//! and with the hash of their bytes. So the hash of the footer stands for the whole tree. The pages
//! of the filter have hashes of their own.
//!
//! Nothing that is read is trusted. A table that is damaged is an error that names its number, and
//! is built anew from the segments.

mod seed;
mod varint;

mod place;

mod block;

mod cache;
mod error;

mod filter;
mod merge;

mod footer;

mod build;
mod read;

#[cfg(test)]
mod tests;

pub(crate) use build::{Built, TableBuilder, build};
pub(crate) use cache::Cache;
pub(crate) use error::TableError;
pub(crate) use filter::KeyHash;
pub(crate) use merge::{Entry, Merge};
pub(crate) use place::Place;
pub(crate) use read::{Caching, Table};
