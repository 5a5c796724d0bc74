//! Rules of `scan` for every store: its range, and how much one page holds.

use std::ops::Bound;

/// Most entries in one answer of `scan`, whatever was asked for.
pub const MAX_SCAN_ENTRIES: u32 = crate::MAX_BATCH_ENTRIES;

/// Most bytes in one answer of `scan`, whatever was asked for; a first entry may be larger.
pub const MAX_SCAN_BYTES: u32 = crate::MAX_BATCH_BYTES;

/// Decides which entries a page of a `scan` may still hold.
#[derive(Debug)]
pub struct ScanBudget {
    entries: u32,
    bytes: usize,
    first: bool,
}

impl ScanBudget {
    /// Starts a page. Larger numbers count as [`MAX_SCAN_ENTRIES`] and [`MAX_SCAN_BYTES`].
    pub fn new(max_entries: u32, max_bytes: u32) -> Self {
        Self {
            entries: max_entries.min(MAX_SCAN_ENTRIES),
            bytes: max_bytes.min(MAX_SCAN_BYTES) as usize,
            first: true,
        }
    }

    /// Takes room for an entry, by the sum of the lengths of its key and value; false when the page
    /// is full.
    ///
    /// The first entry always fits, or the caller could never go on.
    pub fn take(&mut self, entry_bytes: usize) -> bool {
        if self.entries == 0 || (entry_bytes > self.bytes && !self.first) {
            return false;
        }
        self.first = false;
        self.entries -= 1;
        self.bytes = self.bytes.saturating_sub(entry_bytes);
        true
    }
}

/// A range of keys as ordered maps take it.
pub type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Returns the bounds of `start <= key < end`, where an empty `end` is the end of the store; `None`
/// for an empty range, at which ordered maps panic.
pub fn key_range<'a>(start: &'a [u8], end: &'a [u8]) -> Option<KeyRange<'a>> {
    match end {
        [] => Some((Bound::Included(start), Bound::Unbounded)),
        end if start < end => Some((Bound::Included(start), Bound::Excluded(end))),
        _ => None,
    }
}

/// Returns the first key after all that begin with `prefix`; empty if there is none.
pub fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_one_entry_of_any_size_and_none_if_none_was_asked_for() {
        let mut page = ScanBudget::new(5, 10);
        assert!(page.take(100));
        assert!(!page.take(1));
        assert!(!ScanBudget::new(0, 10).take(0));
        let mut page = ScanBudget::new(2, 10);
        assert!(page.take(5) && page.take(5) && !page.take(0), "as many as were asked for");
        let mut page = ScanBudget::new(u32::MAX, u32::MAX);
        assert!((0..MAX_SCAN_ENTRIES).all(|_| page.take(0)) && !page.take(0));
    }

    #[test]
    fn the_successor_follows_every_key_with_the_prefix() {
        assert_eq!(successor(b"ab"), b"ac");
        assert_eq!(successor(b"a\xFF\xFF"), b"b");
        assert_eq!(successor(b"\xFF\xFF"), b"");
        assert_eq!(successor(b""), b"");
    }

    #[test]
    fn an_empty_end_is_the_end_of_the_store_and_an_end_before_the_start_an_empty_range() {
        assert_eq!(key_range(b"a", b""), Some((Bound::Included(&b"a"[..]), Bound::Unbounded)));
        assert_eq!(key_range(b"a", b"b"), Some((Bound::Included(&b"a"[..]), Bound::Excluded(&b"b"[..]))));
        assert_eq!(key_range(b"b", b"b"), None);
        assert_eq!(key_range(b"b", b"a"), None);
    }
}
