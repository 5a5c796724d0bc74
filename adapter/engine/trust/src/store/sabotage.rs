//! The saboteur: breaks one promise of a store at a time.

use super::applied::{Applied, Change, Map, is_commit_record, is_tombstone, tag_of};
use std::rc::Rc;

/// The ways of the saboteur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Guards are not checked.
    NoGuards,
    /// Orphan records never reach the store.
    NoOrphanRecords,
    /// Reap records never reach the store.
    NoReapRecords,
    /// An apply with metadata and bytes is split, and its metadata becomes visible first.
    MetadataFirst,
    /// Entries reach the store one apply before the inodes they name.
    EntriesFirst,
    /// Deletes of extents are forgotten.
    NoExtentDeletes,
    /// Tombstones never reach the store.
    NoTombstones,
    /// Every superblock counts one name too few.
    MiscountsNames,
    /// Every layer has one user at most, whoever stands on it.
    MiscountsUsers,
    /// Layers are never frozen: two volumes think that they have the same top.
    SharesTops,
    /// A fork or snapshot lacks the last file or directory that was made in the layer that it stands on.
    LosesSuffix,
    /// A durable apply is only buffered.
    NotDurable,
    /// Only the superblock of every seventh apply reaches the store.
    LosesAnApply,
    /// A journal's commit record never reaches the store.
    NoCommitRecords,
    /// A journal's commit record is deleted before its changes are in place.
    JournalDeletedFirst,
    /// A refused apply leaves the names that it carried.
    RefusalLeavesNames,
}

impl Sabotage {
    /// Returns what the store makes of the `number`th apply, counted from one, on this map.
    pub(super) fn broken(self, mut applied: Applied, number: u64, map: &Map) -> Vec<Applied> {
        let mut forget = |tag: u8, puts: bool| {
            applied.changes.retain(|(key, value)| tag_of(key) != tag || value.is_some() != puts);
        };
        let mut first: fn(u8) -> bool = |_| true;
        match self {
            Self::NoGuards | Self::RefusalLeavesNames => {}
            Self::NoOrphanRecords => forget(0x31, true),
            Self::NoReapRecords => forget(0x30, true),
            Self::NoExtentDeletes => forget(0x20, false),
            Self::NoTombstones => {
                applied.changes.retain(|(_, value)| !value.as_ref().is_some_and(|value| is_tombstone(value)));
            }
            Self::MiscountsNames => {
                for (key, value) in applied.changes.iter_mut().filter(|(key, _)| tag_of(key) == 0) {
                    *value = value.as_ref().map(|value| miscounted(key, value));
                }
            }
            Self::MiscountsUsers => {
                for (key, value) in applied.changes.iter_mut().filter(|(key, _)| tag_of(key) == 0x03) {
                    *value = value.as_ref().map(|value| with_one_user(key, value));
                }
            }
            Self::SharesTops => {
                // The origin of a fork keeps its top layer, on which the fork stands.
                if is_fork(&applied)
                    && let Some(at) = applied.changes.iter().position(|(key, _)| tag_of(key) == 0)
                {
                    applied.changes.remove(at);
                }
            }
            Self::LosesSuffix if is_fork(&applied) => {
                let headers = applied.changes.iter().filter(|(key, _)| tag_of(key) == 0x03);
                let last = headers.filter_map(|(header, _)| {
                    let layer = header.split_last()?.1;
                    map.keys().rfind(|key| key.starts_with(layer) && tag_of(key) == 0x10)
                });
                let lost: Vec<Change> = last.map(|key| (key.clone(), None)).collect();
                applied.changes.extend(lost);
            }
            Self::LosesSuffix => {}
            Self::NotDurable => applied.durable = false,
            Self::LosesAnApply if number.is_multiple_of(7) => {
                applied.changes.retain(|(key, _)| tag_of(key) == 0);
            }
            Self::LosesAnApply => {}
            Self::NoCommitRecords => {
                applied.changes.retain(|(key, value)| !is_commit_record(key) || value.is_none());
            }
            Self::JournalDeletedFirst if applied.settles(map) => {
                if let Some((key, _)) = map.iter().find(|(key, _)| is_commit_record(key)) {
                    applied.changes.push((key.clone(), None));
                }
            }
            Self::JournalDeletedFirst => {}
            Self::MetadataFirst => first = |tag| tag != 0x20,
            Self::EntriesFirst => first = |tag| tag == 0x11,
        }
        let (durable, by_tool) = (applied.durable, applied.by_tool);
        let (ahead, behind): (Vec<_>, Vec<_>) =
            applied.changes.into_iter().partition(|(key, _)| first(tag_of(key)));
        if behind.is_empty() || ahead.is_empty() {
            let changes = if behind.is_empty() { ahead } else { behind };
            return vec![Applied { changes, durable, settles: false, by_tool }];
        }
        vec![
            Applied { changes: ahead, durable: false, settles: false, by_tool },
            Applied { changes: behind, durable, settles: false, by_tool },
        ]
    }

    /// Returns the changes that a refused apply leaves.
    pub(super) fn left_of_refused(self, changes: Vec<Change>) -> Vec<Change> {
        match self {
            Self::RefusalLeavesNames => changes.into_iter().filter(|(key, _)| tag_of(key) == 0x11).collect(),
            _ => Vec::new(),
        }
    }
}

/// Returns whether a volume is forked: its top is frozen, and there are two new ones.
fn is_fork(applied: &Applied) -> bool {
    applied.changes.iter().filter(|(key, _)| tag_of(key) == 0x03).count() == 3
}

/// Makes the header of a layer count at most one that stands on it.
fn with_one_user(key: &[u8], value: &[u8]) -> Rc<[u8]> {
    let mut body = value[16..].to_vec();
    let users = u64::from_be_bytes(body[4..12].try_into().expect("eight bytes"));
    body[4..12].copy_from_slice(&users.min(1).to_be_bytes());
    kvfs::fuzzing::framed(key, 0x03, &body).into()
}

/// Lowers the superblock's count of names, its last number but one.
fn miscounted(key: &[u8], value: &[u8]) -> Rc<[u8]> {
    let mut body = value[16..].to_vec();
    let at = body.len() - 16;
    let names = u64::from_be_bytes(body[at..at + 8].try_into().expect("eight bytes"));
    body[at..at + 8].copy_from_slice(&names.wrapping_sub(1).to_be_bytes());
    kvfs::fuzzing::framed(key, 0, &body).into()
}
