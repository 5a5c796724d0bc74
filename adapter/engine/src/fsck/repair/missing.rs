//! Repairs the remains of missing inodes, and entries of another kind than their inode.

use super::work::Work;
use crate::error::Result;
use crate::fsck::picture::Picture;
use crate::limits::MAX_FILE_BYTES;
use crate::stored::key::tag;
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::{RecordId, unseal};
use crate::types::{Dentry, InodeNo, Kind};
use std::collections::{BTreeMap, BTreeSet};

/// Makes missing directories that have entries, and missing files that have bytes. Removes entries
/// that name nothing, or that lie in something that is no directory.
pub(super) fn stage(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    let holders = entries_in(picture);
    let mut named_in: BTreeMap<InodeNo, InodeNo> = BTreeMap::new();
    for (dir, _, entry) in &picture.dentries {
        named_in.insert(entry.ino, *dir);
    }
    directories(work, picture, &holders, &named_in)?;
    let rebuilt = files(work, picture, &holders, &named_in)?;
    for (dir, name, entry) in &picture.dentries {
        let key = work.writer.dentry_key(*dir, name);
        if picture.inodes.get(dir).is_some_and(|inode| inode.kind != Kind::Directory) {
            // The inode that it names goes to lost+found, if it has no other name.
            work.writer.put((key.clone(), None))?;
            work.note(
                key,
                format!("the entry for inode {} was removed: it was not in a directory", entry.ino.0),
            );
            continue;
        }
        let kind = match picture.inodes.get(&entry.ino) {
            Some(inode) => inode.kind,
            None if holders.contains(&entry.ino) => Kind::Directory,
            None if rebuilt.contains(&entry.ino) => Kind::File,
            None if picture.exists(entry.ino) || has_bytes(work, picture, entry.ino) => continue,
            None => {
                work.writer.put((key.clone(), None))?;
                work.note(key, format!("the entry was removed: inode {} does not exist", entry.ino.0));
                continue;
            }
        };
        if kind != entry.kind {
            work.writer.put(work.writer.dentry_change(*dir, name, Dentry { kind, ..*entry }))?;
            work.note(key, format!("the entry now says that inode {} is a {kind:?}", entry.ino.0));
        }
    }
    Ok(())
}

/// The directories of all entries, sound or damaged.
pub(super) fn entries_in(picture: &Picture) -> BTreeSet<InodeNo> {
    let damaged = picture.damaged_dentries.iter().map(|damaged| damaged.dir);
    picture.dentries.iter().map(|(dir, _, _)| *dir).chain(damaged).collect()
}

fn directories(
    work: &mut Work<'_>,
    picture: &Picture,
    holders: &BTreeSet<InodeNo>,
    named_in: &BTreeMap<InodeNo, InodeNo>,
) -> Result<()> {
    let missing = |ino: &&InodeNo| !picture.exists(**ino);
    let root = [InodeNo::ROOT];
    let wanted: BTreeSet<InodeNo> = holders.iter().chain(&root).filter(missing).copied().collect();
    for ino in wanted {
        let parent = named_in.get(&ino).copied().unwrap_or(InodeNo::ROOT);
        let directory = work.writer.new_directory(parent);
        work.writer.put(work.writer.inode_change(ino, &directory))?;
        work.note(work.writer.inode_key(ino), "the directory's inode was made anew");
    }
    // If it exists and is no directory, it cannot be the root.
    if let Some(inode) = picture.inodes.get(&InodeNo::ROOT).filter(|inode| inode.kind != Kind::Directory) {
        let key = work.writer.inode_key(InodeNo::ROOT);
        let moved = work.writer.new_inode_number()?;
        let Some(value) = work.writer.value(&key)? else { return Ok(()) };
        let mut group = Vec::new();
        // Its inline bytes are kept; extents under the root's number become garbage.
        if !matches!(inode.content, Content::Extents)
            && let Ok(whole) = Inode::decode(&key, InodeNo::ROOT, work.writer.inline_bytes(), &value)
        {
            group.push(work.writer.inode_change(moved, &Inode { nlink: 1, ..whole }));
        }
        let directory = work.writer.new_directory(InodeNo::ROOT);
        group.push(work.writer.inode_change(InodeNo::ROOT, &directory));
        work.writer.put_group(group)?;
        work.note(key, format!("a root directory was made in place of a {:?}", inode.kind));
    }
    Ok(())
}

/// Makes inodes for extents that have lost theirs. If a name leads there, only if the loss is
/// accepted: the file's true size is not known.
fn files(
    work: &mut Work<'_>,
    picture: &Picture,
    holders: &BTreeSet<InodeNo>,
    named_in: &BTreeMap<InodeNo, InodeNo>,
) -> Result<BTreeSet<InodeNo>> {
    let mut rebuilt = BTreeSet::new();
    for ino in picture.extents.keys() {
        let lost = *ino != InodeNo::ROOT && !picture.exists(*ino) && !holders.contains(ino);
        if !lost
            || last_extent(work, picture, *ino).is_none()
            || (named_in.contains_key(ino) && !work.options.accept_loss)
        {
            continue;
        }
        let file = rebuilt_file(work, picture, *ino)?;
        work.writer.put(work.writer.inode_change(*ino, &file))?;
        let what = format!("the file's inode was made anew, with {} bytes by its extents", file.size);
        work.note(work.writer.inode_key(*ino), what);
        rebuilt.insert(*ino);
    }
    Ok(rebuilt)
}

fn has_bytes(work: &Work<'_>, picture: &Picture, ino: InodeNo) -> bool {
    last_extent(work, picture, ino).is_some()
}

/// The last extent that a file of this number can have had: not garbage, and within the largest
/// file.
pub(super) fn last_extent(work: &Work<'_>, picture: &Picture, ino: InodeNo) -> Option<u64> {
    let end = end_of_reach(work.writer.extent_bytes, picture, ino);
    picture.extents.get(&ino)?.iter().rev().find(|index| **index < end).copied()
}

/// The end of the extents that a missing inode of this number could have.
pub(super) fn end_of_reach(extent_bytes: u64, picture: &Picture, ino: InodeNo) -> u64 {
    let reach = MAX_FILE_BYTES / extent_bytes.max(1);
    picture.reaps.get(&ino).map_or(reach, |reap| reap.from.min(reach))
}

/// Makes an inode for the extents of this number. Its size ends at the last stored byte.
pub(super) fn rebuilt_file(work: &mut Work<'_>, picture: &Picture, ino: InodeNo) -> Result<Inode> {
    let content = Content::Inline(Vec::new());
    let mut inode = Inode::new(Kind::File, InodeNo(0), work.writer.clock.now(), content);
    let Some(last) = last_extent(work, picture, ino) else { return Ok(inode) };
    let extent_bytes = work.writer.extent_bytes;
    let key = work.writer.extent_key(ino, last);
    let value = work.writer.value(&key)?.unwrap_or_default();
    let id = RecordId { tag: tag::EXTENT, name: "extent", ino: ino.0 };
    let tail = unseal(&key, id, &value).map_or(extent_bytes, |body| (body.len() as u64).min(extent_bytes));
    inode.content = Content::Extents;
    // At least one byte: the extent exists, so the file reaches it.
    inode.size = last.saturating_mul(extent_bytes).saturating_add(tail.max(1));
    let indices = picture.extents.get(&ino).map_or(&[][..], Vec::as_slice);
    inode.extents = indices.iter().filter(|index| **index <= last).count() as u64;
    Ok(inode)
}
