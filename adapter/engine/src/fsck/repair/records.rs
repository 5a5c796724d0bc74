//! Repairs records that cannot be read.

use super::keep::{keep_and_remove, remove_journal_record};
use super::missing::{entries_in, last_extent, rebuilt_file};
use super::work::Work;
use super::writer::Change;
use crate::error::Result;
use crate::fsck::picture::{DamagedDentry, Picture};
use crate::fsck::relate::{Names, names};
use crate::stored::record::inode::Content;
use crate::types::{Dentry, InodeNo, Kind};
use std::collections::{BTreeMap, BTreeSet};

/// Repairs damaged entries. If the guess at a damaged value names an inode that lacks just this
/// name, it is believed. Other records are kept; their inodes go to `lost+found` later if nothing
/// else names them.
pub(super) fn entries(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    let mut names = names(picture);
    for damaged in &picture.damaged_dentries {
        let key = work.writer.dentry_key(damaged.dir, &damaged.name);
        match damaged.hint.filter(|hint| lacks_a_name(picture, &names, damaged, *hint)) {
            Some(entry) => {
                names.entry(entry.ino).or_default().count += 1;
                work.writer.put(work.writer.dentry_change(damaged.dir, &damaged.name, entry))?;
                work.note(
                    key,
                    format!("the entry names inode {} again, which lacked this name", entry.ino.0),
                );
            }
            None => keep_and_remove(work, key, "the entry", None)?,
        }
    }
    Ok(())
}

fn lacks_a_name(
    picture: &Picture,
    names: &BTreeMap<InodeNo, Names>,
    damaged: &DamagedDentry,
    hint: Dentry,
) -> bool {
    let known = names.get(&hint.ino).map_or(0, |names| names.count);
    match picture.inodes.get(&hint.ino) {
        Some(inode) if inode.kind != hint.kind || picture.orphans.contains(&hint.ino) => false,
        Some(inode) if inode.kind == Kind::Directory => known == 0 && inode.parent == damaged.dir,
        Some(inode) => u64::from(inode.nlink) > known,
        None => {
            let damaged = picture.damaged_inodes.contains(&hint.ino);
            damaged && known == 0 && !picture.orphans.contains(&hint.ino)
        }
    }
}

/// Repairs all other damaged records.
pub(super) fn others(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    for key in &picture.strange_keys {
        keep_and_remove(work, key.clone(), "a record of no known form", None)?;
    }
    for key in &picture.stray_journal {
        remove_journal_record(work, key.clone(), "a record of a journal that the superblock does not know")?;
    }
    let names = names(picture);
    reaps(work, picture)?;
    orphans(work, picture, &names)?;
    inodes(work, picture, &names)?;
    extents(work, picture)
}

/// Repairs reap records: extents behind the end of their file are garbage, whatever the record
/// said.
fn reaps(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    for ino in &picture.damaged_reaps {
        let key = work.writer.reap_key(*ino);
        let end = picture.inodes.get(ino).map_or(0, |inode| inode.extents_end(work.writer.extent_bytes));
        let last = picture.extents.get(ino).and_then(|indices| indices.last()).copied();
        match last.filter(|last| *last >= end && !picture.damaged_inodes.contains(ino)) {
            Some(last) => {
                work.writer.put(work.writer.reap_change(*ino, end, last.saturating_add(1)))?;
                work.note(key, format!("the reap record now covers the extents from {end} on"));
            }
            None => {
                work.writer.put((key.clone(), None))?;
                work.note(key, "the reap record was removed: no garbage waits for it");
            }
        }
    }
    Ok(())
}

fn orphans(work: &mut Work<'_>, picture: &Picture, names: &BTreeMap<InodeNo, Names>) -> Result<()> {
    for ino in &picture.damaged_orphans {
        let key = work.writer.orphan_key(*ino);
        let nameless = names.get(ino).is_none_or(|names| names.count == 0);
        let unlinked = picture.inodes.get(ino).is_none_or(|inode| inode.nlink == 0);
        if nameless && unlinked && picture.exists(*ino) {
            work.writer.put(work.writer.orphan_change(*ino))?;
            work.note(key, "the orphan record was written again");
        } else {
            work.writer.put((key.clone(), None))?;
            work.note(key, "the orphan record was removed: its inode has a name, or does not exist");
        }
    }
    Ok(())
}

fn inodes(work: &mut Work<'_>, picture: &Picture, names: &BTreeMap<InodeNo, Names>) -> Result<()> {
    let holders = entries_in(picture);
    let named_as: BTreeMap<InodeNo, Kind> =
        picture.dentries.iter().map(|(_, _, entry)| (entry.ino, entry.kind)).collect();
    for ino in &picture.damaged_inodes {
        let key = work.writer.inode_key(*ino);
        let named = names.get(ino).filter(|names| names.count > 0);
        let kind = named_as.get(ino).copied();
        if *ino == InodeNo::ROOT || kind == Some(Kind::Directory) || holders.contains(ino) {
            let parent = named.and_then(|names| names.dir).unwrap_or(InodeNo::ROOT);
            let directory = work.writer.new_directory(parent);
            let change = work.writer.inode_change(*ino, &directory);
            keep_and_remove(work, key, "the directory's inode", Some(vec![change]))?;
        } else if kind.is_some() && !work.options.accept_loss {
            // It keeps its names, and reading it stays an error.
        } else if kind == Some(Kind::Symlink) {
            let mut link = rebuilt_file(work, picture, *ino)?;
            (link.kind, link.size, link.extents) = (Kind::Symlink, 0, 0);
            link.content = Content::Target(Box::default());
            let change = work.writer.inode_change(*ino, &link);
            keep_and_remove(
                work,
                key,
                "the symbolic link's inode, whose target is lost,",
                Some(vec![change]),
            )?;
        } else if kind.is_some() {
            let file = rebuilt_file(work, picture, *ino)?;
            let what = format!("the file's inode, which now has {} bytes by its extents,", file.size);
            let change = work.writer.inode_change(*ino, &file);
            keep_and_remove(work, key, &what, Some(vec![change]))?;
        } else if picture.orphans.contains(ino) {
            remove_unlinked(work, picture, *ino, key)?;
        } else if last_extent(work, picture, *ino).is_some() {
            let file = rebuilt_file(work, picture, *ino)?;
            let change = work.writer.inode_change(*ino, &file);
            keep_and_remove(work, key, "the nameless file's inode", Some(vec![change]))?;
        } else {
            keep_and_remove(work, key, "the nameless inode", None)?;
        }
    }
    Ok(())
}

/// Removes an unlinked file, as its last close would have done.
fn remove_unlinked(work: &mut Work<'_>, picture: &Picture, ino: InodeNo, key: Vec<u8>) -> Result<()> {
    let mut group: Vec<Change> = vec![(key.clone(), None), (work.writer.orphan_key(ino), None)];
    if let Some(last) = picture.extents.get(&ino).and_then(|indices| indices.last()) {
        group.push(work.writer.reap_change(ino, 0, last.saturating_add(1)));
    }
    work.writer.put_group(group)?;
    work.note(
        key,
        "the damaged inode of a file without a name was removed, as the next opener would have done",
    );
    Ok(())
}

fn extents(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    let judged: BTreeSet<InodeNo> = picture.damaged_inodes.iter().copied().collect();
    for (ino, index) in picture.damaged_extents.iter().filter(|(ino, _)| !judged.contains(ino)) {
        let end = picture.inodes.get(ino).map_or(0, |inode| inode.extents_end(work.writer.extent_bytes));
        let key = work.writer.extent_key(*ino, *index);
        let garbage = picture.reaps.get(ino).is_some_and(|reap| reap.from <= *index && *index < reap.to);
        if *index < end && work.options.accept_loss {
            keep_and_remove(work, key, &format!("extent {index} of inode {}, now zeros,", ino.0), None)?;
        } else if *index >= end && (garbage || picture.inodes.contains_key(ino)) {
            work.writer.put((key.clone(), None))?;
            work.note(key, "the damaged extent was removed: it is behind its file's end");
        }
    }
    Ok(())
}
