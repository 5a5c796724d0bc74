//! What a file counts against a quota.

use super::{Answer, Id, Model, Object, What};
use kvfs::{Code, Quota};
use std::collections::BTreeSet;
use std::rc::Rc;

/// How a volume lays files out, which says what they cost.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub extent_bytes: u64,
    pub inline_bytes: u64,
}

/// What of a file counts against a quota: all of a small one; of others no more than the extents that
/// were ever written to. A file counts as small until it is larger, and again once it was empty.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    size: u64,
    /// The end of what was written to a small file.
    written: u64,
    extents: Option<BTreeSet<u64>>,
}

impl Cost {
    fn enlarge(&mut self) -> &mut BTreeSet<u64> {
        let written = self.written;
        self.extents.get_or_insert_with(|| if written > 0 { [0].into() } else { BTreeSet::new() })
    }

    pub(super) fn write(&mut self, offset: u64, length: u64, layout: Layout) {
        let end = offset + length;
        self.size = self.size.max(end);
        if self.extents.is_none() && self.size <= layout.inline_bytes {
            self.written = self.written.max(end);
        } else {
            self.enlarge().extend(offset / layout.extent_bytes..=(end - 1) / layout.extent_bytes);
        }
    }

    pub(super) fn resize(&mut self, size: u64, layout: Layout) {
        if self.extents.is_none() && size > layout.inline_bytes {
            self.enlarge();
        }
        (self.size, self.written) = (size, self.written.min(size));
        if let Some(extents) = &mut self.extents {
            extents.retain(|index| index * layout.extent_bytes < size);
        }
        if size == 0 {
            (self.extents, self.written) = (None, 0);
        }
    }

    pub fn bytes(&self, layout: Layout) -> u64 {
        match &self.extents {
            None => self.size,
            Some(extents) => self.size.min((extents.len() as u64).saturating_mul(layout.extent_bytes)),
        }
    }
}

impl Model {
    /// Bytes and inodes in use.
    pub fn used(&self) -> (u64, u64) {
        let cost = |object: &Rc<Object>| match &object.what {
            What::File(bytes) => bytes.cost.bytes(self.layout),
            What::Symlink(target) => target.len() as u64,
            What::Directory { .. } => 0,
        };
        (self.objects.values().map(cost).sum(), self.objects.len() as u64)
    }

    pub(super) fn check_growth(&self, bytes: u64, inodes: u64) -> Answer<()> {
        if self.quota == Quota::default() {
            return Ok(());
        }
        let used = self.used();
        let over = |used: u64, more: u64, quota: Option<u64>| {
            more > 0 && quota.is_some_and(|quota| used + more > quota)
        };
        if over(used.0, bytes, self.quota.bytes) || over(used.1, inodes, self.quota.inodes) {
            return Err(Code::Quota);
        }
        Ok(())
    }

    /// Checks what a change of a file costs, and returns what it costs after that.
    pub(super) fn cost_after(&self, id: Id, change: impl FnOnce(&mut Cost, Layout)) -> Answer<Cost> {
        let mut cost = self.bytes(id).cost.clone();
        let before = cost.bytes(self.layout);
        change(&mut cost, self.layout);
        self.check_growth(cost.bytes(self.layout).saturating_sub(before), 0)?;
        Ok(cost)
    }
}
