//! A tree to pack: its entries in an order that does not depend on where they were read from.

use crate::error::MountError;
use crate::limits::{MAX_TREE_ENTRIES, MAX_TREE_NAME_BYTES};
use kvfs::Timestamp;
use kvfs::limits::{MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_SYMLINK_BYTES};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::rc::Rc;

/// Most symbolic links on the way to one path, as in Linux.
const MAX_LINKS: usize = 40;

/// The mount that a tree is read for, for errors.
#[derive(Clone, Debug)]
pub(super) struct Purpose {
    /// The guest's path.
    pub(super) path: String,
    /// The path of the tree.
    pub(super) tree: PathBuf,
}

impl Purpose {
    pub(super) fn tree_name(&self) -> String {
        self.tree.display().to_string()
    }

    pub(super) fn unreadable(&self, file: impl Into<PathBuf>, error: std::io::Error) -> MountError {
        MountError::Read { path: self.path.clone(), file: file.into(), error }
    }

    pub(super) fn special(&self, name: &str, kind: &'static str) -> MountError {
        MountError::Special {
            path: self.path.clone(),
            tree: self.tree_name(),
            name: name.escape_debug().to_string(),
            kind,
        }
    }

    pub(super) fn bad_name(&self, name: &str, reason: impl Into<String>) -> MountError {
        MountError::Name {
            path: self.path.clone(),
            tree: self.tree_name(),
            name: name.escape_debug().to_string(),
            reason: reason.into(),
        }
    }
}

/// The bytes of a file.
#[derive(Debug)]
pub(super) enum Bytes {
    /// In a file of the host, with its size when the tree was read.
    Disk(PathBuf, u64),
    /// In memory.
    Here(Vec<u8>),
}

impl Bytes {
    /// Returns their number, as known before they are read.
    fn len(&self) -> u64 {
        match self {
            Self::Disk(_, size) => *size,
            Self::Here(bytes) => bytes.len() as u64,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Directory,
    /// A file, shared by all its names, so that each keeps it if others are replaced.
    File(Rc<Bytes>),
    /// A symbolic link with its target, shared by all its names.
    Symlink(Rc<String>),
}

impl Content {
    /// Describes it, with an article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Directory => "a directory",
            Self::File(_) => "a file",
            Self::Symlink(_) => "a symbolic link",
        }
    }

    /// Returns an identity that all names of one file or link share; a directory has one name only.
    fn identity(&self) -> Option<*const ()> {
        match self {
            Self::Directory => None,
            Self::File(bytes) => Some(Rc::as_ptr(bytes).cast()),
            Self::Symlink(target) => Some(Rc::as_ptr(target).cast()),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) modified: Timestamp,
}

impl Node {
    /// Makes a directory that is implied by a path in it, and has no time of its own.
    fn directory() -> Self {
        Self { content: Content::Directory, modified: Timestamp::default() }
    }

    /// Returns the bytes of names beside its path.
    fn named_bytes(&self) -> usize {
        match &self.content {
            Content::Symlink(target) => target.len(),
            Content::Directory | Content::File(_) => 0,
        }
    }
}

/// A tree by relative paths, with `/` between names; the root has none. A directory sorts before
/// its entries.
#[derive(Debug)]
pub(super) struct Tree {
    /// Time of modification of the root.
    pub(super) modified: Timestamp,
    nodes: BTreeMap<String, Node>,
    /// Bytes of all paths and link targets.
    named_bytes: usize,
    /// Most entries, and most bytes of names.
    max: (usize, usize),
}

impl Tree {
    pub(super) fn new(modified: Timestamp) -> Self {
        Self {
            modified,
            nodes: BTreeMap::new(),
            named_bytes: 0,
            max: (MAX_TREE_ENTRIES, MAX_TREE_NAME_BYTES),
        }
    }

    /// Puts a node at a path whose directories exist.
    ///
    /// # Errors
    ///
    /// [`MountError::TooManyEntries`].
    fn put(&mut self, purpose: &Purpose, path: String, node: Node) -> Result<(), MountError> {
        let bytes = node.named_bytes();
        let (path_bytes, before) = match self.nodes.get(&path) {
            Some(node) => (0, node.named_bytes()),
            None => (path.len(), 0),
        };
        self.named_bytes = (self.named_bytes + path_bytes + bytes).saturating_sub(before);
        self.nodes.insert(path, node);
        let (entries_max, bytes_max) = self.max;
        if self.nodes.len() <= entries_max && self.named_bytes <= bytes_max {
            return Ok(());
        }
        Err(MountError::TooManyEntries { path: purpose.path.clone(), tree: purpose.tree_name() })
    }

    /// Makes the missing directories of a path, itself included.
    fn directories(&mut self, purpose: &Purpose, path: &str) -> Result<(), MountError> {
        // If a directory exists, so do those around it. Usually the last one does.
        let ends = [path.len()].into_iter().chain(path.rmatch_indices('/').map(|(end, _)| end));
        let missing: Vec<&str> =
            ends.map(|end| &path[..end]).take_while(|path| !self.nodes.contains_key(*path)).collect();
        missing.into_iter().rev().try_for_each(|path| self.put(purpose, path.to_owned(), Node::directory()))
    }

    /// Adds a node, and the missing directories of its path. It replaces a node at its path as
    /// unpacking an archive does: only an empty directory can be replaced.
    ///
    /// # Errors
    ///
    /// [`MountError::Name`] for a node that a guest could not name, or that unpacking would refuse;
    /// [`MountError::TooManyEntries`].
    pub(super) fn insert(&mut self, purpose: &Purpose, path: String, node: Node) -> Result<(), MountError> {
        check(purpose, &path, &node)?;
        let refused = |reason| purpose.bad_name(&path, reason);
        let place = self.resolve(&path).map_err(refused)?;
        if let Some((directory, _)) = place.rsplit_once('/') {
            // An archive may leave out its directories.
            self.directories(purpose, directory)?;
        }
        let is_directory = |node: &Node| matches!(node.content, Content::Directory);
        if !is_directory(&node) && self.nodes.get(&place).is_some_and(is_directory) && self.has_inside(&place)
        {
            return Err(refused(
                "in the place of a directory that is not empty, which unpacking refuses too",
            ));
        }
        self.put(purpose, place, node)
    }

    fn has_inside(&self, directory: &str) -> bool {
        let inside = format!("{directory}/");
        self.nodes.range(inside.clone()..).next().is_some_and(|(path, _)| path.starts_with(&inside))
    }

    /// Resolves a path through the symbolic links on its way. A link that may lead out of the tree
    /// (an absolute one, or one with `..`) is an error: tar makes such links last.
    ///
    /// # Errors
    ///
    /// Says why nothing can be at the path.
    fn resolve(&self, path: &str) -> Result<String, &'static str> {
        let Some((directory, _)) = path.rsplit_once('/') else { return Ok(path.to_owned()) };
        if matches!(self.nodes.get(directory), Some(Node { content: Content::Directory, .. })) {
            return Ok(path.to_owned());
        }
        let (mut place, mut links) = (String::new(), 0);
        // The names still to resolve, the next one last. A name from a link's target must exist.
        let mut rest: Vec<(&str, bool)> = path.rsplit('/').map(|name| (name, false)).collect();
        while let Some((name, is_of_link)) = rest.pop() {
            let around = place.len();
            if around > 0 {
                place.push('/');
            }
            place += name;
            if rest.is_empty() {
                break;
            }
            match self.nodes.get(&place).map(|node| &node.content) {
                Some(Content::Directory) => {}
                None if !is_of_link => {}
                None => return Err("below a symbolic link that leads to nothing"),
                Some(Content::File(_)) => return Err("below a file"),
                Some(Content::Symlink(target)) => {
                    if target.starts_with('/') || target.split('/').any(|part| part == "..") {
                        return Err("below a symbolic link that may lead elsewhere, and is not followed");
                    }
                    links += 1;
                    if links > MAX_LINKS {
                        return Err("below symbolic links that lead to each other");
                    }
                    place.truncate(around);
                    let parts = target.rsplit('/').filter(|part| !part.is_empty() && *part != ".");
                    rest.extend(parts.map(|part| (part, true)));
                }
            }
        }
        Ok(place)
    }

    /// Makes the mountpoint `path`, unless it is a directory already.
    pub(super) fn mountpoint(&mut self, purpose: &Purpose, path: &str) -> Result<(), MountError> {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for part in ends.map(|end| &path[..end]) {
            match self.nodes.get(part).map(|node| &node.content) {
                Some(Content::Directory) => {}
                Some(other) => {
                    return Err(MountError::Mountpoint {
                        path: purpose.path.clone(),
                        tree: purpose.tree_name(),
                        name: part.to_owned(),
                        kind: other.kind(),
                    });
                }
                None => break,
            }
        }
        self.directories(purpose, path)
    }

    /// Returns the node at a path, without following a link at its end.
    pub(super) fn find(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&self.resolve(path).ok()?)
    }

    /// Returns true if two paths resolve to the same one.
    pub(super) fn is_same(&self, one: &str, other: &str) -> bool {
        matches!((self.resolve(one), self.resolve(other)), (Ok(one), Ok(other)) if one == other)
    }

    /// Returns the bytes of all files, as known before they are read.
    pub(super) fn file_bytes(&self) -> u64 {
        let first = self.first_names();
        let bytes = self.nodes().map(|(path, node)| match &node.content {
            Content::File(bytes) if first.of_further(path, &node.content).is_none() => bytes.len(),
            _ => 0,
        });
        bytes.fold(0, u64::saturating_add)
    }

    /// Finds the first name of every file and symbolic link, in order.
    pub(super) fn first_names(&self) -> FirstNames<'_> {
        let mut names = HashMap::new();
        for (path, node) in self.nodes() {
            if let Some(identity) = node.content.identity() {
                names.entry(identity).or_insert(path);
            }
        }
        FirstNames(names)
    }

    /// Lists all nodes but the root, in order.
    pub(super) fn nodes(&self) -> impl DoubleEndedIterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }
}

/// The first name of every file and symbolic link of a tree.
pub(super) struct FirstNames<'a>(HashMap<*const (), &'a str>);

impl<'a> FirstNames<'a> {
    /// Returns the first name of the file or link at `path`; `None` if `path` is that.
    pub(super) fn of_further(&self, path: &str, content: &Content) -> Option<&'a str> {
        self.0.get(&content.identity()?).copied().filter(|first| *first != path)
    }
}

/// Checks that a guest can name and read a node.
fn check(purpose: &Purpose, path: &str, node: &Node) -> Result<(), MountError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(purpose.bad_name(path, format!("a path of more than {MAX_PATH_BYTES} bytes")));
    }
    if path.contains('\0') {
        return Err(purpose.bad_name(path, "a name with a zero byte"));
    }
    if path.split('/').any(|name| name.len() > MAX_NAME_BYTES) {
        return Err(purpose.bad_name(path, format!("a name of more than {MAX_NAME_BYTES} bytes")));
    }
    match &node.content {
        Content::Symlink(target) if target.is_empty() || target.len() > MAX_SYMLINK_BYTES => Err(purpose
            .bad_name(path, format!("a link whose target does not have 1 to {MAX_SYMLINK_BYTES} bytes"))),
        Content::Symlink(target) if target.contains('\0') => {
            Err(purpose.bad_name(path, "a link whose target has a zero byte"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(max: (usize, usize)) -> (Purpose, Tree) {
        let purpose = Purpose { path: "/x".into(), tree: "t".into() };
        (purpose, Tree { max, ..Tree::new(Timestamp::default()) })
    }

    fn link(target: &str) -> Node {
        Node { content: Content::Symlink(Rc::new(target.to_owned())), modified: Timestamp::default() }
    }

    #[test]
    fn a_tree_has_so_many_entries_with_those_that_only_paths_name() {
        let (purpose, mut tree) = tree((4, 1000));
        tree.insert(&purpose, "a/b/c".into(), Node::directory()).unwrap();
        // The node that was there is not counted twice.
        tree.insert(&purpose, "a/b".into(), Node::directory()).unwrap();
        tree.insert(&purpose, "a/b/c".into(), link("x")).unwrap();
        tree.insert(&purpose, "a/d".into(), link("x")).unwrap();
        let more = tree.insert(&purpose, "a/e".into(), link("x"));
        assert!(matches!(more, Err(MountError::TooManyEntries { .. })));
        let mountpoint = tree.mountpoint(&purpose, "m");
        assert!(matches!(mountpoint, Err(MountError::TooManyEntries { .. })));
    }

    #[test]
    fn paths_and_targets_have_so_many_bytes_together() {
        let (purpose, mut tree) = tree((1000, 20));
        tree.insert(&purpose, "aa/bb".into(), link("0123456789")).unwrap();
        // 2 and 5 for the paths, 10 for the target; another target takes the place of this.
        for _ in 0..10 {
            tree.insert(&purpose, "aa/bb".into(), link("0123456789abc")).unwrap();
        }
        assert_eq!(tree.named_bytes, 20);
        let more = tree.insert(&purpose, "c".into(), link("d"));
        assert!(matches!(more, Err(MountError::TooManyEntries { .. })));
    }
}
