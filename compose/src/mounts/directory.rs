//! Reads a directory of the host as a tree.

use super::tree::{Bytes, Content, Node, Purpose, Tree};
use crate::error::MountError;
use kvfs::Timestamp;
use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Reads a directory as a tree. Symbolic links are kept as they are, even if they lead out of it.
/// Hard links stay names of one file or link. The bytes of files are read when they are packed.
///
/// # Errors
///
/// [`MountError::Read`], [`MountError::Special`] and [`MountError::Name`], each with the path.
pub(super) fn read(purpose: &Purpose) -> Result<Tree, MountError> {
    let root = &purpose.tree;
    let metadata = std::fs::metadata(root).map_err(|error| purpose.unreadable(root, error))?;
    let mut reader = Reader { purpose, tree: Tree::new(modified(&metadata)), shared: HashMap::new() };
    // A loop, since a tree may be deeper than the stack allows.
    let mut waiting = vec![(root.clone(), String::new())];
    while let Some((directory, path)) = waiting.pop() {
        waiting.extend(reader.directory(&directory, &path)?);
    }
    Ok(reader.tree)
}

struct Reader<'a> {
    purpose: &'a Purpose,
    tree: Tree,
    /// Files and symbolic links with several names, by identity.
    shared: HashMap<(u64, u64), Content>,
}

impl Reader<'_> {
    /// Adds the entries of one directory, and returns the directories among them.
    fn directory(&mut self, directory: &Path, path: &str) -> Result<Vec<(PathBuf, String)>, MountError> {
        let unreadable = |error| self.purpose.unreadable(directory, error);
        let entries = std::fs::read_dir(directory).map_err(unreadable)?;
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(unreadable)?.file_name());
        }
        // The name by which a file is read must not depend on the directory's order.
        names.sort();
        let mut directories = Vec::new();
        for name in names {
            let file = directory.join(&name);
            let name = name.to_str().ok_or_else(|| {
                self.purpose
                    .bad_name(&format!("{path}{}", name.to_string_lossy()), "a name that is not UTF-8")
            })?;
            let path = format!("{path}{name}");
            let metadata =
                std::fs::symlink_metadata(&file).map_err(|error| self.purpose.unreadable(&file, error))?;
            let content = self.content(&file, &path, &metadata)?;
            if matches!(content, Content::Directory) {
                directories.push((file, format!("{path}/")));
            }
            self.tree.insert(self.purpose, path, Node { content, modified: modified(&metadata) })?;
        }
        // The caller takes the last one first.
        directories.reverse();
        Ok(directories)
    }

    /// Returns the node at a path; one with several names is made once.
    fn content(&mut self, file: &Path, path: &str, metadata: &Metadata) -> Result<Content, MountError> {
        if metadata.is_dir() {
            return Ok(Content::Directory);
        }
        let Some(identity) = shared(metadata) else { return self.read(file, path, metadata) };
        if let Some(known) = self.shared.get(&identity) {
            return Ok(known.clone());
        }
        let content = self.read(file, path, metadata)?;
        self.shared.insert(identity, content.clone());
        Ok(content)
    }

    fn read(&self, file: &Path, path: &str, metadata: &Metadata) -> Result<Content, MountError> {
        if metadata.is_symlink() {
            let target = std::fs::read_link(file).map_err(|error| self.purpose.unreadable(file, error))?;
            let target = target.into_os_string().into_string();
            let not_text = |_| self.purpose.bad_name(path, "a link whose target is not UTF-8");
            return Ok(Content::Symlink(Rc::new(target.map_err(not_text)?)));
        }
        if !metadata.is_file() {
            return Err(self.purpose.special(path, special(metadata)));
        }
        Ok(Content::File(Rc::new(Bytes::Disk(file.to_owned(), metadata.len()))))
    }
}

/// Describes a file type that cannot be packed.
#[cfg(unix)]
fn special(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn special(_: &Metadata) -> &'static str {
    "a special file"
}

/// Returns the identity of a file with several names.
#[cfg(unix)]
fn shared(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    (metadata.nlink() > 1).then(|| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn shared(_: &Metadata) -> Option<(u64, u64)> {
    None
}

/// Returns the time of modification; 0 if the host does not tell.
fn modified(metadata: &Metadata) -> Timestamp {
    let Ok(time) = metadata.modified() else { return Timestamp::default() };
    to_timestamp(time)
}

fn to_timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since.subsec_nanos(),
        },
        // Before 1970: round the seconds down, and count the nanoseconds up from there.
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            match before.subsec_nanos() {
                0 => Timestamp { seconds: -whole, nanoseconds: 0 },
                part => Timestamp { seconds: -whole - 1, nanoseconds: 1_000_000_000 - part },
            }
        }
    }
}
