//! The knowledge of an opener from its last turn. With it, the opener reads only what others
//! appended when it takes the store back.

use crate::directory::File;
use crate::index::{Index, changes_of};
use crate::list::{List, ListedTable, Part};
use crate::records::{Record, Records, replay_bytes_of};
use crate::salt::Salt;
use crate::usage::Used;
use kvfs_contract::StoreError;

/// Most bytes of indexes of what others appended. An opening reads more one record at a time.
const MAX_TAIL_BYTES: usize = 4 << 20;

/// The knowledge of an opener from its last turn.
#[derive(Debug)]
pub(crate) struct Known {
    /// The segments as far as they were read or written, oldest first. The last is its own.
    pub(crate) parts: Vec<Part>,
    pub(crate) tables: Vec<ListedTable>,
    /// The tables have all changes of the segments before this epoch.
    pub(crate) covered_before: u64,
}

/// Changes that others appended.
pub(crate) struct Tail {
    /// The segments that they began.
    pub(crate) begun: Vec<u64>,
    /// The known segments that they collected. What counted in them is in the records.
    pub(crate) gone: Vec<u64>,
    pub(crate) records: Vec<Record>,
    pub(crate) replay_bytes: u64,
    /// The tables of the store, which are the known ones.
    pub(crate) tables: Vec<ListedTable>,
}

impl Tail {
    /// Takes the changes into the index that they follow. If a table turns out damaged, the index
    /// knows.
    pub(crate) fn take_into<F: File>(&self, index: &mut Index<F>) {
        for &epoch in &self.gone {
            index.usage.forget(epoch);
        }
        // A removal of what was in these segments may have gone with its own segment, unseen.
        if !self.gone.is_empty() {
            index.small.clear();
        }
        for &epoch in &self.begun {
            index.usage.enter(epoch, Used::default());
        }
        // An index that is damaged is made anew before anybody asks it.
        let _ = self.records.iter().try_for_each(|record| index.take_in(record));
    }
}

impl Known {
    /// Returns whether a part of a segment was read or written in the last turn. A salt tells the
    /// segment from another of the same number.
    pub(crate) fn has(&self, epoch: u64, accepted_bytes: u64, salt: Salt) -> bool {
        let found = self.parts.binary_search_by_key(&epoch, |(epoch, ..)| *epoch).ok();
        let part = found.and_then(|found| self.parts.get(found));
        salt != Salt::NONE && part.is_some_and(|&(_, known, _, of)| of == salt && known >= accepted_bytes)
    }

    /// Reads what others appended; `None` if they made a checkpoint, collected many segments or
    /// appended much. `list` is that of the newest segment, `segments` are those that count, it
    /// included.
    pub(crate) fn tail<'a, F: File + 'a>(
        &self,
        list: &List,
        segments: impl Iterator<Item = (Part, &'a F)>,
    ) -> Result<Option<Tail>, StoreError> {
        let same = list.tables == self.tables && list.replay_from == self.covered_before;
        let Some((own, before)) = self.parts.split_last().filter(|_| same) else { return Ok(None) };
        let is_collected = |epoch: u64, accepted: &dyn Fn(u64) -> bool| {
            list.collected.iter().any(|&(of, accepted_bytes)| of == epoch && accepted(accepted_bytes))
        };
        let mut before = before.iter().peekable();
        let mut tail = Tail {
            begun: Vec::new(),
            gone: Vec::new(),
            records: Vec::new(),
            replay_bytes: 0,
            tables: self.tables.clone(),
        };
        let mut index_bytes = 0;
        let mut has_own = is_collected(own.0, &|accepted_bytes| accepted_bytes >= own.1);
        if has_own {
            tail.gone.push(own.0);
        }
        for ((epoch, accepted_bytes, _, salt), file) in segments {
            while let Some(gone) = before.next_if(|known| known.0 < epoch) {
                if !is_collected(gone.0, &|accepted_bytes| accepted_bytes == gone.1) {
                    return Ok(None);
                }
                tail.gone.push(gone.0);
            }
            let from = match epoch.cmp(&own.0) {
                std::cmp::Ordering::Less => {
                    let same =
                        before.next().is_some_and(|known| known.0 == epoch && known.1 == accepted_bytes);
                    if !same || !self.has(epoch, accepted_bytes, salt) {
                        return Ok(None);
                    }
                    continue;
                }
                std::cmp::Ordering::Equal => {
                    has_own = own.3 == salt && salt != Salt::NONE && own.1 <= accepted_bytes;
                    own.1
                }
                std::cmp::Ordering::Greater => {
                    tail.begun.push(epoch);
                    0
                }
            };
            if !has_own {
                return Ok(None);
            }
            let mut records = Records::new(file, epoch, from, accepted_bytes, Some(salt));
            while let Some(record) = records.next()? {
                tail.replay_bytes += replay_bytes_of(record.header.record_bytes(), record.index.len());
                index_bytes += record.index.len();
                if index_bytes > MAX_TAIL_BYTES {
                    return Ok(None);
                }
                if record.has_changes() {
                    changes_of(&record)?;
                    tail.records.push(record);
                }
            }
            if records.offset() != accepted_bytes {
                return Ok(None);
            }
        }
        for gone in before {
            if !is_collected(gone.0, &|accepted_bytes| accepted_bytes == gone.1) {
                return Ok(None);
            }
            tail.gone.push(gone.0);
        }
        Ok(has_own.then_some(tail))
    }
}
