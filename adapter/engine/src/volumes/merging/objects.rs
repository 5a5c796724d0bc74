//! Files, directories and links in the three states, with the names that may differ.

use super::bytes::{FileIn, are_same};
use super::sides::{Read, Sides, Three, read_inodes, read_names};
use crate::error::{Error, Result};
use crate::store::KvStore;
use crate::stored::record::inode::Inode;
use crate::types::{Dentry, InodeNo, Kind};
use std::collections::{BTreeMap, BTreeSet};

/// Identifies an object in all states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Id {
    /// It is in the common layers.
    Shared(InodeNo),
    /// Made in the volume that is merged into; perhaps in the other one too, with the same name.
    Into(InodeNo),
    /// Made in the volume that is merged.
    From(InodeNo),
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) dir: Id,
    pub(super) name: String,
}

/// Which changes of an object count. A later choice is never taken back for an earlier one, so that
/// resolving conflicts ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Choice {
    /// Those of both volumes.
    #[default]
    Both,
    /// Those of the volume that is merged.
    Theirs,
    /// Those of the volume that is merged into.
    Ours,
}

/// An object.
#[derive(Debug, Default)]
pub(super) struct Object {
    /// Its inode, where it has a name.
    pub(super) inodes: Three<Option<Inode>>,
    /// Its number in the volume that is merged.
    pub(super) from_ino: Option<InodeNo>,
    /// Names that a state may have and another one has not.
    pub(super) names: Three<BTreeSet<Slot>>,
    /// Its inode in the volume that is merged into is a record of the store.
    pub(super) is_charged: bool,
    /// The bytes changed there.
    pub(super) from_changed: bool,
    /// The bytes changed here.
    pub(super) into_changed: bool,
    /// Both have the same bytes.
    pub(super) has_same_bytes: bool,
    pub(super) choice: Choice,
}

impl Object {
    pub(super) fn kind(&self) -> Option<Kind> {
        let Three { base, from, into } = &self.inodes;
        into.as_ref().or(from.as_ref()).or(base.as_ref()).map(|inode| inode.kind)
    }

    /// Whether it is there, by what was chosen.
    pub(super) fn is_there(&self, id: Id) -> bool {
        match (self.choice, id) {
            (Choice::Ours, _) | (Choice::Both, Id::Into(_)) => self.inodes.into.is_some(),
            (Choice::Theirs, _) | (Choice::Both, Id::From(_)) => self.inodes.from.is_some(),
            (Choice::Both, Id::Shared(_)) => match (&self.inodes.from, &self.inodes.into) {
                // Each may have removed names that the other kept.
                (Some(_), Some(into)) if into.kind != Kind::Directory => {
                    let others = u64::from(into.nlink).saturating_sub(self.names.into.len() as u64);
                    others > 0 || !self.names().is_empty()
                }
                (Some(_), Some(_)) => true,
                // A number that a writer had given out when the common layer was frozen, and that only it
                // uses.
                (from, into) => self.inodes.base.is_none() && (from.is_some() || into.is_some()),
            },
        }
    }

    /// The names that it gets, of those that a state may have and another one has not.
    pub(super) fn names(&self) -> BTreeSet<&Slot> {
        let Three { base, from, into } = &self.names;
        match self.choice {
            Choice::Ours => into.iter().collect(),
            Choice::Theirs => from.iter().collect(),
            Choice::Both => {
                let added = from.iter().filter(|slot| !base.contains(slot));
                let kept = into.iter().filter(|slot| !base.contains(slot) || from.contains(slot));
                added.chain(kept).collect()
            }
        }
    }

    /// Whether it gets the bytes of the volume that is merged.
    pub(super) fn takes_bytes(&self) -> bool {
        match self.choice {
            Choice::Ours => false,
            Choice::Theirs => !self.has_same_bytes,
            Choice::Both => self.from_changed && !self.into_changed && !self.has_same_bytes,
        }
    }
}

/// Returns whether an object is there in one state, and its names there.
type State = fn(&mut Object) -> (bool, &mut BTreeSet<Slot>);

/// What a name stands for in each state.
pub(super) type At = Three<Option<Id>>;

/// All objects that may differ.
pub(super) struct Objects {
    pub(super) all: BTreeMap<Id, Object>,
    pub(super) slots: BTreeMap<Slot, At>,
    /// Entries of the volume that is merged into.
    pub(super) entries: BTreeMap<Slot, (Dentry, bool)>,
}

/// A name in a directory, by the directory's number.
type Name = (InodeNo, String);

/// Entries of the names that are mentioned.
struct Entries {
    /// In directories that both have.
    shared: Vec<(Name, Three<Read<Dentry>>)>,
    /// In directories of one volume alone.
    from: BTreeMap<InodeNo, BTreeMap<String, Dentry>>,
    into: BTreeMap<InodeNo, BTreeMap<String, (Dentry, bool)>>,
}

impl Objects {
    /// Reads all that differs.
    ///
    /// # Cost
    /// Reads what the layers mention that are not common, in all three states, with as many records in a
    /// `get` as one takes. Memory: this much, but of the extents only their numbers.
    pub(super) fn read(store: &mut dyn KvStore, sides: &mut Sides) -> Result<Self> {
        let entries = Entries::read(store, sides)?;
        let inodes = Inodes::read(store, sides, &entries)?;
        let pairs = pair(store, sides, &entries, &inodes)?;
        let mut objects = Self { all: BTreeMap::new(), slots: BTreeMap::new(), entries: BTreeMap::new() };
        objects.take_inodes(inodes, &pairs);
        objects.take_entries(sides, entries, &pairs)?;
        objects.compare(store, sides)?;
        Ok(objects)
    }

    fn take_inodes(&mut self, inodes: Inodes, pairs: &BTreeMap<InodeNo, InodeNo>) {
        for (ino, Three { base, from, into }) in inodes.shared {
            let object = self.all.entry(Id::Shared(ino)).or_default();
            object.is_charged = into.as_ref().is_some_and(|(_, is_below)| !is_below);
            object.from_ino = Some(ino);
            let inode = |read: Read<Inode>| read.map(|(inode, _)| inode);
            object.inodes = Three { base: inode(base), from: inode(from), into: inode(into) };
        }
        for (ino, inode) in inodes.into {
            let object = self.all.entry(Id::Into(ino)).or_default();
            object.is_charged = true;
            object.inodes.into = Some(inode);
        }
        for (ino, inode) in inodes.from {
            let paired = pairs.get(&ino);
            let object = self.all.entry(paired.map_or(Id::From(ino), |into| Id::Into(*into))).or_default();
            object.from_ino = Some(ino);
            object.inodes.from = Some(inode);
            object.has_same_bytes = paired.is_some();
        }
    }

    fn take_entries(
        &mut self,
        sides: &Sides,
        entries: Entries,
        pairs: &BTreeMap<InodeNo, InodeNo>,
    ) -> Result<()> {
        let of_from = |ino: InodeNo| match (sides.is_shared(ino), pairs.get(&ino)) {
            (true, _) => Id::Shared(ino),
            (false, Some(into)) => Id::Into(*into),
            (false, None) => Id::From(ino),
        };
        let of_into = |ino: InodeNo| if sides.is_shared(ino) { Id::Shared(ino) } else { Id::Into(ino) };
        for ((dir, name), Three { base, from, into }) in entries.shared {
            let slot = Slot { dir: Id::Shared(dir), name };
            let at = Three {
                base: base.map(|(entry, _)| Id::Shared(entry.ino)),
                from: from.map(|(entry, _)| of_from(entry.ino)),
                into: into.map(|(entry, _)| of_into(entry.ino)),
            };
            if let Some(entry) = into {
                self.entries.insert(slot.clone(), entry);
            }
            self.slots.insert(slot, at);
        }
        for (dir, names) in entries.into {
            for (name, entry) in names {
                let slot = Slot { dir: Id::Into(dir), name };
                self.slots.entry(slot.clone()).or_default().into = Some(of_into(entry.0.ino));
                self.entries.insert(slot, entry);
            }
        }
        for (dir, names) in entries.from {
            for (name, entry) in names {
                let slot = Slot { dir: of_from(dir), name };
                self.slots.entry(slot).or_default().from = Some(of_from(entry.ino));
            }
        }
        for (slot, at) in &self.slots {
            let states: [(Option<Id>, State); 3] = [
                (at.base, |object| (object.inodes.base.is_some(), &mut object.names.base)),
                (at.from, |object| (object.inodes.from.is_some(), &mut object.names.from)),
                (at.into, |object| (object.inodes.into.is_some(), &mut object.names.into)),
            ];
            for (id, state) in states {
                let Some(id) = id else { continue };
                match self.all.get_mut(&id).map(state) {
                    Some((true, names)) => drop(names.insert(slot.clone())),
                    _ => return Err(dangling(slot.dir)),
                }
            }
        }
        Ok(())
    }

    /// Finds out whose bytes changed, where it matters.
    fn compare(&mut self, store: &mut dyn KvStore, sides: &mut Sides) -> Result<()> {
        let Sides { base, from, into, in_from, in_into, .. } = sides;
        for (id, object) in &mut self.all {
            let Id::Shared(ino) = *id else { continue };
            let Three { base: before, from: theirs, into: ours } = &object.inodes;
            let Some(before) = before.as_ref().filter(|inode| inode.kind != Kind::Directory) else {
                continue;
            };
            // Whoever does not mention it has it as it was.
            let (by_from, by_into) = (in_from.has(ino), in_into.has(ino));
            if let Some(theirs) = theirs.as_ref().filter(|_| by_from) {
                let before = FileIn { view: &mut *base, ino, inode: before, mentioned: None };
                let theirs = FileIn { view: &mut *from, ino, inode: theirs, mentioned: Some(&*in_from) };
                object.from_changed = !are_same(store, before, theirs)?;
            }
            if let Some(ours) = ours.as_ref().filter(|_| by_into) {
                let before = FileIn { view: &mut *base, ino, inode: before, mentioned: None };
                let ours = FileIn { view: &mut *into, ino, inode: ours, mentioned: Some(&*in_into) };
                object.into_changed = !are_same(store, before, ours)?;
            }
            object.has_same_bytes = match (theirs, ours, object.from_changed, object.into_changed) {
                (Some(theirs), Some(ours), true, true) => {
                    let theirs = FileIn { view: &mut *from, ino, inode: theirs, mentioned: Some(&*in_from) };
                    let ours = FileIn { view: &mut *into, ino, inode: ours, mentioned: Some(&*in_into) };
                    are_same(store, theirs, ours)?
                }
                (Some(_), Some(_), from_changed, into_changed) => from_changed == into_changed,
                _ => false,
            };
        }
        Ok(())
    }

    /// The number that a directory has in the volume that is merged into, else in the other one, and
    /// whether it is there.
    pub(super) fn ino_of(&self, id: Id) -> (InodeNo, bool) {
        match id {
            Id::Into(ino) => (ino, true),
            Id::From(ino) => (ino, false),
            Id::Shared(ino) => {
                let object = self.all.get(&id);
                (ino, object.is_none_or(|object| object.inodes.into.is_some()))
            }
        }
    }
}

fn dangling(dir: Id) -> Error {
    let (Id::Shared(dir) | Id::Into(dir) | Id::From(dir)) = dir;
    Error::damaged("directory entry", dir.0, "it names an inode that is not there")
}

impl Entries {
    fn read(store: &mut dyn KvStore, sides: &mut Sides) -> Result<Self> {
        let (mut shared, mut of_from, mut of_into) = (BTreeSet::new(), Vec::new(), Vec::new());
        for (is_from, mentioned) in [(true, &sides.in_from), (false, &sides.in_into)] {
            for (dir, name) in &mentioned.names {
                let name = (*dir, name.clone());
                match (sides.is_shared(*dir), is_from) {
                    (true, _) => drop(shared.insert(name)),
                    (false, true) => of_from.push(name),
                    (false, false) => of_into.push(name),
                }
            }
        }
        let shared: Vec<(InodeNo, String)> = shared.into_iter().collect();
        let three = sides.read_three(store, &shared, read_names, |of, name| of.names.contains(name))?;
        let mut entries = Self {
            shared: shared.into_iter().zip(three).collect(),
            from: BTreeMap::new(),
            into: BTreeMap::new(),
        };
        let found = read_names(store, &mut sides.only_from, &of_from)?;
        for ((dir, name), entry) in of_from.into_iter().zip(found) {
            if let Some((entry, _)) = entry {
                entries.from.entry(dir).or_default().insert(name, entry);
            }
        }
        let found = read_names(store, &mut sides.only_into, &of_into)?;
        for ((dir, name), entry) in of_into.into_iter().zip(found) {
            if let Some(entry) = entry {
                entries.into.entry(dir).or_default().insert(name, entry);
            }
        }
        Ok(entries)
    }
}

/// Inodes that have a name, in all states.
struct Inodes {
    shared: BTreeMap<InodeNo, Three<Read<Inode>>>,
    from: BTreeMap<InodeNo, Inode>,
    into: BTreeMap<InodeNo, Inode>,
}

impl Inodes {
    fn read(store: &mut dyn KvStore, sides: &mut Sides, entries: &Entries) -> Result<Self> {
        let mut shared: BTreeSet<InodeNo> = BTreeSet::new();
        let mut of_from: BTreeSet<InodeNo> = entries.from.keys().copied().collect();
        let mut of_into: BTreeSet<InodeNo> = entries.into.keys().copied().collect();
        of_from.extend(sides.in_from.all_inodes());
        of_into.extend(sides.in_into.all_inodes());
        for ((dir, _), Three { base, from, into }) in &entries.shared {
            shared.insert(*dir);
            shared.extend(base.iter().map(|(entry, _)| entry.ino));
            of_from.extend(from.iter().map(|(entry, _)| entry.ino));
            of_into.extend(into.iter().map(|(entry, _)| entry.ino));
        }
        of_from.extend(entries.from.values().flat_map(BTreeMap::values).map(|entry| entry.ino));
        of_into.extend(entries.into.values().flat_map(BTreeMap::values).map(|(entry, _)| entry.ino));
        shared.extend(of_from.iter().chain(&of_into).filter(|ino| sides.is_shared(**ino)));
        // An entry of the common layers can name no other inode, but for damage.
        shared.retain(|ino| sides.is_shared(*ino));
        let own = |all: &BTreeSet<InodeNo>| -> Vec<InodeNo> {
            all.iter().copied().filter(|ino| !sides.is_shared(*ino)).collect()
        };
        let (of_from, of_into) = (own(&of_from), own(&of_into));
        let shared: Vec<InodeNo> = shared.into_iter().collect();
        let three = sides.read_three(store, &shared, read_inodes, |of, ino| of.inodes.contains(ino))?;
        let three = three.into_iter().map(|Three { base, from, into }| Three {
            base: named(base),
            from: named(from),
            into: named(into),
        });
        let shared = shared.into_iter().zip(three).collect();
        let mut own = |view, of: Vec<InodeNo>| -> Result<BTreeMap<InodeNo, Inode>> {
            let found = read_inodes(store, view, &of)?.into_iter().map(named);
            Ok(of.into_iter().zip(found).filter_map(|(ino, read)| Some((ino, read?.0))).collect())
        };
        Ok(Self { shared, from: own(&mut sides.from, of_from)?, into: own(&mut sides.into, of_into)? })
    }
}

/// Leaves out an inode that is only open, without a name.
fn named(found: Read<Inode>) -> Read<Inode> {
    found.filter(|(inode, _)| inode.nlink > 0)
}

/// Finds what both volumes have made in the same way: directories of the same name, files and links of
/// the same name and bytes. Returns the number here for each number there.
fn pair(
    store: &mut dyn KvStore,
    sides: &mut Sides,
    entries: &Entries,
    inodes: &Inodes,
) -> Result<BTreeMap<InodeNo, InodeNo>> {
    let mut pairs = BTreeMap::new();
    let mut paired: BTreeSet<InodeNo> = BTreeSet::new();
    let mut todo: Vec<(InodeNo, InodeNo)> = Vec::new();
    for (_, Three { from, into, .. }) in entries.shared.iter().rev() {
        if let (Some((from, _)), Some((into, _))) = (from, into) {
            todo.push((from.ino, into.ino));
        }
    }
    let empty = (BTreeMap::new(), BTreeMap::new());
    while let Some((from, into)) = todo.pop() {
        let is_new = !pairs.contains_key(&from) && !paired.contains(&into);
        let (Some(theirs), Some(ours)) = (inodes.from.get(&from), inodes.into.get(&into)) else { continue };
        if !is_new || theirs.kind != ours.kind {
            continue;
        }
        if theirs.kind == Kind::Directory {
            let theirs = entries.from.get(&from).unwrap_or(&empty.0);
            let ours = entries.into.get(&into).unwrap_or(&empty.1);
            for (name, entry) in theirs.iter().rev() {
                todo.extend(ours.get(name).map(|(other, _)| (entry.ino, other.ino)));
            }
        } else {
            let Sides { from: view_from, into: view_into, in_from, in_into, .. } = &mut *sides;
            let one = FileIn { view: view_from, ino: from, inode: theirs, mentioned: Some(in_from) };
            let other = FileIn { view: view_into, ino: into, inode: ours, mentioned: Some(in_into) };
            if !are_same(store, one, other)? {
                continue;
            }
        }
        pairs.insert(from, into);
        paired.insert(into);
    }
    Ok(pairs)
}
