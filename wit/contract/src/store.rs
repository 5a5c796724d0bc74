//! The four functions of a store, as a trait.

use crate::{Durability, Entry, Guard, Limits, Mutation, StoreError};

/// Keeps bytes: four functions over ordered keys.
///
/// Keys and values are plain bytes. Keys are ordered as sequences of unsigned bytes, a prefix
/// before what it is a prefix of. Calls on one instance are sequential, and what it wrote it reads
/// back at once (read-your-writes), whatever the durability level.
pub trait KvStore {
    /// Returns the store's limits: always the same.
    fn limits(&mut self) -> Result<Limits, StoreError>;

    /// Returns the values of `keys`, in their order; `None` where a key is absent.
    ///
    /// A key may be named more than once. No keys is a valid, empty question.
    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Returns the entries with `start <= key < end` in ascending order of their keys; an empty
    /// `end` is the end of the namespace.
    ///
    /// At most `max_entries` entries are returned, and no more than `max_bytes` bytes of keys and
    /// values together, but always at least one entry if there is one in the range and
    /// `max_entries` is not 0. Larger numbers count as [`Limits::max_batch_entries`] and
    /// [`Limits::max_batch_bytes`]. Fewer than would fit is allowed, so only an empty answer says
    /// that the range holds nothing more; after any other the caller goes on from the last key
    /// followed by a zero byte.
    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Vec<u8>>>, StoreError>;

    /// Applies all mutations if all guards hold, or changes nothing.
    ///
    /// Guards are checked against the state before the call. Mutations take effect in their order,
    /// so the last one on a key wins. Without mutations and at level [`Durability::Durable`] it is
    /// a barrier: all earlier applies are durable when it returns.
    fn apply(
        &mut self,
        guards: &[Guard<&[u8]>],
        mutations: &[Mutation<&[u8]>],
        level: Durability,
    ) -> Result<(), StoreError>;

    /// Calls `work` once with this store, while the applies of others wait, and returns true. Returns
    /// false without a call if the store cannot let others wait, as most cannot.
    ///
    /// A change that is planned from what was read is not overtaken then, except by an apply that was
    /// on its way before, or that comes from where this store cannot let it wait, such as another
    /// process. So its guards are still needed. `work` must change the store by the handle that it gets
    /// and by no other one.
    fn exclusively(&mut self, work: &mut dyn FnMut(&mut dyn KvStore)) -> bool {
        let _ = work;
        false
    }
}
