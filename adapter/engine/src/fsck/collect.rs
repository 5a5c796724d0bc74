//! Reads every record of a volume and checks each alone.

use super::{Finding, Invariant, Report};
use crate::error::{Error, Result};
use crate::key::{KeySpace, tag};
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::load::is_storable_name;
use crate::record::inode::Inode;
use crate::record::superblock::{INLINE_BYTES_MAX, Superblock};
use crate::record::{RecordId, dentry, journal, reap, unseal};
use crate::store::{Entry, KvStore};
use crate::types::{Dentry, InodeNo};
use std::collections::{BTreeMap, BTreeSet};

/// What a volume holds: everything that is needed to compare records with each other.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) superblock: Option<Superblock>,
    /// Without the bytes of small files.
    pub(super) inodes: BTreeMap<InodeNo, Inode>,
    /// Inodes whose record is damaged: nothing that refers to them is wrong for that alone.
    pub(super) damaged_inodes: BTreeSet<InodeNo>,
    pub(super) dentries: Vec<(InodeNo, String, Dentry)>,
    /// Entries whose value is damaged, by directory.
    pub(super) damaged_dentries: BTreeMap<InodeNo, u64>,
    /// Indices in ascending order, damaged extents included: they exist.
    pub(super) extents: BTreeMap<InodeNo, Vec<u64>>,
    pub(super) reaps: BTreeMap<InodeNo, reap::Reap>,
    pub(super) orphans: BTreeSet<InodeNo>,
}

pub(super) fn collect(store: &mut dyn KvStore, keys: &KeySpace, report: &mut Report) -> Result<Picture> {
    let limits = store.limits()?;
    let (entries_max, bytes_max) =
        (READDIR_PAGE_ENTRIES.min(limits.max_batch_entries), READDIR_PAGE_BYTES.min(limits.max_batch_bytes));
    let mut picture = Picture::default();
    let (mut start, end) = keys.volume_range();
    let mut seen = false;
    loop {
        let entries = store.scan(&start, &end, entries_max, bytes_max)?;
        let Some(last) = entries.last() else { break };
        seen = true;
        start.clone_from(&last.key);
        start.push(0);
        for entry in &entries {
            let mut found = |invariant: Invariant, what: String| {
                report.findings.push(Finding { invariant, key: entry.key.clone(), what });
            };
            if entry.key.len() > limits.max_key_bytes as usize
                || entry.value.len() > limits.max_value_bytes as usize
            {
                found(Invariant::KeyForm, "longer than the store's limits".to_owned());
            }
            if let Some((tag, rest)) = keys.split(&entry.key) {
                record(&mut picture, keys, tag, rest, entry, &mut found)?;
            }
        }
    }
    if !seen {
        return Err(Error::NoEntry);
    }
    Ok(picture)
}

fn number(rest: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(rest.try_into().ok()?))
}

/// Takes one record into the picture; what is wrong with it is told to `found`.
fn record(
    picture: &mut Picture,
    keys: &KeySpace,
    tag: u8,
    rest: &[u8],
    entry: &Entry,
    found: &mut dyn FnMut(Invariant, String),
) -> Result<()> {
    let Entry { key, value } = entry;
    let inline_bytes =
        picture.superblock.as_ref().map_or(INLINE_BYTES_MAX, |superblock| superblock.inline_bytes);
    match (tag, rest.len()) {
        (tag::SUPERBLOCK, 0) => match Superblock::decode(key, value) {
            Ok(superblock) => picture.superblock = Some(superblock),
            Err(error @ Error::Format(_)) => return Err(error),
            Err(error) => found(Invariant::Value, error.to_string()),
        },
        (tag::INODE, 8) => {
            let ino = InodeNo(number(rest).unwrap_or_default());
            match Inode::decode(key, ino, inline_bytes, value) {
                Ok(mut inode) => {
                    inode.forget_bytes();
                    picture.inodes.insert(ino, inode);
                }
                Err(error) => {
                    picture.damaged_inodes.insert(ino);
                    found(Invariant::Value, error.to_string());
                }
            }
        }
        (tag::DENTRY, 9..) => {
            let (dir, _) = rest.split_at_checked(8).unwrap_or_default();
            let dir = InodeNo(number(dir).unwrap_or_default());
            let Some(name) = keys.dentry_name(dir, key).filter(|name| is_storable_name(name)) else {
                found(Invariant::KeyForm, "a name that no operation could have made".to_owned());
                return Ok(());
            };
            match dentry::decode(key, dir, value) {
                Ok(entry) => picture.dentries.push((dir, name.to_owned(), entry)),
                Err(error) => {
                    *picture.damaged_dentries.entry(dir).or_default() += 1;
                    found(Invariant::Value, error.to_string());
                }
            }
        }
        (tag::EXTENT, 16) => {
            let (ino, index) = rest.split_at_checked(8).unwrap_or_default();
            let (ino, index) = (InodeNo(number(ino).unwrap_or_default()), number(index).unwrap_or_default());
            picture.extents.entry(ino).or_default().push(index);
            let id = RecordId { tag: tag::EXTENT, name: "extent", ino: ino.0 };
            let extent_bytes = picture.superblock.as_ref().map(|superblock| superblock.extent_bytes as usize);
            match unseal(key, id, value) {
                Ok(body) if extent_bytes.is_some_and(|size| body.len() > size) => {
                    found(Invariant::ExtentLength, format!("{} bytes", body.len()));
                }
                Ok(_) => {}
                Err(error) => found(Invariant::Value, error.to_string()),
            }
        }
        (tag::REAP, 8) => {
            let ino = InodeNo(number(rest).unwrap_or_default());
            match reap::decode(key, ino, value) {
                Ok(reap) => drop(picture.reaps.insert(ino, reap)),
                Err(error) => found(Invariant::Value, error.to_string()),
            }
        }
        (tag::ORPHAN, 8) => {
            let ino = InodeNo(number(rest).unwrap_or_default());
            picture.orphans.insert(ino);
            if let Err(error) = reap::decode_orphan(key, ino, value) {
                found(Invariant::Value, error.to_string());
            }
        }
        (tag::JOURNAL, 0 | 8) => {
            let announced = picture.superblock.as_ref().is_none_or(Superblock::has_journal);
            if !announced {
                found(
                    Invariant::Journal,
                    "a record of a journal that the superblock does not know".to_owned(),
                );
            } else if let Err(error) = journal::decode_part(key, value) {
                found(Invariant::Value, error.to_string());
            }
        }
        (tag, length) => found(Invariant::KeyForm, format!("tag {tag:02x} with {length} bytes behind it")),
    }
    Ok(())
}
