//! Limits of a call, and their check. Callers are hostile: each limit bounds memory that a caller
//! could otherwise make the store hold.

use crate::{Guard, Mutation, StoreError};

/// Longest key of the project's stores. The file system needs 520 bytes; the rest is for the
/// prefixes of namespaces.
pub const MAX_KEY_BYTES: u32 = 1024;

/// Longest value of the project's stores: 32 extents of the default size.
pub const MAX_VALUE_BYTES: u32 = 1 << 20;

/// Most mutations in one `apply` and keys in one `get` of the project's stores. The linker of the
/// host refuses longer lists for every store, before it makes room for them.
pub const MAX_BATCH_ENTRIES: u32 = 16 * 1024;

/// Most bytes of mutations in one `apply` of the project's stores. wasmtime itself takes at most
/// 128 MiB in one call unless the embedder says otherwise.
pub const MAX_BATCH_BYTES: u32 = 16 << 20;

/// The most that one call may carry. A caller that stays within the limits gets
/// [`StoreError::TooLarge`] only from a `get` whose answer would be larger than the store returns at
/// once.
///
/// The values do not change while a store lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest key, in bytes. The file system needs at least 520.
    pub max_key_bytes: u32,
    /// Longest value, in bytes. The file system needs at least 640.
    pub max_value_bytes: u32,
    /// Most mutations in one `apply`, and most keys in one `get`. Guards are not counted. The file
    /// system needs at least 2, and is fast from 16 on.
    pub max_batch_entries: u32,
    /// Most bytes in one `apply`: the sum of the lengths of all keys and values of its mutations.
    /// The file system needs at least 4,096, and is fast from 16 KiB on.
    pub max_batch_bytes: u32,
    /// True if an `apply` at level [`Durable`](crate::Durability::Durable) survives a crash of the
    /// host. A store in memory says false, and treats both levels alike.
    pub durable: bool,
}

impl Limits {
    /// The least limits that a store may state: what the file system needs.
    pub const LEAST: Self = Self {
        max_key_bytes: 520,
        max_value_bytes: 640,
        max_batch_entries: 2,
        max_batch_bytes: 4096,
        durable: false,
    };

    /// Returns the limits that all of the project's stores have, so that data moves between them.
    pub const fn standard(durable: bool) -> Self {
        Self {
            max_key_bytes: MAX_KEY_BYTES,
            max_value_bytes: MAX_VALUE_BYTES,
            max_batch_entries: MAX_BATCH_ENTRIES,
            max_batch_bytes: MAX_BATCH_BYTES,
            durable,
        }
    }

    /// Checks the keys of a `get`.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]: too many keys or too long a key.
    pub fn check_get<B: AsRef<[u8]>>(&self, keys: &[B]) -> Result<(), StoreError> {
        fits(keys.len(), self.max_batch_entries)?;
        keys.iter().try_for_each(|key| fits(key.as_ref().len(), self.max_key_bytes))
    }

    /// Checks the guards and mutations of an `apply`.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]: too many mutations, too long a key or value, too many bytes.
    pub fn check_apply<B: AsRef<[u8]>>(
        &self,
        guards: &[Guard<B>],
        mutations: &[Mutation<B>],
    ) -> Result<(), StoreError> {
        guards.iter().try_for_each(|guard| fits(guard.key.as_ref().len(), self.max_key_bytes))?;
        fits(mutations.len(), self.max_batch_entries)?;
        let mut batch_bytes = 0;
        for mutation in mutations {
            let mutation = mutation.borrowed();
            fits(mutation.key().len(), self.max_key_bytes)?;
            fits(mutation.value().map_or(0, <[u8]>::len), self.max_value_bytes)?;
            batch_bytes += mutation.size_bytes();
            // Checked in the loop: the sum exceeds the limit by one mutation at most, so it cannot
            // overflow.
            fits(batch_bytes, self.max_batch_bytes)?;
        }
        Ok(())
    }
}

fn fits(length: usize, max: u32) -> Result<(), StoreError> {
    if length <= max as usize { Ok(()) } else { Err(StoreError::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_key_bytes: 4,
        max_value_bytes: 8,
        max_batch_entries: 3,
        max_batch_bytes: 16,
        durable: false,
    };

    #[test]
    fn calls_at_a_limit_pass_and_calls_over_it_do_not() {
        let key = |bytes: usize| vec![b'k'; bytes];
        let put = |key_bytes, value_bytes| Mutation::Put { key: key(key_bytes), value: key(value_bytes) };
        let guard = |bytes| Guard { key: key(bytes), expected: Some(key(100)) };
        let refused = Err(StoreError::TooLarge);

        assert_eq!(LIMITS.check_get(&[key(4), key(0), key(4)]), Ok(()));
        assert_eq!(LIMITS.check_get(&[key(5)]), refused);
        assert_eq!(LIMITS.check_get(&[key(1), key(1), key(1), key(1)]), refused);

        let many_guards: Vec<_> = (0..9).map(|_| guard(4)).collect();
        assert_eq!(LIMITS.check_apply(&many_guards, &[put(4, 8)]), Ok(()), "guards are not counted");
        assert_eq!(LIMITS.check_apply(&[guard(5)], &[]), refused);
        assert_eq!(LIMITS.check_apply(&[], &[put(5, 0)]), refused);
        assert_eq!(LIMITS.check_apply(&[], &[Mutation::Delete { key: key(5) }]), refused);
        assert_eq!(LIMITS.check_apply(&[], &[put(0, 9)]), refused);
        assert_eq!(LIMITS.check_apply(&[], &[put(4, 8), put(4, 0)]), Ok(()));
        assert_eq!(LIMITS.check_apply(&[], &[put(4, 8), put(4, 1)]), refused, "too many bytes in all");
        assert_eq!(LIMITS.check_apply(&[], &[put(0, 0), put(0, 0), put(0, 0), put(0, 0)]), refused);
    }
}
