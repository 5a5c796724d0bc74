//! An apply and its role in a commit.

use std::collections::BTreeMap;
use std::rc::Rc;

pub type Map = BTreeMap<Vec<u8>, Rc<[u8]>>;

/// A key and its new value, `None` for a delete.
pub type Change = (Vec<u8>, Option<Rc<[u8]>>);

/// One successful apply.
#[derive(Debug, Clone)]
pub struct Applied {
    pub changes: Vec<Change>,
    pub durable: bool,
    /// Whether it puts a committed journal in place, or deletes one. Losing it changes nothing.
    pub settles: bool,
    /// Whether a tool made it, beside the volume's writer.
    pub by_tool: bool,
}

/// Returns whether this is the key of a journal's commit record.
pub(super) fn is_commit_record(key: &[u8]) -> bool {
    tag_of(key) == 0x02 && key.len() == 2 + usize::from(key.first().copied().unwrap_or_default())
}

/// Returns whether the value is a tombstone.
pub(super) fn is_tombstone(value: &[u8]) -> bool {
    value.len() == 16 && value[9] == 0x40
}

impl Applied {
    pub fn replay(&self, map: &mut Map) {
        for (key, value) in &self.changes {
            match value {
                Some(value) => map.insert(key.clone(), Rc::clone(value)),
                None => map.remove(key),
            };
        }
    }

    /// Returns whether it sends file bytes ahead, as a split commit does before its last apply.
    pub fn is_stage(&self) -> bool {
        let is_bytes = |value: &Option<Rc<[u8]>>| value.as_ref().is_some_and(|value| !is_tombstone(value));
        let puts_extent = self.changes.iter().any(|(key, value)| tag_of(key) == 0x20 && is_bytes(value));
        puts_extent && !self.settles && !self.by_tool && !self.ends_commit()
    }

    /// Returns whether it makes a commit's metadata valid, directly or by a journal's commit record.
    pub fn ends_commit(&self) -> bool {
        let puts_inode = self.changes.iter().any(|(key, _)| tag_of(key) == 0x10);
        !self.by_tool && (self.commits_journal() || (!self.settles && puts_inode))
    }

    pub fn commits_journal(&self) -> bool {
        self.changes.iter().any(|(key, value)| is_commit_record(key) && value.is_some())
    }

    /// Returns whether it settles a journal of `map`.
    pub(super) fn settles(&self, map: &Map) -> bool {
        let deletes_part = |(key, value): &Change| tag_of(key) == 0x02 && value.is_none();
        let key = self.changes.iter().map(|(key, _)| key).find(|key| tag_of(key) == 0);
        let commit = key.map(|key| [&key[..key.len() - 1], &[0x02]].concat());
        self.changes.iter().any(deletes_part) || commit.is_some_and(|key| map.contains_key(&key))
    }
}

/// The tag of a record's key.
pub fn tag_of(key: &[u8]) -> u8 {
    let name = usize::from(key.first().copied().unwrap_or_default());
    key.get(1 + name).copied().unwrap_or_default()
}
