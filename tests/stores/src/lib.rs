//! Trials of stores: a bench and a torture, for the project's stores and those of others behind
//! one trait.
//!
//! `make bench-stores` and `make torture-stores` run the whole. `host/stores/README.md` has the
//! results and what follows from them.

mod content;
mod disk;
mod random;

mod trial;

mod stores;

pub mod report;

pub mod bench;
pub mod torture;

pub use stores::{ALL, Kind, Sabotage};
pub use trial::{Trial, Tuning};
