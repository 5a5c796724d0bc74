//! A volume's whole content as one value for comparison, from the model or by walking the engine.

use crate::model::{Content, Id, Model, ROOT};
use kvfs::{Access, Descriptor, Error, Follow, Kind, OpenFlags, Stat, Timestamp, Volume};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    pub id: Id,
    pub kind: Kind,
    pub nlink: u64,
    pub size: u64,
    pub times: [Timestamp; 3],
    /// A symbolic link's target.
    pub target: String,
    /// The file's bytes in the regions chosen by its size.
    pub regions: Vec<(u64, Vec<u8>)>,
}

/// Leaves by path; the root is "".
pub type Tree = BTreeMap<String, Leaf>;

const WHOLE: u64 = 64 << 10;

/// The regions of a file to compare: all of a small file, the interesting parts of a huge one.
fn regions(size: u64) -> Vec<(u64, u64)> {
    if size <= WHOLE {
        return vec![(0, size)];
    }
    let far = 1 << 40;
    let mut regions = vec![(0, WHOLE)];
    if size > far - 4096 {
        regions.push((far - 4096, (size - (far - 4096)).min(WHOLE)));
    }
    regions.push((size.saturating_sub(WHOLE).max(WHOLE), (size - WHOLE).min(WHOLE)));
    regions
}

pub fn of_model(model: &Model) -> Tree {
    let mut tree = Tree::new();
    let mut todo = vec![(String::new(), ROOT)];
    while let Some((path, id)) = todo.pop() {
        let object = model.object(id);
        let mut leaf = Leaf {
            id,
            kind: object.kind(),
            nlink: object.nlink,
            size: object.size(),
            times: [object.atime, object.mtime, object.ctime],
            target: String::new(),
            regions: Vec::new(),
        };
        match &object.content {
            Content::File(bytes) => {
                let read = |(offset, length)| (offset, bytes.read(offset, length));
                leaf.regions = regions(bytes.size).into_iter().map(read).collect();
            }
            Content::Symlink(target) => leaf.target.clone_from(target),
            Content::Directory { entries, .. } => {
                todo.extend(entries.iter().map(|(name, id)| (join(&path, name), *id)));
            }
        }
        tree.insert(path, leaf);
    }
    tree
}

pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

pub fn list(volume: &mut Volume, dir: &Descriptor) -> Result<Vec<(String, Kind, Id)>, Error> {
    let mut stream = volume.read_directory(dir)?;
    let mut names = Vec::new();
    let outcome = loop {
        match volume.next_entry(&mut stream) {
            Ok(Some(entry)) => names.push((entry.name.to_string(), entry.kind, entry.ino.0)),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    volume.close_directory(stream)?;
    outcome?;
    names.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

/// Walks a volume and reads everything, as a guest would.
pub fn of_volume(volume: &mut Volume) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    let root = volume.root()?;
    let outcome = walk(volume, &root, &mut tree);
    volume.close(root)?;
    outcome.map(|()| tree)
}

fn walk(volume: &mut Volume, root: &Descriptor, tree: &mut Tree) -> Result<(), Error> {
    let stat = volume.stat(root)?;
    tree.insert(String::new(), leaf(stat));
    let mut todo = vec![String::new()];
    while let Some(path) = todo.pop() {
        let at = if path.is_empty() { "." } else { path.as_str() };
        let flags = OpenFlags { directory: true, ..OpenFlags::default() };
        let dir = volume.open_at(root, at, Follow::No, flags, Access::default())?;
        let names = list(volume, &dir);
        volume.close(dir)?;
        for (name, kind, id) in names? {
            let path = join(&path, &name);
            let mut found = leaf(volume.stat_at(root, &path, Follow::No)?);
            assert_eq!((found.kind, found.id), (kind, id), "entry and inode of {path}");
            match kind {
                Kind::Directory => todo.push(path.clone()),
                Kind::Symlink => found.target = volume.readlink_at(root, &path)?,
                Kind::File => found.regions = read_all(volume, root, &path, found.size)?,
            }
            assert!(tree.insert(path, found).is_none(), "a name listed twice");
        }
    }
    Ok(())
}

fn leaf(stat: Stat) -> Leaf {
    Leaf {
        id: stat.ino.0,
        kind: stat.kind,
        nlink: stat.nlink,
        size: stat.size,
        times: [stat.atime, stat.mtime, stat.ctime],
        target: String::new(),
        regions: Vec::new(),
    }
}

fn read_all(
    volume: &mut Volume,
    root: &Descriptor,
    path: &str,
    size: u64,
) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let file = volume.open_at(root, path, Follow::No, OpenFlags::default(), Access::default())?;
    let mut found = Vec::new();
    let mut outcome = Ok(());
    for (offset, length) in regions(size) {
        let mut bytes = Vec::new();
        outcome = volume.read(&file, offset, length as usize, &mut bytes).map(drop);
        if outcome.is_err() {
            break;
        }
        found.push((offset, bytes));
    }
    // The close may store dirty data, and fail: that is not the reader's concern.
    let closed = volume.close(file);
    volume.tell_later(closed);
    outcome.map(|()| found)
}

/// Describes the first difference.
pub fn difference(expected: &Tree, found: &Tree) -> Option<String> {
    for path in expected.keys().chain(found.keys()) {
        match (expected.get(path), found.get(path)) {
            (Some(expected), Some(found)) if expected == found => {}
            (Some(expected), Some(found)) => {
                let (mut expected, mut found) = (expected.clone(), found.clone());
                let mut bytes = String::new();
                for ((offset, a), (_, b)) in expected.regions.iter().zip(&found.regions) {
                    if let Some(at) = (0..a.len().max(b.len())).find(|at| a.get(*at) != b.get(*at)) {
                        bytes = format!(" byte {}: {:?} not {:?}", *offset + at as u64, b.get(at), a.get(at));
                        break;
                    }
                }
                (expected.regions, found.regions) = (Vec::new(), Vec::new());
                return Some(format!("{path:?}:{bytes} expected {expected:?}, found {found:?}"));
            }
            (Some(_), None) => return Some(format!("{path:?} is missing")),
            (None, _) => return Some(format!("{path:?} should not be there")),
        }
    }
    None
}
