//! The place of a scan in several layers, whose records come in the order of their keys.

use crate::store::Entry;
use std::collections::VecDeque;

/// Where a scan of all layers is. It goes on from page to page with what was read and not returned, so
/// that records of low layers are not read again for each page.
#[derive(Debug)]
pub(crate) struct Cursor {
    runs: Vec<Run>,
    /// The layers that have records here, by the first of each: the last one is the next to be taken. Of
    /// layers that have the same record, the highest one comes first.
    order: Vec<usize>,
    /// The layers that are to be asked before the next record is known.
    lacking: Vec<usize>,
    end: Vec<u8>,
    /// All keys of the scan begin with the same so many bytes.
    alike_bytes: usize,
    max_entries: u32,
    max_bytes: u32,
}

/// Records of one layer that are not merged yet, in order, with keys and values as the top layer would
/// have them.
#[derive(Debug)]
struct Run {
    entries: VecDeque<Entry>,
    /// The key from which the layer may have more; `None`: it has not.
    next: Option<Vec<u8>>,
    /// How much the layer is asked for next.
    max_entries: u32,
    max_bytes: u32,
}

/// A question for records of a layer.
#[derive(Debug)]
pub(crate) struct Asked {
    /// 0 is the top one.
    pub(crate) layer: usize,
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
    pub(crate) max_entries: u32,
    pub(crate) max_bytes: u32,
}

impl Cursor {
    /// A page has at most so many entries, and ends with the one by which it has so many bytes.
    /// Those of the layers are asked for which this is said.
    pub(super) fn new(asks: &[bool], start: &[u8], end: &[u8], max_entries: u32, max_bytes: u32) -> Self {
        // All layers together have a page, and few have more than twice their share of it.
        let asked = asks.iter().filter(|asks| **asks).count();
        let layers_count = u32::try_from(asked).unwrap_or(u32::MAX).max(1);
        let share = |most: u32| (most / layers_count).saturating_mul(2).clamp(most.min(1), most);
        let run = |asks: &bool| Run {
            entries: VecDeque::new(),
            next: asks.then(|| start.to_vec()),
            max_entries: share(max_entries),
            max_bytes: share(max_bytes),
        };
        let lacking = (0..asks.len()).rev().filter(|layer| asks.get(*layer) == Some(&true)).collect();
        let runs = asks.iter().map(run).collect();
        let alike_bytes = start.iter().zip(end).take_while(|(start, end)| start == end).count();
        Self { runs, order: Vec::new(), lacking, end: end.to_vec(), alike_bytes, max_entries, max_bytes }
    }

    /// Returns whether a page of so many entries and bytes ends.
    pub(super) fn is_full(&self, entries: usize, bytes: usize) -> bool {
        entries >= self.max_entries as usize || bytes >= self.max_bytes as usize
    }

    /// Returns what has to be asked before the next entry is known. A layer that had as much as it was
    /// asked for is asked for twice as much.
    pub(super) fn lacking(&mut self) -> Option<Asked> {
        let layer = self.lacking.pop()?;
        let run = self.runs.get_mut(layer)?;
        let asked = Asked {
            layer,
            start: run.next.take()?,
            end: self.end.clone(),
            max_entries: run.max_entries,
            max_bytes: run.max_bytes,
        };
        run.max_entries = run.max_entries.saturating_mul(2).min(self.max_entries);
        run.max_bytes = run.max_bytes.saturating_mul(2).min(self.max_bytes);
        Some(asked)
    }

    /// Takes an answer, and the key from which the layer may have more.
    pub(super) fn give(&mut self, asked: &Asked, entries: Vec<Entry>, next: Option<Vec<u8>>) {
        if let Some(run) = self.runs.get_mut(asked.layer) {
            (run.entries, run.next) = (entries.into(), next);
            self.put_in_order(asked.layer);
        }
    }

    /// Takes the next record, and the number of the layer that has it. Of the values of one key, the
    /// highest one wins.
    pub(super) fn next_entry(&mut self) -> Option<(Entry, usize)> {
        let from = self.order.pop()?;
        let entry = self.take_first(from)?;
        while let Some(other) = self.order.last().copied()
            && self.first_key(other) == entry.key.get(self.alike_bytes..)
        {
            self.order.pop();
            self.take_first(other);
        }
        Some((entry, from))
    }

    /// Returns the key of the first record of a layer, without what all keys begin with.
    fn first_key(&self, layer: usize) -> Option<&[u8]> {
        let first = self.runs.get(layer)?.entries.front()?;
        Some(first.key.get(self.alike_bytes..).unwrap_or_default())
    }

    /// Takes the first record of a layer that is not in order, and puts the layer there by its next one.
    fn take_first(&mut self, layer: usize) -> Option<Entry> {
        let entry = self.runs.get_mut(layer)?.entries.pop_front()?;
        self.put_in_order(layer);
        Some(entry)
    }

    fn put_in_order(&mut self, layer: usize) {
        match self.first_key(layer) {
            Some(key) => {
                let is_later = |other: &usize| (self.first_key(*other), *other) > (Some(key), layer);
                let place = self.order.partition_point(is_later);
                self.order.insert(place, layer);
            }
            None if self.runs.get(layer).is_some_and(|run| run.next.is_some()) => self.lacking.push(layer),
            None => {}
        }
    }
}
