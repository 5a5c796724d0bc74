//! Checks the records of a volume against each other.

use super::picture::Picture;
use super::report::{Finding, Invariant, Report};
use crate::stored::key::KeySpace;
use crate::stored::record::inode::{Content, Inode};
use crate::types::{ExtentIndex, InodeNo, Kind};
use std::collections::BTreeMap;

/// The entries that name one inode, and those that lie in it.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Entries that name it.
    pub(super) count: u64,
    /// The directory that the last of them is in.
    pub(super) dir: Option<InodeNo>,
    /// Entries that lie in it.
    pub(super) entries: u64,
    /// Directories among those.
    pub(super) subdirectories: u64,
    /// The birth of the youngest of them.
    pub(super) youngest: u64,
}

impl Names {
    /// The link count that an inode with these names should have.
    pub(super) fn links(&self, ino: InodeNo, kind: Kind) -> u64 {
        match kind {
            _ if ino != InodeNo::ROOT && self.count == 0 => 0,
            Kind::Directory => 2 + self.subdirectories,
            _ => self.count,
        }
    }
}

/// Counts all entries. Damaged ones count for their directory, but not for the inode that they
/// named.
pub(super) fn names(picture: &Picture) -> BTreeMap<InodeNo, Names> {
    let mut names: BTreeMap<InodeNo, Names> = BTreeMap::new();
    for (dir, _, entry) in &picture.dentries {
        let target = names.entry(entry.ino).or_default();
        target.count += 1;
        target.dir = Some(*dir);
        let holder = names.entry(*dir).or_default();
        holder.entries += 1;
        holder.subdirectories += u64::from(entry.kind == Kind::Directory);
        holder.youngest = holder.youngest.max(entry.born);
    }
    for damaged in &picture.damaged_dentries {
        names.entry(damaged.dir).or_default().entries += 1;
    }
    names
}

struct Relate<'p> {
    picture: &'p Picture,
    keys: &'p KeySpace,
    report: &'p mut Report,
}

pub(super) fn relate(picture: &Picture, keys: &KeySpace, report: &mut Report) {
    report.inodes = picture.inodes.len() as u64;
    report.dentries = picture.dentries.len() as u64;
    report.orphans = picture.orphans.len() as u64;
    let mut relate = Relate { picture, keys, report };
    let names = names(picture);
    relate.entries();
    relate.root();
    relate.inodes(&names);
    relate.parents(&names);
    relate.orphans();
    relate.extents();
    relate.reaps();
    relate.counters();
    relate.settings();
}

impl Relate<'_> {
    fn found(
        &mut self,
        invariant: Invariant,
        key: impl FnOnce(&KeySpace, &mut Vec<u8>),
        what: impl Into<String>,
    ) {
        let mut bytes = Vec::new();
        key(self.keys, &mut bytes);
        self.report.findings.push(Finding { invariant, key: bytes, what: what.into(), path: None });
    }

    fn at_inode(&mut self, invariant: Invariant, ino: InodeNo, what: impl Into<String>) {
        self.found(invariant, |keys, key| keys.inode(ino, key), what);
    }

    fn entries(&mut self) {
        let picture = self.picture;
        for (dir, name, entry) in &picture.dentries {
            let wrong_target = match picture.inodes.get(&entry.ino) {
                Some(inode) if inode.kind == entry.kind => None,
                Some(inode) => {
                    Some(format!("says {:?}, but inode {} is a {:?}", entry.kind, entry.ino.0, inode.kind))
                }
                None if self.picture.exists(entry.ino) => None,
                None => Some(format!("names inode {}, which does not exist", entry.ino.0)),
            };
            if let Some(what) = wrong_target {
                self.found(Invariant::EntryTarget, |keys, key| keys.dentry(*dir, name, key), what);
            }
            let wrong_directory = match picture.inodes.get(dir) {
                Some(Inode { kind: Kind::Directory, nlink: 1.., .. }) => None,
                Some(Inode { kind: Kind::Directory, .. }) => Some("lies in a directory without a name"),
                Some(_) => Some("lies in something that is no directory"),
                None if self.picture.exists(*dir) => None,
                None => Some("lies in a directory that does not exist"),
            };
            if let Some(what) = wrong_directory {
                self.found(Invariant::EntryDirectory, |keys, key| keys.dentry(*dir, name, key), what);
            }
        }
    }

    fn root(&mut self) {
        match self.picture.inodes.get(&InodeNo::ROOT) {
            Some(Inode { kind: Kind::Directory, parent: InodeNo::ROOT, .. }) => {}
            Some(_) => self.at_inode(
                Invariant::Root,
                InodeNo::ROOT,
                "the root is no directory, or not its own parent",
            ),
            None if self.picture.exists(InodeNo::ROOT) => {}
            None => self.at_inode(Invariant::Root, InodeNo::ROOT, "the root does not exist"),
        }
    }

    fn inodes(&mut self, names: &BTreeMap<InodeNo, Names>) {
        let (picture, none) = (self.picture, Names::default());
        // A damaged entry may have named it.
        let names_are_known = picture.damaged_dentries.is_empty();
        for (ino, inode) in &picture.inodes {
            let names = names.get(ino).unwrap_or(&none);
            let links = names.links(*ino, inode.kind);
            if u64::from(inode.nlink) != links && names_are_known {
                let what = format!("the link count is {}, it should be {links}", inode.nlink);
                self.at_inode(Invariant::LinkCount, *ino, what);
            }
            if inode.kind == Kind::Directory {
                let most = u64::from(*ino != InodeNo::ROOT);
                if names.count > most {
                    self.at_inode(
                        Invariant::LinkCount,
                        *ino,
                        format!("a directory with {} names", names.count),
                    );
                }
                if inode.size != names.entries {
                    let what = format!("the size is {}, it has {} entries", inode.size, names.entries);
                    self.at_inode(Invariant::DirectorySize, *ino, what);
                }
                if names.youngest > inode.generation {
                    let what =
                        format!("the generation is {}, an entry is of {}", inode.generation, names.youngest);
                    self.at_inode(Invariant::Birth, *ino, what);
                }
            }
            let nameless = names.count == 0 && *ino != InodeNo::ROOT;
            if nameless && names_are_known && !picture.orphans.contains(ino) {
                self.at_inode(Invariant::Orphan, *ino, "it has neither a name nor an orphan record");
            }
        }
    }

    fn parents(&mut self, names: &BTreeMap<InodeNo, Names>) {
        let picture = self.picture;
        let directories =
            || picture.inodes.iter().filter(|(_, inode)| inode.kind == Kind::Directory && inode.nlink > 0);
        // Directories whose parents lead to the root.
        let mut rooted: BTreeMap<InodeNo, bool> = BTreeMap::from([(InodeNo::ROOT, true)]);
        for (ino, inode) in directories() {
            let named_in = names.get(ino).and_then(|names| names.dir);
            if *ino != InodeNo::ROOT && named_in.is_some_and(|dir| dir != inode.parent) {
                let what = format!("the parent is {}, but its name is in another directory", inode.parent.0);
                self.at_inode(Invariant::Parent, *ino, what);
            }
            let (mut path, mut at) = (Vec::new(), *ino);
            let result = loop {
                if let Some(known) = rooted.get(&at) {
                    break *known;
                }
                // A directory that is already on this walk closes a ring.
                rooted.insert(at, false);
                path.push(at);
                match picture.inodes.get(&at) {
                    Some(inode) => at = inode.parent,
                    None => break picture.damaged_inodes.contains(&at),
                }
            };
            rooted.extend(path.into_iter().map(|step| (step, result)));
            if !result {
                self.at_inode(Invariant::Parent, *ino, "its parents do not lead to the root");
            }
        }
    }

    fn orphans(&mut self) {
        let picture = self.picture;
        for ino in &picture.orphans {
            let what = match picture.inodes.get(ino) {
                Some(inode) if inode.nlink == 0 => continue,
                Some(_) => "the inode has links",
                None if self.picture.exists(*ino) => continue,
                None => "the inode does not exist",
            };
            self.found(Invariant::Orphan, |keys, key| keys.orphan(*ino, key), what);
        }
    }

    fn extents(&mut self) {
        let picture = self.picture;
        let Some(superblock) = &picture.superblock else { return };
        let extent_bytes = u64::from(superblock.extent_bytes);
        let mut counts: BTreeMap<InodeNo, u64> = BTreeMap::new();
        for (ino, indices) in &picture.extents {
            if picture.damaged_inodes.contains(ino) {
                continue;
            }
            let end = picture.inodes.get(ino).map_or(0, |inode| inode.extents_end(extent_bytes));
            let reap = picture.reaps.get(ino);
            for index in indices {
                if *index < end {
                    *counts.entry(*ino).or_default() += 1;
                    self.report.extents += 1;
                } else if reap.is_some_and(|reap| reap.from <= *index && *index < reap.to) {
                    self.report.garbage_extents += 1;
                } else {
                    let key =
                        |keys: &KeySpace, key: &mut Vec<u8>| keys.extent(*ino, ExtentIndex(*index), key);
                    self.found(
                        Invariant::ExtentRange,
                        key,
                        "behind its file's end, and no reap record covers it",
                    );
                }
            }
        }
        for (ino, inode) in &picture.inodes {
            let count = counts.get(ino).copied().unwrap_or(0);
            if inode.extents != count {
                let what = format!("the extent count is {}, there are {count}", inode.extents);
                self.at_inode(Invariant::ExtentCount, *ino, what);
            }
            let below = picture.extents_below(*ino, inode);
            if inode.extents_below != 0 && inode.extents_below != below {
                let what = format!("counts {} extents of the image, it has {below}", inode.extents_below);
                self.at_inode(Invariant::ExtentCount, *ino, what);
            }
            let in_extents = matches!(inode.content, Content::Extents);
            if in_extents && inode.size == 0 {
                self.at_inode(Invariant::ExtentCount, *ino, "an empty file keeps its bytes in extents");
            }
        }
    }

    fn settings(&mut self) {
        let picture = self.picture;
        let Some(superblock) = &picture.superblock else { return };
        let told = superblock.settings;
        let what = match &picture.settings {
            Some(settings) if settings.generation() == told => return,
            Some(_) if told == 0 => "there are settings, of which the superblock does not tell".to_owned(),
            Some(settings) => {
                format!("of generation {}, the superblock tells of {told}", settings.generation())
            }
            // Their damage is told.
            None if picture.has_settings || told == 0 => return,
            None => "the settings are lost".to_owned(),
        };
        self.found(Invariant::Settings, |keys, key| key.extend_from_slice(&keys.settings()), what);
    }

    fn reaps(&mut self) {
        let picture = self.picture;
        let extent_bytes = picture.superblock.as_ref().map(|superblock| u64::from(superblock.extent_bytes));
        for (ino, reap) in &picture.reaps {
            let end = match (picture.inodes.get(ino), extent_bytes) {
                (Some(inode), Some(extent_bytes)) => inode.extents_end(extent_bytes),
                _ => 0,
            };
            let what = match () {
                () if reap.from >= reap.to => "it covers nothing".to_owned(),
                () if reap.from < end => format!("it covers extent {}, which the file has", reap.from),
                () => continue,
            };
            self.found(Invariant::Reap, |keys, key| keys.reap(*ino, key), what);
        }
    }

    fn counters(&mut self) {
        let picture = self.picture;
        let at_superblock = |keys: &KeySpace, key: &mut Vec<u8>| key.extend_from_slice(keys.superblock());
        let Some(superblock) = &picture.superblock else {
            if !self.report.findings.iter().any(|finding| finding.key == self.keys.superblock()) {
                self.found(Invariant::Superblock, at_superblock, "the volume has no superblock");
            }
            return;
        };
        let highest = picture.highest_inode();
        if superblock.next_inode <= highest {
            let what = format!("the next inode is {}, but {highest} is in use", superblock.next_inode);
            self.found(Invariant::NextInode, at_superblock, what);
        }
        let used = picture.used();
        (self.report.used_bytes, self.report.content_bytes) = (used.bytes, picture.content_bytes());
        if superblock.used_names != used.names {
            let what = format!("counts {} names, there are {}", superblock.used_names, used.names);
            self.found(Invariant::UsedNames, at_superblock, what);
        }
        if !picture.damaged_inodes.is_empty() {
            return;
        }
        if superblock.used_inodes != used.inodes {
            let what = format!("counts {} inodes, there are {}", superblock.used_inodes, used.inodes);
            self.found(Invariant::UsedInodes, at_superblock, what);
        }
        if superblock.used_bytes != used.bytes {
            let what = format!("counts {} bytes, there are {}", superblock.used_bytes, used.bytes);
            self.found(Invariant::UsedBytes, at_superblock, what);
        }
    }
}
