//! Entries for the bench: bytes that cannot be compressed, made beforehand.

use anyhow::Result;
use kvfs_host::{Durability, Mutation};

use crate::Trial;
use crate::content::key;
use crate::random::Random;

/// Extents in a batch of a stream: 8 MiB.
pub(super) const BATCH: u64 = 256;

const POOL_BYTES: usize = 4 << 20;

/// Random bytes, of which each value is a part.
pub(super) struct Pool(Vec<u8>);

impl Pool {
    pub(super) fn new() -> Self {
        let mut bytes = vec![0; POOL_BYTES];
        Random::new(&[1]).fill(&mut bytes);
        Self(bytes)
    }

    /// Returns a value for an entry, another one for each number.
    pub(super) fn value(&self, number: u64, length: usize) -> &[u8] {
        let start = number.wrapping_mul(4_099) as usize % (POOL_BYTES - length);
        &self.0[start..start + length]
    }
}

/// Puts extents of the inodes that `inodes` names, in one apply.
pub(super) fn put_extents(
    store: &dyn Trial,
    pool: &Pool,
    extents: impl Iterator<Item = (u64, u64)>,
    length: usize,
    level: Durability,
) -> Result<()> {
    let keys: Vec<(Vec<u8>, u64)> =
        extents.map(|(index, number)| (key(b'e', 1 + index / 4_096, index % 4_096), number)).collect();
    let mutations: Vec<Mutation<'_>> =
        keys.iter().map(|(key, number)| Mutation::Put { key, value: pool.value(*number, length) }).collect();
    store.apply(&[], &mutations, level)?;
    Ok(())
}

/// Returns the key of an extent by its number in the whole stream.
pub(super) fn extent_key(index: u64) -> Vec<u8> {
    key(b'e', 1 + index / 4_096, index % 4_096)
}
