//! Repairs the tree: every directory gets one place, and inodes that have lost their names get one
//! in `lost+found`.

use super::work::Work;
use super::writer::Change;
use crate::error::Result;
use crate::fsck::picture::Picture;
use crate::fsck::relate::{Names, names};
use crate::types::{Dentry, InodeNo, Kind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The directory for inodes that have lost their names, called as in other file systems.
const LOST_AND_FOUND: &str = "lost+found";

pub(super) fn stage(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    let names = names(picture);
    let mut plan = Plan::new(picture, &names);
    plan.directories();
    let Plan { adopted, surplus, .. } = plan;
    let nameless = |ino: &InodeNo| names.get(ino).is_none_or(|names| names.count == 0);
    let files = picture
        .inodes
        .iter()
        .filter(|(ino, inode)| inode.kind != Kind::Directory && inode.nlink > 0 && nameless(ino));
    let adopted: Vec<InodeNo> = adopted.into_iter().chain(files.map(|(ino, _)| *ino)).collect();
    adopt(work, picture, &adopted)?;
    for (dir, name) in surplus {
        let key = work.writer.dentry_key(dir, name);
        work.writer.put((key.clone(), None))?;
        work.note(key, "the entry was removed: the directory it names has another place in the tree");
    }
    Ok(())
}

/// Finds a path from the root to every directory.
struct Plan<'p> {
    picture: &'p Picture,
    names: &'p BTreeMap<InodeNo, Names>,
    /// The directories in each directory.
    children: BTreeMap<InodeNo, Vec<(&'p str, InodeNo)>>,
    placed: BTreeSet<InodeNo>,
    adopted: Vec<InodeNo>,
    /// Entries of directories that have another name already.
    surplus: Vec<(InodeNo, &'p str)>,
}

impl<'p> Plan<'p> {
    fn new(picture: &'p Picture, names: &'p BTreeMap<InodeNo, Names>) -> Self {
        let mut children: BTreeMap<InodeNo, Vec<(&str, InodeNo)>> = BTreeMap::new();
        let is_directory = |ino| picture.inodes.get(ino).is_some_and(|inode| inode.kind == Kind::Directory);
        for (dir, name, entry) in &picture.dentries {
            if is_directory(&entry.ino) {
                children.entry(*dir).or_default().push((name, entry.ino));
            }
        }
        let (placed, adopted, surplus) = (BTreeSet::new(), Vec::new(), Vec::new());
        Plan { picture, names, children, placed, adopted, surplus }
    }

    fn directories(&mut self) {
        self.walk(InodeNo::ROOT);
        // Directories without a name come first: they are the tops of loose trees. The rest are
        // rings without a top, which are cut at the lowest number.
        for ring in [false, true] {
            for (ino, inode) in &self.picture.inodes {
                let names = self.names.get(ino);
                let (count, entries) = names.map_or((0, 0), |names| (names.count, names.entries));
                let unlinked = inode.nlink == 0 && count == 0 && entries == 0;
                let candidate = inode.kind == Kind::Directory && !unlinked && (ring || count == 0);
                if candidate && !self.placed.contains(ino) {
                    self.adopted.push(*ino);
                    self.walk(*ino);
                }
            }
        }
    }

    /// Places everything below `top`. If a directory has several names, the one in its recorded
    /// parent counts, if the walk reaches it.
    fn walk(&mut self, top: InodeNo) {
        let mut queue = VecDeque::from([top]);
        let mut doubtful = VecDeque::new();
        self.placed.insert(top);
        loop {
            while let Some(dir) = queue.pop_front() {
                for (name, ino) in self.children.remove(&dir).unwrap_or_default() {
                    let only = self.names.get(&ino).is_some_and(|names| names.count == 1);
                    let agreed = self.picture.inodes.get(&ino).is_some_and(|inode| inode.parent == dir);
                    if (only || agreed) && self.placed.insert(ino) {
                        queue.push_back(ino);
                    } else {
                        doubtful.push_back((dir, name, ino));
                    }
                }
            }
            let Some((dir, name, ino)) = doubtful.pop_front() else { return };
            if self.placed.insert(ino) {
                queue.push_back(ino);
            } else {
                self.surplus.push((dir, name));
            }
        }
    }
}

/// Gives each of `lost` a name in `lost+found`, making that directory if it is missing.
fn adopt(work: &mut Work<'_>, picture: &Picture, lost: &[InodeNo]) -> Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    let (shelter, shelter_name) = shelter(work, picture, lost)?;
    let mut taken: BTreeSet<String> = picture
        .dentries
        .iter()
        .filter(|(dir, ..)| *dir == shelter)
        .map(|(_, name, _)| name.clone())
        .collect();
    for ino in lost {
        let Some(inode) = picture.inodes.get(ino) else { continue };
        let mut name = format!("#{}", ino.0);
        for copy in 1u64.. {
            if taken.insert(name.clone()) {
                break;
            }
            name = format!("#{}-{copy}", ino.0);
        }
        let entry = Dentry::new(inode.kind, *ino);
        let mut group: Vec<Change> = vec![work.writer.dentry_change(shelter, &name, entry)];
        // With both a name and an orphan record, an opener would remove it.
        if picture.orphans.contains(ino) {
            group.push((work.writer.orphan_key(*ino), None));
        }
        work.writer.put_group(group)?;
        let key = work.writer.inode_key(*ino);
        work.note(key, format!("the nameless {:?} is now {shelter_name}/{name}", inode.kind));
    }
    Ok(())
}

/// Returns the directory for lost inodes, and its name in the root.
fn shelter(work: &mut Work<'_>, picture: &Picture, lost: &[InodeNo]) -> Result<(InodeNo, String)> {
    let in_root: BTreeMap<&str, Dentry> = picture
        .dentries
        .iter()
        .filter(|(dir, ..)| *dir == InodeNo::ROOT)
        .map(|(_, name, entry)| (name.as_str(), *entry))
        .collect();
    let mut name = LOST_AND_FOUND.to_owned();
    for copy in 1u64.. {
        let Some(found) = in_root.get(name.as_str()) else { break };
        let directory = picture.inodes.get(&found.ino).is_some_and(|inode| inode.kind == Kind::Directory);
        if directory && !lost.contains(&found.ino) {
            return Ok((found.ino, name));
        }
        name = format!("{LOST_AND_FOUND}-{copy}");
    }
    let ino = work.writer.new_inode_number()?;
    let directory = work.writer.new_directory(InodeNo::ROOT);
    let entry = Dentry::new(Kind::Directory, ino);
    let group = vec![
        work.writer.inode_change(ino, &directory),
        work.writer.dentry_change(InodeNo::ROOT, &name, entry),
    ];
    work.writer.put_group(group)?;
    work.note(work.writer.inode_key(ino), format!("the directory {name} was made"));
    Ok((ino, name))
}
