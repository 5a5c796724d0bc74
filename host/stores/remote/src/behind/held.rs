//! What is acknowledged and not in the store yet, as readers see it.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use kvfs_contract::{Entry, KeyRange, ScanBudget, key_range};

use super::batch::Batch;

/// The held batches. A clone is what was held at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// Later applies are added to it.
    pub(super) open: Arc<Batch>,
    /// The batch before it, which is sent or waits for that.
    pub(super) sending: Option<Arc<Batch>>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.sending.is_none()
    }

    /// Returns the value of a key: `None` if only the store can tell.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        let sending = || self.sending.as_ref()?.changes.get(key);
        self.open.changes.get(key).or_else(sending)
    }

    /// Returns the value that a key has if all that is held is taken: `None` if nothing held tells.
    pub(super) fn tells(&self, key: &[u8]) -> Option<Option<&Bytes>> {
        self.open.tells(key).or_else(|| self.sending.as_ref()?.tells(key))
    }

    /// Returns whether the store alone can answer for a range.
    pub(super) fn is_unchanged(&self, range: KeyRange<'_>) -> bool {
        let is_unchanged = |batch: &Arc<Batch>| batch.changes.is_unchanged(range);
        is_unchanged(&self.open) && self.sending.iter().all(is_unchanged)
    }

    /// Returns the entries from `start` on that follow from a page of the store: up to its last key, or
    /// to `end` if it is empty.
    pub(super) fn over(
        &self,
        start: &[u8],
        end: &[u8],
        page: Vec<Entry<Bytes>>,
        mut budget: ScanBudget,
    ) -> Vec<Entry<Bytes>> {
        let last = page.last().map(|last| last.key.clone());
        let range = match &last {
            Some(last) => (Bound::Included(start), Bound::Included(&last[..])),
            None => match key_range(start, end) {
                Some(range) => range,
                None => return Vec::new(),
            },
        };
        let nothing = Batch::default();
        let sending = self.sending.as_deref().unwrap_or(&nothing);
        let mut open = self.open.changes.range(range).peekable();
        let mut sending = sending.changes.range(range).peekable();
        let mut stored = page.into_iter().peekable();
        let mut answer = Vec::new();
        loop {
            let (first, second) = (open.peek().map(|(key, _)| *key), sending.peek().map(|(key, _)| *key));
            let third = stored.peek().map(|entry| &entry.key);
            let Some(least) = [first, second, third].into_iter().flatten().min() else { return answer };
            let [first, second, third] = [first, second, third].map(|key| key == Some(least));
            // All of them go on; the latest counts.
            let stored = third.then(|| stored.next()).flatten();
            let sending = second.then(|| sending.next()).flatten();
            let open = first.then(|| open.next()).flatten();
            let entry = match (open.or(sending), stored) {
                (Some((key, value)), _) => {
                    let Some(value) = value else { continue };
                    Entry { key: key.clone(), value: value.clone() }
                }
                (None, Some(entry)) => entry,
                (None, None) => continue,
            };
            if !budget.take(entry.key.len() + entry.value.len()) {
                return answer;
            }
            answer.push(entry);
        }
    }
}
