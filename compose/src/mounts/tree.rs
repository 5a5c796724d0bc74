//! A tree to be packed: what lies where, in one order whatever it was read from.

use super::error::MountError;
use kvfs::Timestamp;
use kvfs::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX, SYMLINK_BYTES_MAX};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::rc::Rc;

/// For which mount a tree is read: errors name both.
#[derive(Clone, Debug)]
pub(super) struct Purpose {
    /// The guest's path.
    pub(super) path: String,
    /// The tree, as it was given.
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

/// Where the bytes of a file are.
#[derive(Debug)]
pub(super) enum Bytes {
    /// In a file of the host, which had this many when it was looked at.
    Disk(PathBuf, u64),
    /// Here.
    Here(Vec<u8>),
}

impl Bytes {
    /// How many there are, as far as is known before they are read.
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
    /// A file. Names of one file share it, so that each keeps it whatever becomes of the others.
    File(Rc<Bytes>),
    /// A symbolic link, with its target as it is.
    Symlink(String),
}

impl Content {
    /// Says what it is, with an article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Directory => "a directory",
            Self::File(_) => "a file",
            Self::Symlink(_) => "a symbolic link",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) modified: Timestamp,
}

/// A tree by paths: relative, with `/` between names, none for the root. A directory sorts before what is
/// in it.
#[derive(Debug)]
pub(super) struct Tree {
    /// Of the root.
    pub(super) modified: Timestamp,
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    pub(super) fn new(modified: Timestamp) -> Self {
        Self { modified, nodes: BTreeMap::new() }
    }

    /// Adds something, with the directories on the way to it if they are not there. What was at its path
    /// before is replaced, as when an archive is unpacked; a directory keeps what is in it.
    ///
    /// # Errors
    ///
    /// [`MountError::Name`] for what a guest could not name.
    pub(super) fn insert(&mut self, purpose: &Purpose, path: String, node: Node) -> Result<(), MountError> {
        check(purpose, &path, &node)?;
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            match self.nodes.get(parent).map(|node| &node.content) {
                Some(Content::Directory) => {}
                Some(_) => return Err(purpose.bad_name(&path, "below something that is no directory")),
                // An archive need not name the directories in it.
                None => {
                    let modified = Timestamp::default();
                    self.nodes.insert(parent.to_owned(), Node { content: Content::Directory, modified });
                }
            }
        }
        let is_directory = |node: &Node| matches!(node.content, Content::Directory);
        if let Some(old) = self.nodes.get(&path)
            && is_directory(old)
            && !is_directory(&node)
        {
            let inside = format!("{path}/");
            self.nodes.retain(|other, _| !other.starts_with(&inside));
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    /// Makes sure that there is a directory at `path`, for something to be mounted on.
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
                None => {
                    let modified = Timestamp::default();
                    self.nodes.insert(part.to_owned(), Node { content: Content::Directory, modified });
                }
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Bytes that its files have, as far as is known before they are read.
    pub(super) fn file_bytes(&self) -> u64 {
        let first = self.first_names();
        let bytes = self.nodes().map(|(path, node)| match &node.content {
            Content::File(bytes) if first.is(path, bytes) => bytes.len(),
            _ => 0,
        });
        bytes.fold(0, u64::saturating_add)
    }

    /// Finds the first name of every file, in the order of the nodes.
    pub(super) fn first_names(&self) -> FirstNames<'_> {
        let mut names = HashMap::new();
        for (path, node) in self.nodes() {
            if let Content::File(bytes) = &node.content {
                names.entry(Rc::as_ptr(bytes)).or_insert(path);
            }
        }
        FirstNames(names)
    }

    /// Lists everything but the root, in order.
    pub(super) fn nodes(&self) -> impl DoubleEndedIterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }
}

/// The first name of every file of a tree.
pub(super) struct FirstNames<'a>(HashMap<*const Bytes, &'a str>);

impl<'a> FirstNames<'a> {
    pub(super) fn of(&self, file: &Rc<Bytes>) -> Option<&'a str> {
        self.0.get(&Rc::as_ptr(file)).copied()
    }

    /// Whether `path` is that of this file.
    pub(super) fn is(&self, path: &str, file: &Rc<Bytes>) -> bool {
        self.of(file) == Some(path)
    }
}

/// Fails for what no guest could name or read.
fn check(purpose: &Purpose, path: &str, node: &Node) -> Result<(), MountError> {
    if path.len() > PATH_BYTES_MAX {
        return Err(purpose.bad_name(path, format!("a path of more than {PATH_BYTES_MAX} bytes")));
    }
    if path.contains('\0') {
        return Err(purpose.bad_name(path, "a name with a zero byte"));
    }
    if path.split('/').any(|name| name.len() > NAME_BYTES_MAX) {
        return Err(purpose.bad_name(path, format!("a name of more than {NAME_BYTES_MAX} bytes")));
    }
    match &node.content {
        Content::Symlink(target) if target.is_empty() || target.len() > SYMLINK_BYTES_MAX => {
            Err(purpose.bad_name(path, format!("a link whose target has not 1 to {SYMLINK_BYTES_MAX} bytes")))
        }
        Content::Symlink(target) if target.contains('\0') => {
            Err(purpose.bad_name(path, "a link whose target has a zero byte"))
        }
        _ => Ok(()),
    }
}
