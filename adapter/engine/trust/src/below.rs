//! Stores tested together with the engine. They keep the entries of a
//! [`TestStore`](crate::store::TestStore), which knows the right answers.

use kvfs::{Durability, Entry, Guard, KvStore, Mutation, StoreError};
use std::fmt;

/// A store on a medium that a test simulates.
pub trait Below: KvStore {
    /// Ends the store, as its program's end does, and opens it again on what it left.
    fn reopen(&mut self) -> Result<(), StoreError>;

    /// Whether it may answer what was true a while ago, as a cache does: then only what the engine
    /// makes of it is compared.
    fn is_late(&self) -> bool {
        false
    }
}

/// A store below whose answers are compared with the expected ones.
pub struct Kept(pub Box<dyn Below>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store below")
    }
}

fn differs(what: &str) -> StoreError {
    StoreError::Corrupt(format!("the store below answers a {what} with what it must not hold"))
}

impl Kept {
    pub(crate) fn get(
        &mut self,
        keys: &[&[u8]],
        expected: Vec<Option<Vec<u8>>>,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let found = self.0.get(keys)?;
        if self.0.is_late() || found == expected { Ok(found) } else { Err(differs("get")) }
    }

    /// `expected` is the fullest page. A store may end a page earlier, but not before its first
    /// entry.
    pub(crate) fn scan(
        &mut self,
        (start, end): (&[u8], &[u8]),
        (max_entries, max_bytes): (u32, u32),
        expected: Vec<Entry>,
    ) -> Result<Vec<Entry>, StoreError> {
        let found = self.0.scan(start, end, max_entries, max_bytes)?;
        let is_page = expected.starts_with(&found) && found.is_empty() == expected.is_empty();
        if self.0.is_late() || is_page { Ok(found) } else { Err(differs("scan")) }
    }

    pub(crate) fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.0.apply(guards, mutations, level)
    }
}
