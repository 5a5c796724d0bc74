//! The contract `kvfs:store/kv-store` (`wit/store/kv-store.wit`) in Rust: its types, limits and
//! checks.
//!
//! The file system, the stores and the hosts share these types; each re-exports those that its
//! users need. They are generic over the bytes: calls take borrowed bytes, straight from the
//! caller's memory, and answers carry owned or shared ones, whichever the store has.
//!
//! | items | purpose |
//! |---|---|
//! | [`Limits`] and the `MAX_` constants | bounds of a call, and their check |
//! | [`Entry`], [`Guard`], [`Mutation`], [`Durability`] | arguments and answers of calls |
//! | [`StoreError`] | the error of a call |
//! | [`KvStore`], [`AsyncKvStore`] | the four functions, with answers at once or later |
//! | [`block_on`] | waits for a later answer |
//! | [`in_a_line`], [`with_causes`] | texts of servers and libraries, as messages show them |
//! | [`Secret`] | credentials that no message shows |
//! | [`Answer`], [`ScanBudget`], [`key_range`] | rules of `get` and `scan` for every store |
//! | [`Key`], [`KeyRef`], [`Entries`] | an ordered map in memory that counts its bytes |

mod answer;
mod block_on;
mod entry;
mod error;
mod foreign;
mod guard;
mod limits;
mod mutation;
mod scan;
mod secret;

mod key;

mod async_store;
mod entries;
mod store;

pub use answer::{Answer, MAX_ANSWER_BYTES, gather};
pub use async_store::AsyncKvStore;
pub use block_on::block_on;
pub use entries::{Counted, ENTRY_OVERHEAD_BYTES, Entries};
pub use entry::Entry;
pub use error::StoreError;
pub use foreign::{MAX_FOREIGN_TEXT_CHARS, in_a_line, with_causes};
pub use guard::Guard;
pub use key::{Key, KeyRef};
pub use limits::{Limits, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_KEY_BYTES, MAX_VALUE_BYTES};
pub use mutation::{Durability, Mutation};
pub use scan::{KeyRange, MAX_SCAN_BYTES, MAX_SCAN_ENTRIES, ScanBudget, key_range, successor};
pub use secret::Secret;
pub use store::KvStore;
