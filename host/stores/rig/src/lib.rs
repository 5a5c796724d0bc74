//! The test rig of the stores: crashes, races and the engine's crash test on simulated media.
//!
//! Each store's tests bring a medium (a disk, a bucket) that can stop at any call. The rig works
//! over a [`KvStore`](kvfs_contract::KvStore) on such a medium:
//!
//! - [`Handle`] lets threads take turns on the medium, one call at a time, in an order that a seed
//!   decides;
//! - [`Calls`] adds short forms of a store's calls;
//! - [`the_newer_host_has_the_volume`] and [`the_newer_host_fences_the_older`] open one volume from
//!   several hosts;
//! - [`rules`] checks the contract on any empty store;
//! - [`Known`] tracks the states that a store may have after a cut at any call;
//! - [`random_calls_agree_with_an_ordered_map`] and its neighbours ask any store;
//! - [`an_apply_that_is_cut_anywhere_is_made_once`] and its neighbours cut the connections to one on
//!   a server;
//! - [`Blocking`] calls a store whose answers come later;
//! - [`Race`] runs several openers on one medium;
//! - [`OnTrial`] and [`Sweep`] run the engine's crash test on a store, and [`sweep_server`] on one of a
//!   server.

mod blocking;
mod random;

mod calls;
mod known;
mod race;
pub mod rules;
mod trial;
mod turns;

mod answers;
mod cut_off;
mod hosts;
mod served;

pub use answers::{
    calls_at_the_limits_work_and_calls_over_them_do_not,
    guards_are_checked_before_and_changes_are_made_in_order, random_calls_agree_with_an_ordered_map,
};
pub use blocking::Blocking;
pub use calls::{Calls, Changes, Pair, State, change};
pub use cut_off::{
    an_apply_that_is_cut_anywhere_is_made_once, an_apply_that_is_cut_off_for_good_is_unknown_or_unavailable,
    apply_bytes, counted, each_call_is_one_round, step,
};
pub use hosts::{the_newer_host_fences_the_older, the_newer_host_has_the_volume};
pub use known::Known;
pub use race::{Race, number, the_newer_opener_has_the_store_and_the_older_is_told};
pub use random::Random;
pub use served::{OpenServed, sweep_server};
pub use trial::{DropsApplies, Medium, OnTrial, Sweep, SweepOne};
pub use turns::Handle;
