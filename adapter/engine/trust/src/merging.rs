//! Checks merges of volumes by the trees before and after, path by path.

use crate::model::Id;
use crate::run::Check;
use crate::tree::{Leaf, Tree};
use kvfs::Kind;
use std::collections::BTreeMap;

/// What users see of a leaf, but for its times and the number of its names.
type Seen<'t> = (Kind, u64, &'t str, &'t [(u64, Vec<u8>)]);

fn seen(leaf: &Leaf) -> Seen<'_> {
    let size = if leaf.kind == Kind::Directory { 0 } else { leaf.size };
    (leaf.kind, size, &leaf.target, &leaf.regions)
}

/// The leaf of each object.
fn by_id(tree: &Tree) -> BTreeMap<Id, (&str, Seen<'_>)> {
    tree.iter().map(|(path, leaf)| (leaf.id, (path.as_str(), seen(leaf)))).collect()
}

/// Requires that `merged` has the changes of both volumes since they were `base`, wherever only one of them
/// changed a path. Nothing is said of paths in directories that were renamed. Returns how many paths
/// were looked at that one of them had changed.
pub fn check(base: &Tree, from: &Tree, into: &Tree, merged: &Tree) -> Result<u64, String> {
    let (base_ids, from_ids, into_ids) = (by_id(base), by_id(from), by_id(into));
    let is_moved = |ids: &BTreeMap<Id, (&str, Seen<'_>)>| {
        base_ids.iter().any(|(id, (path, (kind, ..)))| {
            *kind == Kind::Directory && ids.get(id).is_some_and(|(other, _)| other != path)
        })
    };
    if is_moved(&from_ids) || is_moved(&into_ids) {
        return Ok(0);
    }
    // An object that one side wrote under a name that the other side moved is for other tests.
    let is_written = |ids: &BTreeMap<Id, (&str, Seen<'_>)>, id: Id| {
        let before = base_ids.get(&id).map(|(_, seen)| seen);
        before.is_some() && ids.get(&id).map(|(_, seen)| seen) != before
    };
    let mut changed = 0;
    let paths = base.keys().chain(from.keys()).chain(into.keys());
    for path in paths.collect::<std::collections::BTreeSet<_>>() {
        let key = |tree: &'_ Tree| tree.get(path).map(|leaf| leaf.id);
        let at = |tree: &Tree, ids: &BTreeMap<Id, (&str, Seen<'_>)>| {
            let id = key(tree);
            (
                id.filter(|id| base_ids.contains_key(id)),
                id.is_some(),
                id.is_some_and(|id| is_written(ids, id)),
            )
        };
        let (before, theirs, ours) = (at(base, &base_ids), at(from, &from_ids), at(into, &into_ids));
        let id = key(base).or(key(from)).or(key(into));
        let (expected, ids) = match (theirs == before, ours == before) {
            (true, _) => (into, &from_ids),
            (false, true) => (from, &into_ids),
            (false, false) => continue,
        };
        if key(expected).or(id).is_some_and(|id| is_written(ids, id)) {
            continue;
        }
        changed += u64::from(theirs != ours);
        let (expected, found) = (expected.get(path).map(seen), merged.get(path).map(seen));
        if expected != found {
            let short = |seen: Option<Seen<'_>>| seen.map(|(kind, size, ..)| format!("{kind:?} of {size}"));
            return Err(format!(
                "{path:?} is {:?} after a merge, not {:?}; before {before:?}, there {theirs:?}, here {ours:?}",
                short(found),
                short(expected)
            ));
        }
    }
    Ok(changed)
}

/// Requires that a merge of a volume that has not changed does nothing, and that one into such a volume
/// gives the other one's files.
pub fn check_one_sided(base: &Tree, from: &Tree, into: &Tree, merged: &Tree) -> Check {
    let all = |tree: &Tree| -> Vec<(String, String)> {
        tree.iter().map(|(path, leaf)| (path.clone(), format!("{:?} {}", seen(leaf), leaf.nlink))).collect()
    };
    let ids = |tree: &Tree| -> Vec<(String, Id)> {
        tree.iter().map(|(path, leaf)| (path.clone(), leaf.id)).collect()
    };
    let is_as_base = |tree: &Tree| ids(tree) == ids(base) && all(tree) == all(base);
    let expected = match (is_as_base(from), is_as_base(into)) {
        (true, _) => into,
        (false, true) => from,
        (false, false) => return Ok(()),
    };
    match all(expected) == all(merged) {
        true => Ok(()),
        false => Err(format!("a merge gives {:#?}, not {:#?}", all(merged), all(expected))),
    }
}
