//! Finds conflicts, and resolves them as somebody says, until there are none or nobody says more.

use super::objects::{At, Choice, Id, Object, Objects, Slot};
use super::sides::{Sides, Three};
use super::told::{Conflict, ConflictKind, Side};
use crate::error::{Error, Result};
use crate::store::KvStore;
use crate::stored::key::tag;
use crate::stored::record::dentry;
use crate::types::{InodeNo, Kind};
use crate::volumes::paths::Paths;
use std::collections::{BTreeMap, BTreeSet};

/// Says whose change is kept, if somebody decides.
pub(super) type Resolve<'r> = &'r mut dyn FnMut(&Conflict) -> Option<Side>;

/// What is in the way of a merge.
struct Found {
    kind: ConflictKind,
    /// What it is about, and its name if it is about that.
    about: Id,
    slot: Option<Slot>,
    /// The object that gets the state that it has here, if our side is kept.
    ours: Id,
    /// The object that gets the state that it has there, if theirs is.
    theirs: Option<Id>,
    /// It follows from what was decided before.
    follows: Option<Side>,
}

/// Resolves conflicts. Returns those on which nobody decides, or how many were resolved.
pub(super) fn settle(
    store: &mut dyn KvStore,
    sides: &mut Sides,
    objects: &mut Objects,
    resolve: Resolve<'_>,
) -> Result<std::result::Result<u64, Vec<Conflict>>> {
    let mut resolved = 0;
    let mut paths = Three::<Paths>::default();
    loop {
        let mut found = conflicts_of_objects(objects);
        replaced(objects, &mut found);
        let disputed: BTreeSet<Id> = found.iter().map(|found| found.about).collect();
        let placed = place(objects, &disputed);
        conflicts_of_names(objects, &disputed, &placed, &mut found);
        rings(store, sides, objects, &disputed, &placed, &mut found)?;
        let (mut open, mut decided, mut stuck) = (Vec::new(), false, None);
        for found in found {
            let side = match found.follows {
                Some(side) => side,
                None => {
                    let path = path_of(store, sides, objects, &found, &mut paths)?;
                    let conflict = Conflict { path, kind: found.kind };
                    let Some(side) = resolve(&conflict) else {
                        open.push(conflict);
                        continue;
                    };
                    resolved += 1;
                    side
                }
            };
            if decide(objects, &found, side) {
                decided = true;
            } else {
                stuck = stuck.or(Some(found.about));
            }
        }
        if !decided {
            // Two objects that a bad volume itself has under one name stay in conflict, whatever is chosen.
            if let Some(about) = stuck.filter(|_| open.is_empty()) {
                let ino = objects.ino_of(about).0.0;
                return Err(Error::damaged("inode", ino, "a conflict that nothing resolves"));
            }
            open.sort();
            open.dedup();
            return Ok(if open.is_empty() { Ok(resolved) } else { Err(open) });
        }
    }
}

/// Returns whether the decision makes the choice of one object a later one. So there are at most two for
/// each.
fn decide(objects: &mut Objects, found: &Found, side: Side) -> bool {
    if side == Side::Theirs
        && let Some(object) = found.theirs.and_then(|id| objects.all.get_mut(&id))
        && object.choice == Choice::Both
    {
        object.choice = Choice::Theirs;
        return true;
    }
    match objects.all.get_mut(&found.ours) {
        Some(object) if object.choice != Choice::Ours => {
            object.choice = Choice::Ours;
            true
        }
        _ => false,
    }
}

/// Conflicts of one object: both sides changed it, or one removed it.
fn conflicts_of_objects(objects: &Objects) -> Vec<Found> {
    let mut found = Vec::new();
    for (id, object) in &objects.all {
        let Id::Shared(_) = id else { continue };
        if object.choice != Choice::Both || object.inodes.base.is_none() {
            continue;
        }
        let Three { base, from, into } = &object.names;
        let kind = match (&object.inodes.from, &object.inodes.into) {
            (Some(_), None) if object.from_changed || !from.is_subset(base) => ConflictKind::RemovedHere,
            (None, Some(_)) if object.into_changed || !into.is_subset(base) => ConflictKind::RemovedThere,
            (Some(_), Some(_)) if !object.is_there(*id) && object.from_changed => ConflictKind::RemovedHere,
            (Some(_), Some(_)) if !object.is_there(*id) && object.into_changed => ConflictKind::RemovedThere,
            (Some(_), Some(_)) if are_renamed_apart(object) => ConflictKind::BothRenamed,
            (Some(_), Some(_)) if object.from_changed && object.into_changed && !object.has_same_bytes => {
                ConflictKind::BothChanged
            }
            _ => continue,
        };
        found.push(Found { kind, about: *id, slot: None, ours: *id, theirs: Some(*id), follows: None });
    }
    found
}

/// Conflicts of files that one side removed, and the other replaced by new ones, as editors do to save
/// them.
fn replaced(objects: &Objects, found: &mut Vec<Found>) {
    let is_file = |id: Id| objects.all.get(&id).is_some_and(|object| object.kind() != Some(Kind::Directory));
    for (slot, at) in &objects.slots {
        let (kind, new) = match at {
            Three { base: Some(_), from: Some(new @ Id::From(_)), into: None } => {
                (ConflictKind::RemovedHere, *new)
            }
            Three { base: Some(_), from: None, into: Some(new @ Id::Into(_)) } => {
                (ConflictKind::RemovedThere, *new)
            }
            _ => continue,
        };
        let gone = at.base.and_then(|id| objects.all.get(&id));
        let is_gone = gone.is_some_and(|gone| gone.inodes.from.is_none() && gone.inodes.into.is_none());
        let is_open = objects.all.get(&new).is_some_and(|object| object.choice == Choice::Both);
        if is_gone && is_open && is_file(new) && at.base.is_some_and(is_file) {
            let slot = Some(slot.clone());
            found.push(Found { kind, about: new, slot, ours: new, theirs: Some(new), follows: None });
        }
    }
}

/// Whether both took a name from the object, and gave it different ones.
fn are_renamed_apart(object: &Object) -> bool {
    let Three { base, from, into } = &object.names;
    let lost = base.iter().any(|slot| !from.contains(slot) && !into.contains(slot));
    let added = |names: &BTreeSet<Slot>| -> BTreeSet<Slot> { names.difference(base).cloned().collect() };
    lost && added(from) != added(into)
}

/// The objects that want each name.
type Placed = BTreeMap<Slot, Vec<Id>>;

fn place(objects: &Objects, disputed: &BTreeSet<Id>) -> Placed {
    let mut placed = Placed::new();
    for (id, object) in &objects.all {
        if disputed.contains(id) {
            for slot in &object.names.into {
                placed.entry(slot.clone()).or_default().push(*id);
            }
        } else if object.is_there(*id) {
            for slot in object.names() {
                placed.entry(slot.clone()).or_default().push(*id);
            }
        }
    }
    placed
}

/// Conflicts of names: two objects want one, or its directory is gone.
fn conflicts_of_names(objects: &Objects, disputed: &BTreeSet<Id>, placed: &Placed, found: &mut Vec<Found>) {
    for (slot, ids) in placed {
        let at = objects.slots.get(slot).cloned().unwrap_or_default();
        let here = ids.iter().find(|id| is_from_here(objects, &at, **id));
        let there = ids.iter().find(|id| Some(*id) != here);
        if let (Some(ours), Some(theirs)) = (here, there) {
            let kind = |id: &Id| objects.all.get(id).and_then(Object::kind);
            let kind = match kind(ours) == kind(theirs) {
                true => ConflictKind::NameTaken,
                false => ConflictKind::KindsDiffer,
            };
            let slot = Some(slot.clone());
            let (ours, theirs) = (*theirs, Some(*ours));
            found.push(Found { kind, about: ours, slot, ours, theirs, follows: None });
            continue;
        }
        let Some(directory) = objects.all.get(&slot.dir) else { continue };
        let is_there = match disputed.contains(&slot.dir) {
            true => directory.inodes.into.is_some(),
            false => directory.is_there(slot.dir),
        };
        if is_there {
            continue;
        }
        for id in ids {
            found.extend(homeless(objects, slot, *id, Some(id) == here));
        }
    }
}

/// The conflict of an object whose directory is gone.
fn homeless(objects: &Objects, slot: &Slot, id: Id, is_from_here: bool) -> Option<Found> {
    let object = objects.all.get(&id)?;
    let directory = objects.all.get(&slot.dir)?;
    let name = Some(slot.clone());
    Some(if is_from_here {
        let follows = match (directory.choice, object.choice) {
            (Choice::Theirs, Choice::Both) => Some(Side::Theirs),
            (Choice::Theirs, _) => Some(Side::Ours),
            _ => None,
        };
        let kind = ConflictKind::DirectoryRemovedThere;
        Found { kind, about: id, slot: name, ours: slot.dir, theirs: Some(id), follows }
    } else {
        let follows = (directory.choice == Choice::Ours).then_some(Side::Ours);
        let kind = ConflictKind::DirectoryRemovedHere;
        Found { kind, about: id, slot: name, ours: id, theirs: Some(slot.dir), follows }
    })
}

/// Whether an object has a name because it has it here.
fn is_from_here(objects: &Objects, at: &At, id: Id) -> bool {
    let is_theirs = objects.all.get(&id).is_some_and(|object| object.choice == Choice::Theirs);
    at.into == Some(id) && !(is_theirs && at.from != Some(id))
}

/// Finds directories that lie in themselves, because both volumes moved some.
fn rings(
    store: &mut dyn KvStore,
    sides: &mut Sides,
    objects: &Objects,
    disputed: &BTreeSet<Id>,
    placed: &Placed,
    found: &mut Vec<Found>,
) -> Result<()> {
    let parents: BTreeMap<Id, &Slot> = placed
        .iter()
        .flat_map(|(slot, ids)| ids.iter().map(move |id| (*id, slot)))
        .filter(|(id, _)| objects.all.get(id).and_then(Object::kind) == Some(Kind::Directory))
        .collect();
    let moved = |names: fn(&Object) -> &BTreeSet<Slot>| {
        parents.keys().any(|id| {
            let object = objects.all.get(id);
            matches!(id, Id::Shared(_)) && object.is_some_and(|object| *names(object) != object.names.base)
        })
    };
    // Directories of one volume alone, moved or not, lie in no ring.
    if !moved(|object| &object.names.from) || !moved(|object| &object.names.into) {
        return Ok(());
    }
    let mut sound: BTreeSet<Id> = BTreeSet::from([Id::Shared(InodeNo::ROOT)]);
    for start in parents.keys() {
        let (mut way, mut at) = (Vec::new(), *start);
        while !sound.contains(&at) && !way.contains(&at) {
            way.push(at);
            at = match parents.get(&at) {
                Some(slot) => slot.dir,
                // Its name is as it was.
                None => match parent_here(store, sides, objects, at)? {
                    Some(parent) => parent,
                    None => break,
                },
            };
        }
        if let Some(first) = way.iter().position(|id| *id == at) {
            let ring = way.get(first..).unwrap_or_default();
            let at_of = |id: &Id| parents.get(id).and_then(|slot| objects.slots.get(*slot));
            let is_here = |id: &&Id| at_of(id).is_none_or(|at| at.into == Some(**id));
            let is_there = |id: &&Id| at_of(id).is_none_or(|at| at.from == Some(**id));
            let free = |id: &&Id| !disputed.contains(*id);
            let ours = ring.iter().filter(free).find(|id| !is_here(id));
            let Some(ours) = ours.copied() else {
                return Err(Error::damaged("inode", objects.ino_of(at).0.0, "a directory in itself"));
            };
            let theirs = ring.iter().filter(free).find(|id| !is_there(id)).copied();
            let (kind, slot) = (ConflictKind::DirectoryCycle, None);
            found.push(Found { kind, about: ours, slot, ours, theirs, follows: None });
        }
        sound.extend(way);
    }
    Ok(())
}

/// The parent of a directory that has its name here.
fn parent_here(store: &mut dyn KvStore, sides: &mut Sides, objects: &Objects, id: Id) -> Result<Option<Id>> {
    let known = objects.all.get(&id).and_then(|object| object.inodes.into.as_ref());
    let parent = match (known, id) {
        (Some(inode), _) => Some(inode.parent),
        (None, Id::Shared(ino) | Id::Into(ino)) => sides.into.inode(store, ino)?.map(|inode| inode.parent),
        (None, Id::From(_)) => None,
    };
    Ok(parent.map(|ino| if sides.is_shared(ino) { Id::Shared(ino) } else { Id::Into(ino) }))
}

/// Finds the path that a conflict is told by.
fn path_of(
    store: &mut dyn KvStore,
    sides: &mut Sides,
    objects: &Objects,
    found: &Found,
    paths: &mut Three<Paths>,
) -> Result<String> {
    let object = objects.all.get(&found.about);
    let names = object.map(|object| &object.names);
    let own = names.and_then(|Three { base, from, into }| {
        into.first().or_else(|| from.first()).or_else(|| base.first()).cloned()
    });
    match found.slot.clone().or(own) {
        Some(slot) => {
            let here = objects.slots.get(&slot).is_some_and(|at| at.into.is_some() || at.from.is_none());
            let number = |id: Id| match id {
                Id::Shared(ino) | Id::Into(ino) | Id::From(ino) => ino,
            };
            let there = objects.all.get(&slot.dir).and_then(|object| object.from_ino);
            let is_dir_here = objects.ino_of(slot.dir).1;
            let is_dir_there = objects.all.get(&slot.dir).is_none_or(|object| object.inodes.from.is_some());
            if is_dir_here && (here || !is_dir_there) {
                return paths.into.of_name(store, &mut sides.into, &paths.base, number(slot.dir), &slot.name);
            }
            if is_dir_there {
                let dir = there.unwrap_or(number(slot.dir));
                return paths.from.of_name(store, &mut sides.from, &paths.base, dir, &slot.name);
            }
            paths.base.of_name(store, &mut sides.base, &paths.into, number(slot.dir), &slot.name)
        }
        // No layer above the common one mentions a name of it.
        None => {
            let ino = objects.ino_of(found.about).0;
            let (dir, name) = name_of(store, sides, ino)?;
            paths.into.of_name(store, &mut sides.into, &paths.base, dir, &name)
        }
    }
}

/// Looks for a name of an inode among all names of the volume that is merged into.
fn name_of(store: &mut dyn KvStore, sides: &mut Sides, ino: InodeNo) -> Result<(InodeNo, String)> {
    let (start, end) = sides.into.keys.tags_range(tag::DENTRY, tag::DENTRY);
    let mut name = None;
    sides.into.scan(store, start, &end, &mut |keys, entry| {
        let dir = keys.split(&entry.key).and_then(|(_, rest)| rest.first_chunk::<8>().copied());
        let dir = InodeNo(dir.map_or(0, u64::from_be_bytes));
        if dentry::decode(&entry.key, dir, &entry.value)?.ino == ino {
            name = keys.dentry_name(dir, &entry.key).map(|name| (dir, name.to_owned()));
        }
        Ok(name.is_none())
    })?;
    name.ok_or(Error::damaged("inode", ino.0, "a file without a name"))
}
