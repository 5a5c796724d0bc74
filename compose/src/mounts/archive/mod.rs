//! Reads a tar as a tree.
//!
//! | what | file |
//! |---|---|
//! | the archive's bytes, decompressed and to their end | `stream` |
//! | what an extended header says of an entry | `extended` |
//! | files with holes | `sparse` |

mod extended;
mod sparse;
mod stream;
#[cfg(test)]
mod tests;

use self::extended::{Extended, left_out};
use self::stream::Stream;
use super::error::MountError;
use super::tree::{Bytes, Content, Node, Purpose, Tree};
use kvfs::Timestamp;
use std::cell::Cell;
use std::io::{ErrorKind, Read};
use std::rc::Rc;
use tar::{Archive, Entry, EntryType};

/// Most bytes that the files of an archive may have together: what fits a component's memory, so that an
/// archive that expands without end comes to one.
const ARCHIVE_BYTES_MAX: u64 = super::plan::IMAGES_BYTES_MAX;

/// Most bytes that an archive may have, decompressed, with what is not of its files.
const STREAM_BYTES_MAX: u64 = 2 * ARCHIVE_BYTES_MAX;

/// Kinds of entries that only GNU tar writes.
const DUMPED_DIRECTORY: u8 = b'D';
const CONTINUATION: u8 = b'M';

/// Reads an archive into memory: what unpacking it into an empty directory leaves. Where a path comes twice, the
/// last one counts. It is read to its end, since that is where its checksum is.
///
/// # Errors
///
/// [`MountError::Archive`] for what is no archive and what an archive cannot bring, such as paths that leave it;
/// [`MountError::Damaged`] for a cut or damaged one; [`MountError::Read`], [`MountError::Special`],
/// [`MountError::Name`], [`MountError::HardLink`] and [`MountError::TooLarge`].
pub(super) fn read(purpose: &Purpose) -> Result<Tree, MountError> {
    let tree = Tree::new(Timestamp::default());
    let mut reader =
        Reader { purpose, tree, size_bytes: 0, has_header: false, last: None, ended: Rc::default() };
    let stream = Stream::open(&purpose.tree, STREAM_BYTES_MAX).map_err(|error| reader.failed(error, None))?;
    reader.ended = stream.ended();
    reader.archive(Archive::new(stream))?;
    Ok(reader.tree)
}

struct Reader<'a> {
    purpose: &'a Purpose,
    tree: Tree,
    size_bytes: u64,
    /// Whether its start is that of an archive.
    has_header: bool,
    /// The path of the last entry.
    last: Option<String>,
    /// Whether more was to be read than there is.
    ended: Rc<Cell<bool>>,
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

    /// Says what an error means that reading the archive, or the entry of this name in it, ended with.
    fn failed(&self, error: std::io::Error, within: Option<&str>) -> MountError {
        let place = match (within, &self.last) {
            (Some(name), _) => format!("within `{name}`"),
            (None, Some(last)) => format!("behind `{last}`"),
            (None, None) => "at its start".to_owned(),
        };
        match error.kind() {
            _ if error.raw_os_error().is_some() => self.purpose.unreadable(&self.purpose.tree, error),
            ErrorKind::InvalidData => self.damaged(error),
            ErrorKind::Unsupported => self.bad(error),
            ErrorKind::FileTooLarge => {
                MountError::TooLarge { size_bytes: STREAM_BYTES_MAX, max_bytes: ARCHIVE_BYTES_MAX }
            }
            _ if !self.has_header => self.bad("it does not start like one"),
            _ if self.ended.get() => self.damaged(format!("it ends {place}")),
            _ => self.damaged(format!("{place}: {error}")),
        }
    }

    fn archive(&mut self, mut archive: Archive<Stream>) -> Result<(), MountError> {
        for entry in archive.entries().map_err(|error| self.failed(error, None))? {
            let entry = entry.map_err(|error| self.failed(error, None))?;
            self.has_header = true;
            self.entry(entry)?;
        }
        let Some(last) = &self.last else {
            return Err(self.bad("there is nothing in it"));
        };
        // The reader takes the end of the file for that of the archive, which has blocks of zeros there.
        if self.ended.get() {
            return Err(self.damaged(format!("it ends behind `{last}`, without the end that a tar has")));
        }
        archive.into_inner().finish().map_err(|error| self.failed(error, None))
    }

    fn entry(&mut self, mut entry: Entry<'_, Stream>) -> Result<(), MountError> {
        let kind = entry.header().entry_type();
        // Says something about the archive, not about a file.
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let extended = Extended::of(&mut entry).map_err(|reason| self.bad(reason))?;
        let path = extended.sparse.name.clone().unwrap_or_else(|| entry.path_bytes().into_owned());
        let name = self.name(&path)?;
        self.last = Some(name.clone());
        let modified = match extended.modified {
            Some(time) => time,
            None => self.modified(&entry)?,
        };
        let content = match kind {
            // Archives older than the kind of directories tell them by the slash.
            EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => Content::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let bytes = self.bytes(&mut entry, &name, extended)?;
                Content::File(Rc::new(Bytes::Here(bytes)))
            }
            EntryType::Directory => {
                self.check_whole(&name, extended.left_out)?;
                Content::Directory
            }
            EntryType::Symlink => Content::Symlink(self.target(&entry, &name)?),
            EntryType::Link => {
                let target = self.target(&entry, &name)?;
                let node = self.linked(&name, &self.name(target.as_bytes())?)?;
                return self.insert(name, node);
            }
            EntryType::Fifo => return Err(self.purpose.special(&name, "a pipe")),
            EntryType::Block | EntryType::Char => return Err(self.purpose.special(&name, "a device")),
            other => match other.as_byte() {
                DUMPED_DIRECTORY => {
                    let list = self.stored(&mut entry, &name)?;
                    self.check_whole(&name, left_out(&list))?;
                    Content::Directory
                }
                CONTINUATION => {
                    return Err(self.bad("it is one part of an archive in several; put them together"));
                }
                byte => {
                    let byte = [byte];
                    let byte = byte.escape_ascii();
                    return Err(self.bad(format!("`{name}` is of a kind (`{byte}`) that is not known")));
                }
            },
        };
        self.insert(name, Node { content, modified })
    }

    fn insert(&mut self, name: String, node: Node) -> Result<(), MountError> {
        if !name.is_empty() {
            return self.tree.insert(self.purpose, name, node);
        }
        if !matches!(node.content, Content::Directory) {
            return Err(self.bad("its root is no directory"));
        }
        self.tree.modified = node.modified;
        Ok(())
    }

    /// Takes a path of an archive apart: relative, without `.`; a slash in front means the archive's root, as
    /// when it is unpacked.
    fn name(&self, bytes: &[u8]) -> Result<String, MountError> {
        let text = std::str::from_utf8(bytes).map_err(|_| {
            self.purpose.bad_name(&String::from_utf8_lossy(bytes), "a name that is not UTF-8")
        })?;
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return Err(self.bad(format!("`{text}` leads out of it")));
        }
        Ok(parts.join("/"))
    }

    fn target(&self, entry: &Entry<'_, Stream>, name: &str) -> Result<String, MountError> {
        let target =
            entry.link_name_bytes().ok_or_else(|| self.bad(format!("the link `{name}` has no target")))?;
        let not_text = |_| self.purpose.bad_name(name, "a link whose target is not UTF-8");
        String::from_utf8(target.into_owned()).map_err(not_text)
    }

    /// Returns what a hard link makes: one more name of a file, which keeps it whatever becomes of the first,
    /// or the symbolic link at its target once more, since an image has each of those under one name.
    fn linked(&self, name: &str, target: &str) -> Result<Node, MountError> {
        match self.tree.get(target) {
            Some(Node { content: Content::Directory, .. }) => {
                Err(self.bad(format!("the hard link `{name}` leads to `{target}`, which is a directory")))
            }
            Some(node) => Ok(node.clone()),
            None => Err(MountError::HardLink {
                path: self.purpose.path.clone(),
                tree: self.purpose.tree_name(),
                name: printable(name),
                target: printable(target),
            }),
        }
    }

    /// Fails for an incremental archive that has only what had changed.
    fn check_whole(&self, name: &str, left_out: Option<String>) -> Result<(), MountError> {
        let Some(file) = left_out else { return Ok(()) };
        let path = [name, &file].join("/");
        let path = path.trim_start_matches('/');
        Err(self.bad(format!(
            "it is incremental and left `{path}` out, so it has to be unpacked above the ones before it"
        )))
    }

    /// Reads a file, its holes filled with zeros.
    fn bytes(
        &mut self,
        entry: &mut Entry<'_, Stream>,
        name: &str,
        extended: Extended,
    ) -> Result<Vec<u8>, MountError> {
        let mut bytes = self.stored(entry, name)?;
        if extended.sparse.is_there {
            let reason = |reason| format!("`{name}`: {reason}");
            let size = extended.sparse.size_bytes().map_err(|error| self.bad(reason(error)))?;
            self.check_size(size)?;
            bytes = extended.sparse.fill(&bytes).map_err(|error| self.damaged(reason(error)))?;
        }
        self.size_bytes += bytes.len() as u64;
        Ok(bytes)
    }

    /// Reads what the archive has of an entry.
    fn stored(&self, entry: &mut Entry<'_, Stream>, name: &str) -> Result<Vec<u8>, MountError> {
        let size = entry.size();
        self.check_size(size)?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| self.failed(error, Some(name)))?;
        if bytes.len() as u64 != size {
            return Err(self.damaged(format!("it ends within `{name}`")));
        }
        Ok(bytes)
    }

    /// Fails if there is no room for so many more bytes.
    fn check_size(&self, more: u64) -> Result<(), MountError> {
        match self.size_bytes.saturating_add(more) {
            size_bytes if size_bytes > ARCHIVE_BYTES_MAX => {
                Err(MountError::TooLarge { size_bytes, max_bytes: ARCHIVE_BYTES_MAX })
            }
            _ => Ok(()),
        }
    }

    /// Returns when a file was changed last, to the second.
    fn modified(&self, entry: &Entry<'_, Stream>) -> Result<Timestamp, MountError> {
        let whole = entry.header().mtime().map_err(|error| self.damaged(error))?;
        // GNU tar writes a time before 1970 as a binary number, of which these are the last 8 bytes.
        let is_negative = entry.header().as_old().mtime[0] == 0xff;
        let seconds = if is_negative { Some(whole.cast_signed()) } else { i64::try_from(whole).ok() };
        let seconds = seconds.ok_or_else(|| self.damaged("a time is out of range"))?;
        Ok(Timestamp { seconds, nanoseconds: 0 })
    }
}

/// Writes a text so that it stays one line and shows what it is made of, whatever bytes an archive has.
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
