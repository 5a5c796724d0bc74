//! Encryption at rest for any store of the contract: values are sealed with XChaCha20-Poly1305, the
//! names of files are hidden in the keys.
//!
//! [`SealedStore`] lies around a store and is one itself. It works over [`AsyncKvStore`], whose
//! answers may come later; [`Blocking`] makes one of any [`KvStore`](kvfs_contract::KvStore), and
//! then the sealed store is a `KvStore` too. The crate does no I/O and has no randomness of its
//! own: see [`Random`].
//!
//! The [README](https://docs.rs/crate/kvfs-sealed-store) says what is hidden and what stays
//! visible, fixes every byte, and argues why.
//!
//! ```
//! use kvfs_sealed_store::{Blocking, Cost, Random, Seal, SealedStore, UserKey, now};
//! # use kvfs_contract::*;
//! # #[derive(Default)]
//! # struct Memory(Entries<Vec<u8>>);
//! # impl KvStore for Memory {
//! #     fn limits(&mut self) -> Result<Limits, StoreError> {
//! #         Ok(Limits::standard(false))
//! #     }
//! #     fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
//! #         gather(keys, |key| Ok(self.0.get(key).cloned()))
//! #     }
//! #     fn scan(&mut self, s: &[u8], e: &[u8], _: u32, _: u32) -> Result<Vec<Entry<Vec<u8>>>, StoreError> {
//! #         let range = key_range(s, e).into_iter().flat_map(|range| self.0.range(range));
//! #         Ok(range.map(|(key, value)| Entry { key: key.to_vec(), value: value.clone() }).collect())
//! #     }
//! #     fn apply(&mut self, g: &[Guard<&[u8]>], m: &[Mutation<&[u8]>], _: Durability) -> Result<(), StoreError> {
//! #         self.0.check(g, m, u64::MAX)?;
//! #         m.iter().for_each(|m| self.0.set(m.key(), m.value().map(<[u8]>::to_vec)));
//! #         Ok(())
//! #     }
//! # }
//! # struct Counter(u64); // For the example only: a program takes the system's random bytes.
//! # impl Random for Counter {
//! #     fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
//! #         self.0 += 1;
//! #         bytes.fill(self.0 as u8);
//! #         Ok(())
//! #     }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (memory, random) = (Memory::default(), Counter(0));
//! let key = UserKey::from_key_file(vec![7; 32])?;
//! let seal = Seal { key: &key, cost: Cost::DEFAULT, create: true };
//! let mut store = now(SealedStore::open(Blocking::new(memory), seal, random))?;
//! KvStore::apply(&mut store, &[], &[Mutation::Put { key: b"k", value: b"v" }], Durability::Durable)?;
//! assert_eq!(KvStore::get(&mut store, &[b"k"])?, [Some(b"v".to_vec())]);
//! # Ok(())
//! # }
//! ```

mod below;
mod error;
mod layout;
mod random;

mod secret;

#[cfg(target_pointer_width = "64")]
mod poly1305;

mod mac;

mod aead;

mod cipher;
mod header;

mod guards;
mod keys;
mod listing;
mod salvage;

mod store;

mod apply;
mod get;
mod open;
mod scan;

mod kv_store;

pub use below::{Blocking, now};
pub use error::OpenError;
pub use header::{Cost, MAX_LANES, MAX_MEMORY_KIB, MAX_PASSES};
pub use kvfs_contract::AsyncKvStore;
pub use layout::{NAME_TAG_BYTES, STORE_HEADER_KEY};
pub use open::{Seal, is_sealed, rewrap};
pub use random::Random;
pub use secret::{BadKey, MAX_SECRET_BYTES, MIN_KEY_FILE_BYTES, UserKey};
pub use store::SealedStore;
