//! An ordered, atomic key-value store in a bucket that can only get, set and delete values by name.
//!
//! It runs wherever there is a [`Bucket`]: inside a component over `wasi:keyvalue`, and in tests
//! over a simulated one. `README.md` beside the crate describes the values in a bucket and argues
//! why nothing is lost.
//!
//! - A *page* is a value of the bucket that is written once, under a name of its own, and removed
//!   when nothing refers to it: a node of a copy-on-write tree, or part of a large value.
//! - A *root* names the tree and holds the changes since the tree was written. Setting one is the
//!   commit. An opener has two slots for its roots, so a torn root leaves the one before.
//! - The *head* names the newest opener. A writer looks at it after each root it set, and
//!   acknowledges nothing once it names another.

mod bucket;
mod error;
mod wire;

mod names;
mod node;

mod pages;
mod tree;

mod garbage;
mod head;
mod root;
mod update;

mod session;

mod commit;
mod open;
mod store;

pub use bucket::{Bucket, BucketError};
pub use error::OpenError;
pub use kvfs_contract::StoreError;
pub use node::MAX_VALUE_BYTES;
pub use store::BucketStore;
pub use wire::MAX_KEY_BYTES;
