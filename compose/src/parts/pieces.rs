//! Writes and reads parts as pieces: ranges of a result, and kept bytes.

use crate::limits::MAX_KEPT_BYTES;
use crate::wasm::sections::{read_number, sections, write_number};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// Sections that parts and result have in common, byte for byte: custom sections, core modules,
/// components.
const COMMON_SECTIONS: [u8; 3] = [0, 1, 4];

/// Shorter sections are kept instead of looked up.
const SHORT_BYTES: usize = 64;

/// The sections of a result that pieces may refer to, by identifier and length.
type SectionIndex = HashMap<(u8, usize), Vec<Range<usize>>>;

fn index_sections(bytes: &[u8]) -> SectionIndex {
    let mut index = SectionIndex::new();
    for section in sections(bytes).unwrap_or_default() {
        if COMMON_SECTIONS.contains(&section.id) && section.body.len() >= SHORT_BYTES {
            index.entry((section.id, section.body.len())).or_default().push(section.body);
        }
    }
    index
}

/// Writes parts as pieces.
pub(super) struct Writer<'a> {
    body: &'a [u8],
    index: SectionIndex,
    /// For each part: the number of copied ranges, then for each the number of kept bytes before
    /// it, its offset and its length, and at last the number of kept bytes after all.
    pub(super) table: Vec<u8>,
    pub(super) kept: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, index: index_sections(body), table: Vec::new(), kept: Vec::new() }
    }

    pub(super) fn part(&mut self, part: &[u8]) {
        const COMPONENT: u8 = 4;
        // A composed part is in the result as a whole component.
        let copies: Vec<(Range<usize>, usize)> = match self.find(COMPONENT, part) {
            Some(offset) => vec![(0..part.len(), offset)],
            None => {
                let sections = sections(part).unwrap_or_default().into_iter();
                let copies = sections.filter_map(|section| {
                    let offset = self.find(section.id, part.get(section.body.clone())?)?;
                    Some((section.body, offset))
                });
                copies.collect()
            }
        };
        write_number(&mut self.table, copies.len());
        let mut done = 0;
        for (range, offset) in copies {
            let kept = part.get(done..range.start).unwrap_or_default();
            self.kept.extend_from_slice(kept);
            [kept.len(), offset, range.len()].into_iter().for_each(|n| write_number(&mut self.table, n));
            done = range.end;
        }
        let kept = part.get(done..).unwrap_or_default();
        self.kept.extend_from_slice(kept);
        write_number(&mut self.table, kept.len());
    }

    /// Writes a part that is one range of the result.
    pub(super) fn range(&mut self, range: Range<usize>) {
        let copies = usize::from(!range.is_empty());
        write_number(&mut self.table, copies);
        if copies > 0 {
            [0, range.start, range.len()].into_iter().for_each(|n| write_number(&mut self.table, n));
        }
        write_number(&mut self.table, 0);
    }

    fn find(&self, id: u8, bytes: &[u8]) -> Option<usize> {
        let mut same = self.index.get(&(id, bytes.len()))?.iter();
        same.find(|range| self.body.get((*range).clone()) == Some(bytes)).map(|range| range.start)
    }
}

/// A part: kept bytes and ranges of the result in turns.
pub(super) struct Pieces<'a> {
    pieces: Vec<(Range<usize>, &'a [u8])>,
    pub(super) length: usize,
}

impl<'a> Pieces<'a> {
    /// Reads a part from the table, and adds its kept bytes to `used`.
    pub(super) fn read(table: &mut &[u8], used: &mut usize, body: &'a [u8]) -> Option<Self> {
        let mut found = Self { pieces: Vec::new(), length: 0 };
        let mut copies = read_number(table)?;
        loop {
            let kept = *used..used.checked_add(read_number(table)?)?;
            *used = kept.end;
            let copied = if copies == 0 {
                &[]
            } else {
                let (offset, length) = (read_number(table)?, read_number(table)?);
                body.get(offset..offset.checked_add(length)?)?
            };
            found.length = found.length.checked_add(kept.len())?.checked_add(copied.len())?;
            found.pieces.push((kept, copied));
            // No range is in a part twice, so a short file cannot ask for much memory.
            if found.length > body.len() + MAX_KEPT_BYTES as usize {
                return None;
            }
            if copies == 0 {
                return Some(found);
            }
            copies -= 1;
        }
    }

    /// Returns the part if it is one range of the result, or empty.
    pub(super) fn whole(&self) -> Option<&'a [u8]> {
        match self.pieces.as_slice() {
            [(none, copied), (last, _)] if none.is_empty() && last.is_empty() => Some(copied),
            [(last, _)] if last.is_empty() => Some(&[]),
            _ => None,
        }
    }

    pub(super) fn put_together(&self, kept: &[u8]) -> Cow<'a, [u8]> {
        if let Some(whole) = self.whole() {
            return Cow::Borrowed(whole);
        }
        let mut part = Vec::with_capacity(self.length);
        for (range, copied) in &self.pieces {
            part.extend_from_slice(kept.get(range.clone()).unwrap_or_default());
            part.extend_from_slice(copied);
        }
        Cow::Owned(part)
    }
}
