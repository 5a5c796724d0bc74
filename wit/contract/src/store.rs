//! The store below the file system, as the engine sees it: `kvfs:store/kv-store` in Rust.

use std::fmt;

/// Keeps the file system's bytes: four functions over ordered keys.
///
/// The contract is that of `wit/store/kv-store.wit`: `apply` is atomic and read-your-writes, guards
/// compare values, and a durable `apply` makes every earlier one durable.
pub trait KvStore {
    /// Returns what one call may carry. Asked once, when a volume is opened.
    fn limits(&mut self) -> Result<Limits, StoreError>;

    /// Returns the values of `keys` in their order, `None` where a key is absent.
    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Returns the entries of `[start, end)` in ascending order, at most `max_entries` of them and no
    /// more than `max_bytes` together, but at least one if there is one. It may return fewer.
    /// An empty `end` is the end of the store.
    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Applies all `mutations` if all `guards` hold, or changes nothing.
    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError>;
}

/// What one call of a store may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest key, in bytes.
    pub max_key_bytes: u32,
    /// Longest value, in bytes.
    pub max_value_bytes: u32,
    /// Most mutations in one `apply`, and most keys in one `get`.
    pub max_batch_entries: u32,
    /// Most bytes of keys and values in one `apply`.
    pub max_batch_bytes: u32,
    /// Whether a durable `apply` survives a crash of the host.
    pub durable: bool,
}

/// A key with its value, as `scan` returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// A condition of an `apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard<'a> {
    /// The key that is looked at.
    pub key: &'a [u8],
    /// What it must hold; `None`: it must be absent.
    pub expected: Option<&'a [u8]>,
}

/// One change of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation<'a> {
    /// Sets `key` to `value`.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Removes `key`; it need not be there.
    Delete {
        /// The key.
        key: &'a [u8],
    },
}

impl Mutation<'_> {
    /// Bytes that count against `max_batch_bytes`.
    pub fn batch_bytes(&self) -> usize {
        match self {
            Mutation::Put { key, value } => key.len() + value.len(),
            Mutation::Delete { key } => key.len(),
        }
    }
}

/// How far an `apply` goes before it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Survives the end of the program that runs the file system, however it ends.
    Buffered,
    /// Survives a crash of the host too, together with everything applied before.
    Durable,
}

/// Why a call of the store failed. Nothing was applied, except perhaps with `UnknownOutcome`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// A guard did not hold.
    Conflict,
    /// The call may have been applied or not.
    UnknownOutcome,
    /// The store cannot be reached; the call may be repeated.
    Unavailable(String),
    /// A key, a value or the batch is over the store's limits.
    TooLarge,
    /// The store may not grow any more.
    QuotaExceeded,
    /// The store takes no changes.
    ReadOnly,
    /// The caller may not use the store.
    AccessDenied,
    /// The store found its own data damaged.
    Corrupt(String),
    /// Anything else, in the store's words.
    Other(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Conflict => f.write_str("a guard did not hold"),
            StoreError::UnknownOutcome => f.write_str("the outcome of the call is unknown"),
            StoreError::Unavailable(why) => write!(f, "the store cannot be reached: {why}"),
            StoreError::TooLarge => f.write_str("a key, a value or a batch is over the store's limits"),
            StoreError::QuotaExceeded => f.write_str("the store is full"),
            StoreError::ReadOnly => f.write_str("the store is read-only"),
            StoreError::AccessDenied => f.write_str("the store denies access"),
            StoreError::Corrupt(why) => write!(f, "the store is damaged: {why}"),
            StoreError::Other(why) => write!(f, "the store failed: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}
