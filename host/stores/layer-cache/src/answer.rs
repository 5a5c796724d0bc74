//! What a layer answers, and keeps answering.

use std::sync::Arc;

use bytes::Bytes;
use kvfs_contract::Entry;

/// Bytes that an answer takes beside its own: the place in the cache and the allocations.
const OVERHEAD_BYTES: usize = 128;

/// An answer of a frozen layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There is no record under this key.
    Absent,
    Value(Bytes),
    /// A page of a scan.
    Page(Arc<[Entry<Bytes>]>),
}

impl Answer {
    /// Keeps a value. It is copied: a slice would keep the whole answer that it came in.
    pub(crate) fn of(value: Option<&[u8]>) -> Self {
        value.map_or(Self::Absent, |value| Self::Value(Bytes::copy_from_slice(value)))
    }

    /// Keeps a page, in one allocation.
    pub(crate) fn of_page(entries: &[Entry<Bytes>]) -> Self {
        let parts = || entries.iter().flat_map(|entry| [&entry.key[..], &entry.value[..]]);
        let mut all = Vec::with_capacity(parts().map(<[u8]>::len).sum());
        parts().for_each(|part| all.extend_from_slice(part));
        let mut all = Bytes::from(all);
        let copies = entries.iter().map(|entry| Entry {
            key: all.split_to(entry.key.len()),
            value: all.split_to(entry.value.len()),
        });
        Self::Page(copies.collect())
    }

    /// Bytes that it takes in memory, under a name of this length.
    pub(crate) fn weight(&self, name_bytes: usize) -> u64 {
        let own = match self {
            Self::Absent => 0,
            Self::Value(value) => value.len(),
            Self::Page(entries) => {
                let entry_bytes =
                    |entry: &Entry<Bytes>| size_of::<Entry<Bytes>>() + entry.key.len() + entry.value.len();
                entries.iter().map(entry_bytes).sum()
            }
        };
        (OVERHEAD_BYTES + name_bytes + own) as u64
    }
}
