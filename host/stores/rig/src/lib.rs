//! The test rig of the stores: crashes, races and the engine's crash test on simulated media.
//!
//! Each store's tests bring a medium (a disk, a bucket) that can stop at any call. The rig works
//! over a [`KvStore`](kvfs_contract::KvStore) on such a medium:
//!
//! - [`Handle`] lets threads take turns on the medium, one call at a time, in an order that a seed
//!   decides;
//! - [`Calls`] adds short forms of a store's calls;
//! - [`the_newer_host_has_the_volume`] opens one volume from two hosts;
//! - [`rules`] checks the contract on any empty store;
//! - [`Known`] tracks the states that a store may have after a cut at any call;
//! - [`Blocking`] calls a store whose answers come later;
//! - [`Race`] runs several openers on one medium;
//! - [`OnTrial`] and [`Sweep`] run the engine's crash test on a store.

mod blocking;
mod hosts;
mod random;

mod calls;
mod known;
mod race;
pub mod rules;
mod trial;
mod turns;

pub use blocking::Blocking;
pub use calls::{Calls, Changes, Pair, State, change};
pub use hosts::the_newer_host_has_the_volume;
pub use known::Known;
pub use race::{Race, number, the_newer_opener_has_the_store_and_the_older_is_told};
pub use random::Random;
pub use trial::{DropsApplies, Medium, OnTrial, Sweep, SweepOne};
pub use turns::Handle;
