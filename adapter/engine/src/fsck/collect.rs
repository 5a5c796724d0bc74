//! Reads every record of a volume, and checks each by itself.

use super::picture::{DamagedDentry, Picture, inode_number};
use super::report::{Finding, Invariant, Report};
use crate::error::{Error, Result};
use crate::limits::{READDIR_PAGE_BYTES, READDIR_PAGE_ENTRIES};
use crate::store::{Entry, KvStore};
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::dentry::is_storable_name;
use crate::stored::record::inode::Inode;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::{MAX_EXTENT_BYTES, MAX_INLINE_BYTES, Superblock};
use crate::stored::record::{RecordId, dentry, journal, reap, unseal};
use crate::types::InodeNo;

pub(super) fn collect(store: &mut dyn KvStore, keys: &KeySpace, report: &mut Report) -> Result<Picture> {
    let limits = store.limits()?;
    let (max_entries, max_bytes) =
        (READDIR_PAGE_ENTRIES.min(limits.max_batch_entries), READDIR_PAGE_BYTES.min(limits.max_batch_bytes));
    let mut picture = Picture::default();
    let mut seen = false;
    for (mut start, end) in keys.record_ranges() {
        loop {
            let entries = store.scan(&start, &end, max_entries, max_bytes)?;
            let Some(last) = entries.last() else { break };
            seen = true;
            start.clone_from(&last.key);
            start.push(0);
            for entry in &entries {
                let mut found = |invariant: Invariant, what: String| {
                    report.findings.push(Finding { invariant, key: entry.key.clone(), what, path: None });
                };
                if entry.key.len() > limits.max_key_bytes as usize
                    || entry.value.len() > limits.max_value_bytes as usize
                {
                    found(Invariant::KeyForm, "longer than the store's limits".to_owned());
                }
                match keys.split_any(&entry.key) {
                    Some((tag, rest)) => record(&mut picture, keys, tag, rest, entry, &mut found)?,
                    None => found(Invariant::KeyForm, "no tag behind the volume's name".to_owned()),
                }
            }
        }
    }
    if !seen {
        return Err(Error::NoEntry);
    }
    Ok(picture)
}

/// Adds one record to the picture. Reports what is wrong with it to `found`.
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
        picture.superblock.as_ref().map_or(MAX_INLINE_BYTES, |superblock| superblock.inline_bytes);
    if (tag, rest) == (tag::SUPERBLOCK, &[]) {
        picture.superblock_value = Some(value.clone());
        match Superblock::decode(key, value) {
            Ok(superblock) => picture.superblock = Some(superblock),
            Err(error @ Error::Format(_)) => return Err(error),
            Err(error) => found(Invariant::Value, error.to_string()),
        }
        return Ok(());
    }
    if (tag, rest) == (tag::SETTINGS, &[]) {
        picture.has_settings = true;
        match SettingsRecord::decode(key, value) {
            Ok(settings) => {
                settings.check_known(false)?;
                picture.settings = Some(settings);
            }
            Err(error) => found(Invariant::Value, error.to_string()),
        }
        return Ok(());
    }
    let strange = |picture: &mut Picture, found: &mut dyn FnMut(Invariant, String), what: String| {
        picture.strange_keys.push(key.clone());
        found(Invariant::KeyForm, what);
        Ok(())
    };
    if tag == tag::JOURNAL && matches!(rest.len(), 0 | 8) {
        picture.has_journal = true;
        let announced = picture.superblock.as_ref().is_none_or(Superblock::has_journal);
        if !announced {
            picture.stray_journal.push(key.clone());
            found(Invariant::Journal, "a record of a journal that the superblock does not know".to_owned());
        } else if let Err(error) = journal::decode_part(key, value) {
            found(Invariant::Value, error.to_string());
        }
        return Ok(());
    }
    let known = matches!(tag, tag::INODE | tag::DENTRY | tag::EXTENT | tag::REAP | tag::ORPHAN);
    let Some((ino, rest)) = inode_number(rest).filter(|_| known) else {
        return strange(picture, found, format!("tag {tag:02x} with {} bytes behind it", rest.len()));
    };
    match (tag, rest.len()) {
        (tag::INODE, 0) => match Inode::decode(key, ino, inline_bytes, value) {
            Ok(mut inode) => {
                inode.forget_bytes();
                picture.inodes.insert(ino, inode);
            }
            Err(error) => {
                picture.damaged_inodes.insert(ino);
                found(Invariant::Value, error.to_string());
            }
        },
        (tag::DENTRY, _) => {
            let Some(name) = keys.dentry_name(ino, key).filter(|name| is_storable_name(name)) else {
                return strange(picture, found, "a name that no operation could have made".to_owned());
            };
            match dentry::decode(key, ino, value) {
                Ok(entry) => picture.dentries.push((ino, name.to_owned(), entry)),
                Err(error) => {
                    let hint = dentry::guess(value);
                    picture.damaged_dentries.push(DamagedDentry { dir: ino, name: name.to_owned(), hint });
                    found(Invariant::Value, error.to_string());
                }
            }
        }
        (tag::EXTENT, 8) => extent(picture, ino, rest, entry, found),
        (tag::REAP, 0) => match reap::decode(key, ino, value) {
            Ok(reap) => drop(picture.reaps.insert(ino, reap)),
            Err(error) => {
                picture.damaged_reaps.insert(ino);
                found(Invariant::Value, error.to_string());
            }
        },
        (tag::ORPHAN, 0) => {
            picture.orphans.insert(ino);
            if let Err(error) = reap::decode_orphan(key, ino, value) {
                picture.damaged_orphans.insert(ino);
                found(Invariant::Value, error.to_string());
            }
        }
        (tag, length) => {
            return strange(picture, found, format!("tag {tag:02x} with {} bytes behind it", 8 + length));
        }
    }
    Ok(())
}

fn extent(
    picture: &mut Picture,
    ino: InodeNo,
    index: &[u8],
    Entry { key, value }: &Entry,
    found: &mut dyn FnMut(Invariant, String),
) {
    let index = index.try_into().map_or(0, u64::from_be_bytes);
    picture.extents.entry(ino).or_default().push(index);
    let id = RecordId { tag: tag::EXTENT, name: "extent", ino: ino.0 };
    let extent_bytes =
        picture.superblock.as_ref().map_or(MAX_EXTENT_BYTES, |superblock| superblock.extent_bytes);
    match unseal(key, id, value) {
        Ok(body) if body.len() > extent_bytes as usize => {
            picture.damaged_extents.push((ino, index));
            found(Invariant::ExtentLength, format!("{} bytes", body.len()));
        }
        Ok(body) => picture.longest_extent_bytes = picture.longest_extent_bytes.max(body.len()),
        Err(error) => {
            picture.damaged_extents.push((ino, index));
            found(Invariant::Value, error.to_string());
        }
    }
}
