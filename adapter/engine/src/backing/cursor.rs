//! The place of a scan in several layers, whose records come in the order of their keys.

use crate::store::Entry;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// Where a scan of all layers is. It goes on from page to page with what was read and not returned, so
/// that records of low layers are not read again for each page.
#[derive(Debug)]
pub(crate) struct Cursor {
    runs: Vec<Run>,
    /// Room for the numbers of layers below that have the next record too.
    behind: Vec<usize>,
    end: Vec<u8>,
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
        Self {
            runs: asks.iter().map(run).collect(),
            behind: Vec::new(),
            end: end.to_vec(),
            max_entries,
            max_bytes,
        }
    }

    /// Returns whether a page of so many entries and bytes ends.
    pub(super) fn is_full(&self, entries: usize, bytes: usize) -> bool {
        entries >= self.max_entries as usize || bytes >= self.max_bytes as usize
    }

    /// Returns what has to be asked before the next entry is known. A layer that had as much as it was
    /// asked for is asked for twice as much.
    pub(super) fn lacking(&mut self) -> Option<Asked> {
        let lacks = |run: &Run| run.entries.is_empty() && run.next.is_some();
        let layer = self.runs.iter().position(lacks)?;
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
        }
    }

    /// Takes the next record, and the number of the layer that has it. Of the values of one key, the
    /// highest one wins.
    pub(super) fn next_entry(&mut self) -> Option<(Entry, usize)> {
        let mut least: Option<(&[u8], usize)> = None;
        self.behind.clear();
        for (number, run) in self.runs.iter().enumerate() {
            let Some(entry) = run.entries.front() else { continue };
            match least.map_or(Ordering::Less, |(key, _)| entry.key.as_slice().cmp(key)) {
                Ordering::Less => {
                    least = Some((&entry.key, number));
                    self.behind.clear();
                }
                Ordering::Equal => self.behind.push(number),
                Ordering::Greater => {}
            }
        }
        let (_, from) = least?;
        let entry = self.runs.get_mut(from)?.entries.pop_front()?;
        for number in &self.behind {
            if let Some(run) = self.runs.get_mut(*number) {
                run.entries.pop_front();
            }
        }
        Some((entry, from))
    }
}
