//! Reads a tar as a tree.
//!
//! The crate `kvfs-archive` reads the entries.
//!
//! The tree is the one that GNU tar would unpack, and archives that GNU tar refuses are refused. A
//! test compares the two.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod unpacked;

use super::tree::{Bytes, Content, Node, Purpose, Tree};
use crate::error::MountError;
use crate::limits::MAX_IMAGES_BYTES;
use kvfs::Timestamp;
use kvfs_archive::{Fault, Kind, Member, Members, Stream, left_out};
use std::io::ErrorKind;
use std::rc::Rc;

/// Most bytes of all files of an archive: what fits a component's memory. It stops an archive that
/// expands without end.
const MAX_ARCHIVE_BYTES: u64 = MAX_IMAGES_BYTES;

/// Most bytes of a decompressed archive, headers included.
const MAX_STREAM_BYTES: u64 = 2 * MAX_ARCHIVE_BYTES;

/// Reads an archive into memory, as the tree that unpacking it into an empty directory makes. Of
/// two entries with one path, the last one counts, except that a directory with entries stays a
/// directory. The archive is read to its end, where its checksum is.
///
/// # Errors
///
/// [`MountError::Archive`] for a file that is no archive, or an archive that is not supported;
/// [`MountError::Damaged`] if it is cut off or damaged; [`MountError::Read`],
/// [`MountError::Special`], [`MountError::Name`] (also for paths with `..`),
/// [`MountError::HardLink`] and [`MountError::TooLarge`].
pub(super) fn read(purpose: &Purpose) -> Result<Tree, MountError> {
    let tree = Tree::new(Timestamp::default());
    let mut reader = Reader { purpose, tree, size_bytes: 0, has_header: false, last: None };
    let stream = Stream::open(&purpose.tree, MAX_STREAM_BYTES);
    let stream = stream.map_err(|error| reader.failed(Fault::Stream(error), None))?;
    reader.archive(Members::new(stream))?;
    Ok(reader.tree)
}

struct Reader<'a> {
    purpose: &'a Purpose,
    tree: Tree,
    size_bytes: u64,
    /// True if its start is that of an archive.
    has_header: bool,
    /// The path of the last entry.
    last: Option<String>,
}

impl Reader<'_> {
    fn bad(&self, reason: impl ToString) -> MountError {
        MountError::Archive {
            path: self.purpose.path.clone(),
            file: self.purpose.tree.clone(),
            reason: printable(&reason.to_string()),
        }
    }

    fn damaged(&self, reason: impl ToString) -> MountError {
        MountError::Damaged {
            path: self.purpose.path.clone(),
            file: self.purpose.tree.clone(),
            reason: printable(&reason.to_string()),
        }
    }

    /// Makes an error of the fault that reading the archive, or the entry of this name in it, ended
    /// with.
    fn failed(&self, fault: Fault, within: Option<&str>) -> MountError {
        let place = match (within, &self.last) {
            (Some(name), _) => format!("within `{name}`"),
            (None, Some(last)) => format!("after `{last}`"),
            (None, None) => "at its start".to_owned(),
        };
        match fault {
            Fault::Stream(error) if error.raw_os_error().is_some() => {
                self.purpose.unreadable(&self.purpose.tree, error)
            }
            Fault::Stream(error) => match error.kind() {
                ErrorKind::Unsupported => self.bad(error),
                ErrorKind::FileTooLarge => {
                    MountError::TooLarge { size_bytes: MAX_STREAM_BYTES, max_bytes: MAX_ARCHIVE_BYTES }
                }
                _ => self.damaged(error),
            },
            Fault::Refused(reason) => self.bad(reason),
            Fault::Ended | Fault::Damaged(_) if !self.has_header => self.bad("it does not start like one"),
            Fault::Ended => self.damaged(format!("it ends {place}")),
            Fault::Damaged(reason) => self.damaged(format!("{place}: {reason}")),
        }
    }

    fn archive(&mut self, mut members: Members) -> Result<(), MountError> {
        loop {
            let member = members.next();
            self.has_header = members.has_header();
            match member.map_err(|fault| self.failed(fault, None))? {
                Some(member) => self.member(member, &mut members)?,
                None => break,
            }
        }
        let Some(last) = &self.last else {
            return Err(self.bad("there is nothing in it"));
        };
        if !members.has_end() {
            return Err(self.damaged(format!("it ends after `{last}`, without the blocks that end a tar")));
        }
        members.finish().map_err(|fault| self.failed(fault, None))
    }

    fn member(&mut self, member: Member, members: &mut Members) -> Result<(), MountError> {
        let name = self.name(&member.path)?;
        self.last = Some(name.clone());
        let modified = member.modified;
        let content = match member.kind {
            Kind::File => Content::File(Rc::new(Bytes::Here(self.bytes(&name, member, members)?))),
            Kind::Directory => {
                self.check_whole(&name, member.left_out)?;
                Content::Directory
            }
            Kind::DumpedDirectory => {
                let list = self.stored(&name, member.stored_bytes, members)?;
                self.check_whole(&name, left_out(&list))?;
                Content::Directory
            }
            Kind::Symlink => Content::Symlink(Rc::new(self.text(&name, member.target)?)),
            Kind::Link => {
                let target = self.text(&name, member.target)?;
                return match self.linked(&name, &target)? {
                    Some(node) => self.insert(name, node),
                    None => Ok(()),
                };
            }
            Kind::Fifo => return Err(self.purpose.special(&name, "a pipe")),
            Kind::Device => return Err(self.purpose.special(&name, "a device")),
            Kind::Continuation => {
                return Err(self.bad("it is one part of an archive in several; put them together"));
            }
            Kind::Other(byte) => {
                let byte = [byte];
                let byte = byte.escape_ascii();
                return Err(self.bad(format!("`{name}` is of an unknown kind (`{byte}`)")));
            }
        };
        self.insert(name, Node { content, modified })
    }

    fn insert(&mut self, name: String, node: Node) -> Result<(), MountError> {
        if !name.is_empty() {
            return self.tree.insert(self.purpose, name, node);
        }
        if !matches!(node.content, Content::Directory) {
            return Err(self.bad("its root is not a directory"));
        }
        self.tree.modified = node.modified;
        Ok(())
    }

    /// Normalizes a path of an archive: relative and without `.`. A leading slash means the
    /// archive's root, as in unpacking.
    fn name(&self, bytes: &[u8]) -> Result<String, MountError> {
        let text = std::str::from_utf8(bytes).map_err(|_| {
            self.purpose.bad_name(&String::from_utf8_lossy(bytes), "a name that is not UTF-8")
        })?;
        if text.split('/').any(|part| part == "..") {
            return Err(self.purpose.bad_name(text, "a path with `..`, which unpacking refuses too"));
        }
        Ok(parts(text))
    }

    fn text(&self, name: &str, target: Vec<u8>) -> Result<String, MountError> {
        let not_text = |_| self.purpose.bad_name(name, "a link whose target is not UTF-8");
        String::from_utf8(target).map_err(not_text)
    }

    /// Returns the node of a hard link: one more name of a file or a symbolic link, which stays if
    /// the first name is replaced. `None` for a link to itself.
    fn linked(&self, name: &str, target: &str) -> Result<Option<Node>, MountError> {
        // Unpacking drops everything up to the last `..` of the target.
        let names: Vec<&str> = target.split('/').collect();
        let inside = names.rsplit(|name| *name == "..").next().unwrap_or_default().join("/");
        let inside = parts(&inside);
        match self.tree.find(&inside) {
            Some(_) if self.tree.is_same(name, &inside) => Ok(None),
            Some(node) if !matches!(node.content, Content::Directory) => Ok(Some(node.clone())),
            found if found.is_some() || inside.is_empty() => {
                Err(self.bad(format!("the hard link `{name}` leads to `{target}`, which is a directory")))
            }
            _ => Err(MountError::HardLink {
                path: self.purpose.path.clone(),
                tree: self.purpose.tree_name(),
                name: printable(name),
                target: printable(target),
            }),
        }
    }

    /// Fails for an incremental archive without the files that had not changed.
    fn check_whole(&self, name: &str, left_out: Option<String>) -> Result<(), MountError> {
        let Some(file) = left_out else { return Ok(()) };
        let path = [name, &file].join("/");
        let path = path.trim_start_matches('/');
        Err(self.bad(format!(
            "it is incremental and left `{path}` out, so it has to be unpacked above the ones before it"
        )))
    }

    /// Reads a file, its holes filled with zeros.
    fn bytes(&mut self, name: &str, member: Member, members: &mut Members) -> Result<Vec<u8>, MountError> {
        let mut bytes = self.stored(name, member.stored_bytes, members)?;
        if member.sparse.is_there {
            let reason = |reason| format!("`{name}`: {reason}");
            let size = member.sparse.size_bytes().map_err(|error| self.bad(reason(error)))?;
            self.check_size(size)?;
            bytes = member.sparse.fill(&bytes).map_err(|error| self.damaged(reason(error)))?;
        }
        self.size_bytes += bytes.len() as u64;
        Ok(bytes)
    }

    /// Reads the data of an entry.
    fn stored(&self, name: &str, size: u64, members: &mut Members) -> Result<Vec<u8>, MountError> {
        self.check_size(size)?;
        members.stored().map_err(|fault| self.failed(fault, Some(name)))
    }

    /// Fails if there is no room for this many more bytes.
    fn check_size(&self, more: u64) -> Result<(), MountError> {
        match self.size_bytes.saturating_add(more) {
            size_bytes if size_bytes > MAX_ARCHIVE_BYTES => {
                Err(MountError::TooLarge { size_bytes, max_bytes: MAX_ARCHIVE_BYTES })
            }
            _ => Ok(()),
        }
    }
}

/// Drops `.` and superfluous slashes from a path.
fn parts(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.join("/")
}

/// Escapes bytes of an archive for a message of one line.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for part in text.chars() {
        match part {
            '"' | '\'' | '\\' => shown.push(part),
            _ => shown.extend(part.escape_debug()),
        }
    }
    shown
}
