//! Reads a tar as a tree.

use super::error::MountError;
use super::tree::{Bytes, Content, Node, Purpose, Tree};
use flate2::read::MultiGzDecoder;
use kvfs::Timestamp;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use tar::{Archive, Entry, EntryType};

/// How a file that is compressed with gzip starts.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Most bytes that the files of an archive may have together: what fits a component's memory, so that an
/// archive that expands without end comes to one.
const ARCHIVE_BYTES_MAX: u64 = super::plan::IMAGES_BYTES_MAX;

/// Reads an archive into memory. Where a path comes twice, the last one counts.
///
/// # Errors
///
/// [`MountError::Archive`] for what is no archive, a cut or damaged one, and paths that leave it;
/// [`MountError::Special`], [`MountError::Name`], [`MountError::HardLink`] and [`MountError::TooLarge`].
pub(super) fn read(purpose: &Purpose) -> Result<Tree, MountError> {
    let unreadable = |error| purpose.unreadable(&purpose.tree, error);
    let mut file = File::open(&purpose.tree).map_err(unreadable)?;
    let mut start = Vec::new();
    (&mut file).take(GZIP.len() as u64).read_to_end(&mut start).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let file = BufReader::new(file);
    let bytes: Box<dyn Read> =
        if start == GZIP { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = Reader { purpose, tree: Tree::new(Timestamp::default()), size_bytes: 0, entries: 0 };
    reader.archive(Archive::new(bytes))?;
    Ok(reader.tree)
}

struct Reader<'a> {
    purpose: &'a Purpose,
    tree: Tree,
    size_bytes: u64,
    entries: usize,
}

impl Reader<'_> {
    fn bad(&self, reason: impl ToString) -> MountError {
        MountError::Archive {
            path: self.purpose.path.clone(),
            file: self.purpose.tree.clone(),
            reason: crate::error::one_line(&reason.to_string()),
        }
    }

    fn archive(&mut self, mut archive: Archive<Box<dyn Read>>) -> Result<(), MountError> {
        for entry in archive.entries().map_err(|error| self.bad(error))? {
            let entry = entry.map_err(|error| self.bad(error))?;
            self.entries += 1;
            self.entry(entry)?;
        }
        // The reader takes an empty file for an empty archive, which has at least its end.
        if self.entries == 0 {
            return Err(self.bad("there is nothing in it"));
        }
        self.check_links()
    }

    fn entry(&mut self, mut entry: Entry<'_, Box<dyn Read>>) -> Result<(), MountError> {
        let name = self.name(&entry.path_bytes())?;
        let modified = self.modified(&mut entry)?;
        let content = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                Content::File(Bytes::Here(self.bytes(&mut entry, &name)?))
            }
            EntryType::Directory => Content::Directory,
            EntryType::Symlink => Content::Symlink(self.target(&entry, &name)?),
            EntryType::Link => {
                let target = self.target(&entry, &name)?;
                Content::Link(self.first_name(&name, self.name(target.as_bytes())?)?)
            }
            EntryType::Fifo => return Err(self.purpose.special(&name, "a pipe")),
            EntryType::Block | EntryType::Char => return Err(self.purpose.special(&name, "a device")),
            // Says something about the archive, not about a file.
            EntryType::XGlobalHeader => return Ok(()),
            other => {
                return Err(self.bad(format!(
                    "`{name}` is of a kind (`{}`) that is not known",
                    other.as_byte() as char
                )));
            }
        };
        if name.is_empty() {
            return match content {
                Content::Directory => {
                    self.tree.modified = modified;
                    Ok(())
                }
                _ => Err(self.bad("its root is no directory")),
            };
        }
        self.tree.insert(self.purpose, name, Node { content, modified })
    }

    /// Takes a path of an archive apart: relative, without `.`; a slash in front means the archive's root, as
    /// when it is unpacked.
    fn name(&self, bytes: &[u8]) -> Result<String, MountError> {
        let text = std::str::from_utf8(bytes).map_err(|_| {
            self.purpose.bad_name(&String::from_utf8_lossy(bytes), "a name that is not UTF-8")
        })?;
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return Err(self.bad(format!("`{}` leads out of it", text.escape_debug())));
        }
        Ok(parts.join("/"))
    }

    fn target(&self, entry: &Entry<'_, Box<dyn Read>>, name: &str) -> Result<String, MountError> {
        let target =
            entry.link_name_bytes().ok_or_else(|| self.bad(format!("the link `{name}` has no target")))?;
        let not_text = |_| self.purpose.bad_name(name, "a link whose target is not UTF-8");
        String::from_utf8(target.into_owned()).map_err(not_text)
    }

    /// Returns the path of the file that a hard link is one more name of.
    fn first_name(&self, name: &str, target: String) -> Result<String, MountError> {
        match self.tree.get(&target).map(|node| &node.content) {
            Some(Content::File(_)) if target != name => Ok(target),
            Some(Content::Link(first)) if first != name => Ok(first.clone()),
            _ => Err(self.no_target(name, &target)),
        }
    }

    fn no_target(&self, name: &str, target: &str) -> MountError {
        MountError::HardLink {
            path: self.purpose.path.clone(),
            tree: self.purpose.tree_name(),
            name: name.to_owned(),
            target: target.to_owned(),
        }
    }

    /// What a link was made to may have been replaced by a later entry.
    fn check_links(&self) -> Result<(), MountError> {
        for (name, node) in self.tree.nodes() {
            if let Content::Link(target) = &node.content
                && !matches!(self.tree.get(target).map(|node| &node.content), Some(Content::File(_)))
            {
                return Err(self.no_target(name, target));
            }
        }
        Ok(())
    }

    fn bytes(&mut self, entry: &mut Entry<'_, Box<dyn Read>>, name: &str) -> Result<Vec<u8>, MountError> {
        let left = ARCHIVE_BYTES_MAX - self.size_bytes;
        let mut bytes = Vec::new();
        let read = (&mut *entry).take(left + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.bad(format!("`{name}`: {error}")))?;
        if bytes.len() as u64 > left {
            let size_bytes = self.size_bytes + bytes.len() as u64;
            return Err(MountError::TooLarge { size_bytes, max_bytes: ARCHIVE_BYTES_MAX });
        }
        if bytes.len() as u64 != entry.size() {
            return Err(self.bad(format!("it ends within `{name}`")));
        }
        self.size_bytes += bytes.len() as u64;
        Ok(bytes)
    }

    /// Returns when it was changed last: to the nanosecond, where the archive says that.
    fn modified(&self, entry: &mut Entry<'_, Box<dyn Read>>) -> Result<Timestamp, MountError> {
        let whole = entry.header().mtime().map_err(|error| self.bad(error))?;
        let seconds = i64::try_from(whole).map_err(|_| self.bad("a time that is out of range"))?;
        let mut time = Timestamp { seconds, nanoseconds: 0 };
        if let Some(extensions) = entry.pax_extensions().map_err(|error| self.bad(error))? {
            for extension in extensions {
                let extension = extension.map_err(|error| self.bad(error))?;
                if let (Ok("mtime"), Ok(value)) = (extension.key(), extension.value()) {
                    time = parse_time(value).ok_or_else(|| self.bad(format!("`{value}` is no time")))?;
                }
            }
        }
        Ok(time)
    }
}

/// Reads the seconds of an extended header, such as `1700000000.25` or `-1.5`.
fn parse_time(text: &str) -> Option<Timestamp> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = part.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    if nanoseconds == 0 || !whole.starts_with('-') {
        return Some(Timestamp { seconds, nanoseconds });
    }
    Some(Timestamp { seconds: seconds.checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond_and_before_1970() {
        let time = |text| parse_time(text).map(|time| (time.seconds, time.nanoseconds));
        assert_eq!(time("1700000000"), Some((1_700_000_000, 0)));
        assert_eq!(time("1700000000.25"), Some((1_700_000_000, 250_000_000)));
        assert_eq!(time("1.1234567891"), Some((1, 123_456_789)));
        assert_eq!(time("-1.5"), Some((-2, 500_000_000)));
        assert_eq!(time("-0.5"), Some((-1, 500_000_000)));
        assert_eq!(time("-1"), Some((-1, 0)));
        for wrong in ["", "x", "1.x", "1.-1", "99999999999999999999"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
