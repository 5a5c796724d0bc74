//! The words of the contract `kvfs:store/kv-store` (`wit/store/kv-store.wit`) in Rust, once for
//! all.
//!
//! The file system, the stores and the hosts share these types; each re-exports those that its
//! users need. They are generic over the bytes: calls take borrowed bytes, straight from the
//! caller's memory, and answers carry owned or shared ones, whichever the store has.
//!
//! | module | holds |
//! |---|---|
//! | [`Limits`] and the `MAX_` constants | what one call may carry, and its check |
//! | [`Entry`], [`Guard`], [`Mutation`], [`Durability`] | what calls take and give |
//! | [`StoreError`] | why a call failed |
//! | [`KvStore`] | the four functions |
//! | [`Answer`], [`ScanBudget`], [`key_range`] | rules of `get` and `scan` that need nothing of a store |
//! | [`Key`], [`KeyRef`], [`Entries`] | an ordered map in memory that counts what it holds |

mod answer;
mod entry;
mod error;
mod guard;
mod limits;
mod mutation;
mod scan;

mod key;

mod entries;
mod store;

pub use answer::{Answer, MAX_ANSWER_BYTES, gather};
pub use entries::{ENTRY_OVERHEAD_BYTES, Entries};
pub use entry::Entry;
pub use error::StoreError;
pub use guard::Guard;
pub use key::{Key, KeyRef};
pub use limits::{Limits, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_KEY_BYTES, MAX_VALUE_BYTES};
pub use mutation::{Durability, Mutation};
pub use scan::{KeyRange, MAX_SCAN_BYTES, MAX_SCAN_ENTRIES, ScanBudget, key_range};
pub use store::KvStore;
