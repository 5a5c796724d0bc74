//! A whole provider, to start from: an ordered map in the component's memory.
//!
//! A store of your own has something else in the place of `Map`, and its own way to bring an `apply`
//! there.

use exports::kvfs::store::kv_store::{Durability, Entry, Error, Guard, Guest, Limits, Mutation};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;

wit_bindgen::generate!({ path: "../../../wit/store", world: "kvfs:store/provider" });

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// The most that one call may carry. The file system works within any limits that the contract
/// allows.
const LIMITS: Limits = Limits {
    max_key_bytes: 1024,
    max_value_bytes: 1 << 20,
    max_batch_entries: 4096,
    max_batch_bytes: 8 << 20,
    // The data goes with the instance. A store that says true keeps every apply, even a buffered
    // one, for the next instance.
    durable: false,
};

/// Most bytes that one `get` answers with: a large key can be named many times.
const MAX_ANSWER_BYTES: usize = 64 << 20;

thread_local! {
    static STORE: RefCell<Map> = const { RefCell::new(Map::new()) };
}

struct Component;

export!(Component);

impl Guest for Component {
    fn get_limits() -> Result<Limits, Error> {
        Ok(LIMITS)
    }

    fn get(keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        fits(keys.len(), LIMITS.max_batch_entries)?;
        STORE.with_borrow(|map| {
            let mut left = MAX_ANSWER_BYTES;
            let mut values = Vec::new();
            for key in &keys {
                fits(key.len(), LIMITS.max_key_bytes)?;
                let value = map.get(key);
                left = left.checked_sub(value.map_or(0, Vec::len)).ok_or(Error::TooLarge)?;
                values.push(value.cloned());
            }
            Ok(values)
        })
    }

    fn scan(start: Vec<u8>, end: Vec<u8>, max_entries: u32, max_bytes: u32) -> Result<Vec<Entry>, Error> {
        let end = match end.is_empty() {
            true => Bound::Unbounded,
            // A map panics at a range that ends before it starts.
            false if end <= start => return Ok(Vec::new()),
            false => Bound::Excluded(end),
        };
        let mut entries_left = max_entries.min(LIMITS.max_batch_entries);
        let mut bytes_left = max_bytes.min(LIMITS.max_batch_bytes) as usize;
        STORE.with_borrow(|map| {
            let mut page = Vec::new();
            for (key, value) in map.range((Bound::Included(start), end)) {
                let bytes = key.len() + value.len();
                // The first entry is returned even if it is too large, or the caller could never go
                // on.
                if entries_left == 0 || (bytes > bytes_left && !page.is_empty()) {
                    break;
                }
                (entries_left, bytes_left) = (entries_left - 1, bytes_left.saturating_sub(bytes));
                page.push(Entry { key: key.clone(), value: value.clone() });
            }
            Ok(page)
        })
    }

    fn apply(guards: Vec<Guard>, mutations: Vec<Mutation>, _level: Durability) -> Result<(), Error> {
        check_limits(&guards, &mutations)?;
        STORE.with_borrow_mut(|map| {
            // All guards are checked before anything changes.
            if guards.iter().any(|guard| map.get(&guard.key) != guard.expected.as_ref()) {
                return Err(Error::Conflict);
            }
            // In their order: the last mutation of a key wins.
            for mutation in mutations {
                match mutation {
                    Mutation::Put(Entry { key, value }) => drop(map.insert(key, value)),
                    Mutation::Delete(key) => drop(map.remove(&key)),
                }
            }
            Ok(())
        })
    }
}

fn check_limits(guards: &[Guard], mutations: &[Mutation]) -> Result<(), Error> {
    guards.iter().try_for_each(|guard| fits(guard.key.len(), LIMITS.max_key_bytes))?;
    fits(mutations.len(), LIMITS.max_batch_entries)?;
    let mut batch_bytes = 0;
    for mutation in mutations {
        let (key_bytes, value_bytes) = match mutation {
            Mutation::Put(Entry { key, value }) => (key.len(), value.len()),
            Mutation::Delete(key) => (key.len(), 0),
        };
        fits(key_bytes, LIMITS.max_key_bytes)?;
        fits(value_bytes, LIMITS.max_value_bytes)?;
        batch_bytes += key_bytes + value_bytes;
    }
    fits(batch_bytes, LIMITS.max_batch_bytes)
}

fn fits(length: usize, most: u32) -> Result<(), Error> {
    if length <= most as usize { Ok(()) } else { Err(Error::TooLarge) }
}
