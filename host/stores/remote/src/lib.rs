//! Stores at a distance, on a server or in a bucket.
//!
//! Each is an [`AsyncKvStore`](kvfs_contract::AsyncKvStore) over the library of its field, and
//! those libraries need a tokio runtime. [`Remote`] brings one, so that a store at a distance is
//! used as any other: from any thread, without an executor. [`WriteBehind`] hides the distance from
//! programs that write.
//!
//! [`testing`] has a store at a chosen distance, and one that counts round trips.

#![warn(missing_docs)]

mod behind;
mod remote;

pub mod testing;

pub use behind::{Pace, WriteBehind};
pub use remote::Remote;
