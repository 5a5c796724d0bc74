//! Repairs what follows from other records: link counts, sizes, parents, orphan and reap records,
//! garbage, and last the counts of the superblock.

use super::missing::end_of_reach;
use super::work::Work;
use crate::error::Result;
use crate::fsck::picture::Picture;
use crate::fsck::relate::{Names, names};
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::reap::Reap;
use crate::types::{InodeNo, Kind};
use std::collections::BTreeMap;

pub(super) fn records(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    let names = names(picture);
    inodes(work, picture, &names)?;
    orphans(work, picture, &names)?;
    reaps(work, picture)?;
    garbage(work, picture)
}

/// Copies up directories that have names in the store: readers look for names only where the
/// directory's own record is.
pub(super) fn hidden_names(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    for ino in &picture.hidden_names {
        if let Some(inode) = picture.inodes.get(ino) {
            rewrite(work, *ino, inode, "it is now in the store, where names of it are")?;
        }
    }
    Ok(())
}

fn inodes(work: &mut Work<'_>, picture: &Picture, names: &BTreeMap<InodeNo, Names>) -> Result<()> {
    let none = Names::default();
    for (ino, inode) in &picture.inodes {
        let names = names.get(ino).unwrap_or(&none);
        let mut right = inode.clone();
        let mut what = Vec::new();
        right.nlink = u32::try_from(names.links(*ino, inode.kind)).unwrap_or(u32::MAX);
        if right.nlink != inode.nlink {
            what.push(format!("the link count is now {}", right.nlink));
        }
        if inode.kind == Kind::Directory {
            right.size = names.entries;
            if right.size != inode.size {
                what.push(format!("it now counts {} entries", right.size));
            }
            right.generation = inode.generation.max(names.youngest);
            if right.generation != inode.generation {
                what.push(format!("its generation is now {}, as its youngest entry's", right.generation));
            }
            let place = if *ino == InodeNo::ROOT { Some(InodeNo::ROOT) } else { names.dir };
            right.parent = place.unwrap_or(inode.parent);
            if right.parent != inode.parent {
                what.push(format!("its parent is now {}", right.parent.0));
            }
        }
        if matches!(inode.content, Content::Extents) && inode.size == 0 {
            right.content = Content::Inline(Vec::new());
            what.push("it is empty, and without extents".to_owned());
        }
        right.extents = extent_count(work, picture, *ino, &right);
        if right.extents != inode.extents {
            what.push(format!("it now counts {} extents instead of {}", right.extents, inode.extents));
        }
        let below = picture.extents_below(*ino, &right);
        // A copied-up file still has its extents in the image. In the store, a count of none is
        // right too.
        if !picture.is_above(*ino) || ![0, below].contains(&right.extents_below) {
            right.extents_below = below;
        }
        if picture.is_above(*ino) && right.extents_below != inode.extents_below {
            what.push(format!("it now counts {below} extents of the image"));
        }
        if !what.is_empty() {
            rewrite(work, *ino, &right, &what.join("; "))?;
        }
    }
    Ok(())
}

/// The right count of extents: those that exist. If more are counted, and some are missing, they
/// are lost: the count stays, so that the loss stays visible, unless it is accepted.
fn extent_count(work: &Work<'_>, picture: &Picture, ino: InodeNo, inode: &Inode) -> u64 {
    let end = inode.extents_end(work.writer.extent_bytes);
    let indices = picture.extents.get(&ino).map_or(&[][..], Vec::as_slice);
    let found = indices.iter().filter(|index| **index < end).count() as u64;
    let nothing_lost = found > inode.extents || found == end;
    if nothing_lost || work.options.accept_loss { found } else { inode.extents }
}

/// Stores an inode's record with everything from `right` except the inline bytes, which the picture
/// does not have.
fn rewrite(work: &mut Work<'_>, ino: InodeNo, right: &Inode, what: &str) -> Result<()> {
    let key = work.writer.inode_key(ino);
    let Some(value) = work.writer.value(&key)? else { return Ok(()) };
    let stored = Inode::decode(&key, ino, work.writer.inline_bytes(), &value)?;
    let keeps_bytes = matches!(stored.content, Content::Inline(_) | Content::Target(_));
    let content = if keeps_bytes { stored.content } else { right.content.clone() };
    work.writer.put(work.writer.inode_change(ino, &Inode { content, ..right.clone() }))?;
    work.note(key, format!("inode {}: {what}", ino.0));
    Ok(())
}

fn orphans(work: &mut Work<'_>, picture: &Picture, names: &BTreeMap<InodeNo, Names>) -> Result<()> {
    let nameless =
        |ino: &InodeNo| *ino != InodeNo::ROOT && names.get(ino).is_none_or(|names| names.count == 0);
    for ino in picture.inodes.keys().filter(|ino| nameless(ino) && !picture.orphans.contains(ino)) {
        work.writer.put(work.writer.orphan_change(*ino))?;
        let what = "the inode was unlinked: with an orphan record a next opener removes it";
        work.note(work.writer.orphan_key(*ino), what);
    }
    for ino in &picture.orphans {
        let waits = nameless(ino) && picture.exists(*ino);
        if !waits {
            let key = work.writer.orphan_key(*ino);
            work.writer.put((key.clone(), None))?;
            work.note(key, "the orphan record was removed: its inode has a name, or does not exist");
        }
    }
    Ok(())
}

fn reaps(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    for (ino, Reap { from, to, .. }) in &picture.reaps {
        let end = picture.inodes.get(ino).map_or(0, |inode| inode.extents_end(work.writer.extent_bytes));
        if from < to && *from >= end {
            continue;
        }
        let key = work.writer.reap_key(*ino);
        let indices = picture.extents.get(ino).map_or(&[][..], Vec::as_slice);
        let waits = |index: &u64| end.max(*from) <= *index && index < to;
        if from < to && indices.iter().any(waits) {
            work.writer.put(work.writer.reap_change(*ino, end, *to))?;
            work.note(key, format!("the reap record now starts at extent {end}"));
        } else {
            work.writer.put((key.clone(), None))?;
            work.note(key, "the reap record was removed: no garbage waits for it");
        }
    }
    Ok(())
}

/// Removes extents that no file can reach and no reap record covers.
fn garbage(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    for (ino, indices) in &picture.extents {
        if picture.damaged_inodes.contains(ino) {
            continue;
        }
        let extent_bytes = work.writer.extent_bytes;
        let end = match picture.inodes.get(ino) {
            Some(inode) => inode.extents_end(extent_bytes),
            None => end_of_reach(extent_bytes, picture, *ino),
        };
        let reap = picture.reaps.get(ino);
        let covered = |index: u64| reap.is_some_and(|reap| reap.from <= index && index < reap.to);
        let mut removed = 0u64;
        for index in indices.iter().filter(|index| **index >= end && !covered(**index)) {
            work.writer.put((work.writer.extent_key(*ino, *index), None))?;
            removed += 1;
        }
        if removed > 0 {
            let what = format!("{removed} extents behind the end of inode {} were removed", ino.0);
            work.note(work.writer.extent_key(*ino, end), what);
        }
    }
    Ok(())
}

pub(super) fn superblock(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    let Some(superblock) = &mut work.writer.superblock else { return Ok(()) };
    let used = picture.used();
    let mut right = superblock.clone();
    right.next_inode = right.next_inode.max(picture.highest_inode().saturating_add(1));
    right.used_names = used.names;
    // The charge of a damaged inode is not known.
    if picture.damaged_inodes.is_empty() {
        (right.used_inodes, right.used_bytes) = (used.inodes, used.bytes);
    }
    if right == *superblock {
        return Ok(());
    }
    let what = format!(
        "counts {} inodes, {} names and {} bytes; the next inode is {}",
        right.used_inodes, right.used_names, right.used_bytes, right.next_inode
    );
    *superblock = right;
    work.writer.put_superblock()?;
    work.note(work.writer.keys.superblock().to_vec(), what);
    Ok(())
}
