//! A cache of what never changes: records of frozen layers, in front of any store.
//!
//! Forks of one volume share its layers, which are frozen. [`LayerCache`] keeps records of such layers
//! in memory and in a local directory, for all stores and instances of a host. [`LayerView`] is a store in front of another one:
//! it answers from the cache, and asks the store for the rest. A second instance so starts without
//! asking for what the first one read.
//!
//! The README beside this crate says what is kept, why it stays true, and what it costs.

#![warn(missing_docs)]

mod answer;
mod name;
mod top_keys;

mod disk;
mod volume;

mod layer_cache;

mod learned;

mod plan;

mod view;

pub use layer_cache::{Counts, DEFAULT_MEMORY_BYTES, LayerCache};
pub use view::{Begun, LayerView, MAX_UNCHECKED};
