//! Tools of the stores' tests on simulated media.
//!
//! A test crate brings a medium (a disk, a bucket) that keeps a log of its calls and stops at any
//! of them. Everything here works over a [`KvStore`](kvfs_contract::KvStore) and such a medium:
//!
//! - [`Handle`] lets threads take turns on the medium, one call at a time, in an order that a seed
//!   decides;
//! - [`Calls`] makes calls of a store short to write;
//! - [`Known`] has the states that a store may be in after its program was cut short at any call;
//! - [`Race`] lets several openers work on one medium;
//! - [`OnTrial`] puts the engine's own crash test on the store.

mod random;

mod calls;
mod known;
mod race;
mod trial;
mod turns;

pub use calls::{Calls, Changes, Pair, State, change};
pub use known::Known;
pub use race::{Race, number, the_newer_opener_has_the_store_and_the_older_is_told};
pub use random::Random;
pub use trial::{DropsApplies, Medium, OnTrial, Sweep, SweepOne};
pub use turns::Handle;
