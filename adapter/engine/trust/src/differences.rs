//! Checks the differences that the engine finds between two volumes, by what both hold.

use crate::run::Check;
use crate::tree::{Leaf, Tree};
use kvfs::Kind;
use kvfs::volumes::{Changed, Difference, What};
use std::collections::{BTreeMap, BTreeSet};

/// What is told of a path.
#[derive(Default)]
struct Told {
    removed: BTreeSet<String>,
    added: BTreeSet<String>,
    /// From the old path.
    renamed: BTreeMap<String, String>,
    /// By the new path.
    modified: BTreeMap<String, What>,
}

/// Requires that the differences make the second tree of the first one, and tell nothing that is not so.
/// Paths in trees have no slash in front.
pub fn check(first: &Tree, second: &Tree, found: &[Difference]) -> Check {
    let mut told = Told::default();
    let plain = |path: &str| path.trim_start_matches('/').to_owned();
    for difference in found {
        let path = plain(&difference.path);
        let is_new = match &difference.change {
            Changed::Added => told.added.insert(path),
            Changed::Removed => told.removed.insert(path),
            Changed::Modified(what) => told.modified.insert(path, *what).is_none(),
            Changed::Renamed { from, also } => {
                told.modified.insert(path.clone(), *also);
                told.renamed.insert(plain(from), path).is_none()
            }
        };
        if !is_new {
            return Err(format!("told twice: {difference:?}"));
        }
    }
    let mut reached = told.added.clone();
    let mut moved: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for (path, leaf) in first {
        let to = place(path, &told, &moved)?;
        if let Some(to) = &to {
            if !reached.insert(to.clone()) {
                return Err(format!("two paths lead to {to:?}"));
            }
            let after =
                second.get(to).ok_or_else(|| format!("{path:?} is told to be at {to:?}, and is gone"))?;
            compare(to, leaf, after, told.modified.get(to).copied())?;
        }
        moved.insert(path, to);
    }
    match second.keys().find(|path| !reached.contains(*path)) {
        Some(path) => Err(format!("{path:?} is not told of")),
        None => match reached.iter().find(|path| !second.contains_key(*path)) {
            Some(path) => Err(format!("{path:?} is told of, and is not there")),
            None => Ok(()),
        },
    }
}

/// Where a path of the first tree is in the second one.
fn place(path: &str, told: &Told, moved: &BTreeMap<&str, Option<String>>) -> Result<Option<String>, String> {
    if path.is_empty() {
        return Ok(Some(String::new()));
    }
    if told.removed.contains(path) {
        return Ok(None);
    }
    if let Some(to) = told.renamed.get(path) {
        return Ok(Some(to.clone()));
    }
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    match moved.get(parent) {
        Some(Some(parent)) if parent.is_empty() => Ok(Some(name.to_owned())),
        Some(Some(parent)) => Ok(Some(format!("{parent}/{name}"))),
        _ => Err(format!("{path:?} is not told of, and its directory is gone")),
    }
}

fn compare(path: &str, before: &Leaf, after: &Leaf, told: Option<What>) -> Check {
    let told = told.unwrap_or_default();
    let kind = before.kind != after.kind;
    let is_directory = after.kind == Kind::Directory;
    let bytes = !kind
        && !is_directory
        && (before.size != after.size || before.target != after.target || before.regions != after.regions);
    let times = before.times[..2] != after.times[..2];
    let must = kind || bytes || !is_directory && before.times[1] != after.times[1];
    let is_told = told.kind || told.bytes || told.times;
    if must && !is_told {
        return Err(format!("{path:?} differs, and is not told of"));
    }
    if told.kind != kind && told.kind || told.times && !times && !kind {
        return Err(format!("{path:?} is told to differ in {told:?}, and does not"));
    }
    if bytes && !told.bytes {
        return Err(format!("the bytes of {path:?} differ, told is {told:?}"));
    }
    Ok(())
}
