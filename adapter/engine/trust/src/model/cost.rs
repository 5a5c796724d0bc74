//! The bytes of a file that count against a quota.

use std::collections::{BTreeMap, BTreeSet};

/// The volume's file layout, which decides what files cost.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub extent_bytes: u64,
    pub inline_bytes: u64,
}

/// The charged bytes of a file. A small file is charged its size. A larger one is charged its size
/// too, but no more than the extents that were ever written to, except those of an image. A file is
/// small until it grows larger, and again after it was empty.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    size: u64,
    /// End of the bytes written to a small file.
    written: u64,
    /// Extents, each with the end of the bytes written to it.
    extents: Option<BTreeMap<u64, u64>>,
    /// The extents that lie in an image.
    below: BTreeSet<u64>,
}

impl Cost {
    fn enlarge(&mut self) -> &mut BTreeMap<u64, u64> {
        let written = self.written;
        self.extents.get_or_insert_with(|| match written {
            0 => BTreeMap::new(),
            _ => [(0, written)].into(),
        })
    }

    pub(super) fn write(&mut self, offset: u64, length: u64, layout: Layout) {
        let end = offset + length;
        self.size = self.size.max(end);
        if self.extents.is_none() && self.size <= layout.inline_bytes {
            self.written = self.written.max(end);
            return;
        }
        for index in offset / layout.extent_bytes..=(end - 1) / layout.extent_bytes {
            let within = (end - index * layout.extent_bytes).min(layout.extent_bytes);
            let known = self.enlarge().entry(index).or_default();
            *known = within.max(*known);
            self.below.remove(&index);
        }
    }

    pub(super) fn resize(&mut self, size: u64, layout: Layout) {
        if self.extents.is_none() && size > layout.inline_bytes {
            self.enlarge();
        }
        (self.size, self.written) = (size, self.written.min(size));
        if let Some(extents) = &mut self.extents {
            extents.retain(|index, _| index.saturating_mul(layout.extent_bytes) < size);
            self.below.retain(|index| extents.contains_key(index));
            let (tail, within) = (size / layout.extent_bytes, size % layout.extent_bytes);
            if let Some(end) = extents.get_mut(&tail).filter(|end| **end > within) {
                // Cutting an extent copies it up from the image.
                *end = within;
                self.below.remove(&tail);
            }
        }
        if size == 0 {
            (self.extents, self.written) = (None, 0);
            self.below.clear();
        }
    }

    pub(super) fn lie_below(&mut self) {
        self.below = self.extents.iter().flat_map(BTreeMap::keys).copied().collect();
    }

    pub fn bytes(&self, layout: Layout) -> u64 {
        match &self.extents {
            None => self.size,
            Some(extents) => {
                let own = (extents.len() - self.below.len()) as u64;
                self.size.min(own.saturating_mul(layout.extent_bytes))
            }
        }
    }
}
