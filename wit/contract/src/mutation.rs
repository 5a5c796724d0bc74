//! The nouns of the contract: what a call takes and what it gives.
//!
//! What goes in is borrowed, straight from the guest's memory when a guest calls, so that a store
//! copies a value once, to where it keeps it. What comes out is [`Bytes`], so that a store that holds
//! the value already gives it away without a copy.

use bytes::Bytes;

/// What one call may carry. A caller that stays within the limits never sees
/// [`StoreError::TooLarge`](crate::StoreError::TooLarge) from `apply`.
///
/// The values do not change while a store lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest key, in bytes. The file system needs at least 520.
    pub max_key_bytes: u32,
    /// Longest value, in bytes.
    pub max_value_bytes: u32,
    /// Most mutations in one `apply`, and most keys in one `get`. Guards are not counted.
    pub max_batch_entries: u32,
    /// Most bytes in one `apply`: keys and values of its mutations together.
    pub max_batch_bytes: u32,
    /// Whether an `apply` at [`Durability::Durable`] survives a crash of the host.
    pub durable: bool,
}

/// A key with its value, as `scan` returns them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, without the prefix of any namespace.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// A condition of an `apply`: it compares a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard<'a> {
    /// The key to look at.
    pub key: &'a [u8],
    /// The exact value the key must have; `None`: the key must be absent.
    pub expected: Option<&'a [u8]>,
}

impl Guard<'_> {
    /// Returns whether the guard holds for a key that has the value `found`.
    pub fn holds(&self, found: Option<&[u8]>) -> bool {
        self.expected == found
    }
}

/// One change of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation<'a> {
    /// Sets the key to the value, whether it was there or not.
    Put {
        /// The key to set.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Removes the key. Removing an absent key is not an error.
    Delete {
        /// The key to remove.
        key: &'a [u8],
    },
}

impl<'a> Mutation<'a> {
    /// Returns the key the mutation changes.
    pub fn key(&self) -> &'a [u8] {
        match self {
            Mutation::Put { key, .. } | Mutation::Delete { key } => key,
        }
    }

    /// Returns the value the key has afterwards; `None` when it is removed.
    pub fn value(&self) -> Option<&'a [u8]> {
        match self {
            Mutation::Put { value, .. } => Some(value),
            Mutation::Delete { .. } => None,
        }
    }

    /// Returns what the mutation counts for in [`Limits::max_batch_bytes`].
    pub fn size_bytes(&self) -> usize {
        self.key().len() + self.value().map_or(0, <[u8]>::len)
    }
}

/// How far an `apply` goes before it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Visible to every later call and safe from the end of the guest, however it ends.
    /// A crash of the host may lose it.
    Buffered,
    /// Safe from a crash of the host too, together with every earlier `apply`: what a crash loses is
    /// always a suffix of what was applied.
    Durable,
}
