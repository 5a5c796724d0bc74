//! The inode: everything about a file but its names, with inline bytes if it is small.

use super::{Fields, Fixed, RecordId, framed, unseal};
use crate::error::Result;
use crate::limits::{INODE_CHARGE_BYTES, MAX_FILE_BYTES, MAX_SYMLINK_BYTES};
use crate::quota::Used;
use crate::stored::key::tag;
use crate::types::{InodeNo, Kind, Timestamp};

/// The content of an inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// None, for a directory.
    None,
    /// Inline bytes, in the record itself. Zeros follow up to the file's size.
    Inline(Vec<u8>),
    /// In extents.
    Extents,
    /// The target of a symbolic link.
    Target(Box<str>),
}

impl Content {
    /// Bytes that it takes in memory beside the inode.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::None | Self::Extents => 0,
            Self::Inline(bytes) => bytes.capacity(),
            Self::Target(target) => target.len(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inode {
    pub(crate) kind: Kind,
    /// Names of a file. A directory has two, and one more for each directory in it. 0: unlinked,
    /// but open.
    pub(crate) nlink: u32,
    /// Bytes of a file or target; entries of a directory.
    pub(crate) size: u64,
    /// Extents that exist, so that holes are not charged.
    pub(crate) extents: u64,
    /// Those of them that are the image's, which are not charged either. 0 if none is, or if it is
    /// not known: then all are charged.
    pub(crate) extents_below: u64,
    pub(crate) generation: u64,
    /// The parent of a directory; 0 for everything else.
    pub(crate) parent: InodeNo,
    pub(crate) atime: Timestamp,
    pub(crate) mtime: Timestamp,
    pub(crate) ctime: Timestamp,
    /// The number of the last policy of scrubbing whose secrets the file is known not to have; 0:
    /// of none.
    pub(crate) clean_of: u16,
    pub(crate) content: Content,
}

/// Bytes of the body before the content.
pub(crate) const FIXED_BYTES: usize = 76;

const CONTENT_NONE: u8 = 0;
const CONTENT_INLINE: u8 = 1;
const CONTENT_EXTENTS: u8 = 2;
const CONTENT_TARGET: u8 = 3;
/// In extents of which some are the image's.
const CONTENT_SHARED_EXTENTS: u8 = 4;

fn id(ino: InodeNo) -> RecordId {
    RecordId { tag: tag::INODE, name: "inode", ino: ino.0 }
}

impl Inode {
    pub(crate) fn new(kind: Kind, parent: InodeNo, now: Timestamp, content: Content) -> Self {
        let size = match &content {
            Content::Target(target) => target.len() as u64,
            _ => 0,
        };
        Self {
            kind,
            nlink: if kind == Kind::Directory { 2 } else { 1 },
            size,
            extents: 0,
            extents_below: 0,
            generation: 1,
            parent: if kind == Kind::Directory { parent } else { InodeNo(0) },
            atime: now,
            mtime: now,
            ctime: now,
            clean_of: 0,
            content,
        }
    }

    /// The number of extents that its size spans.
    pub(crate) fn extents_end(&self, extent_bytes: u64) -> u64 {
        match self.content {
            Content::Extents => self.size.div_ceil(extent_bytes),
            _ => 0,
        }
    }

    /// Bytes that count against the quota: a fixed charge for the record, and a file's size, but at
    /// most what its own extents hold. So holes and the image's extents are free. It depends on the
    /// record alone, which keeps the count exact.
    pub(crate) fn charged_bytes(&self, extent_bytes: u64) -> u64 {
        let own = self.extents.saturating_sub(self.extents_below);
        INODE_CHARGE_BYTES.saturating_add(self.content_bytes(own, extent_bytes))
    }

    /// The charge of the inode, by its record.
    pub(crate) fn used(&self, extent_bytes: u64) -> Used {
        Used { bytes: self.charged_bytes(extent_bytes), inodes: 1, names: 0 }
    }

    /// The size of the content, if so many extents count.
    pub(crate) fn content_bytes(&self, extents: u64, extent_bytes: u64) -> u64 {
        match self.content {
            Content::Extents => self.size.min(extents.saturating_mul(extent_bytes)),
            Content::Inline(_) | Content::Target(_) => self.size,
            Content::None => 0,
        }
    }

    /// Drops the inline bytes or the target, for a reader that needs only the rest.
    pub(crate) fn forget_bytes(&mut self) {
        match &mut self.content {
            Content::Inline(bytes) => *bytes = Vec::new(),
            Content::Target(target) => *target = Box::default(),
            Content::None | Content::Extents => {}
        }
    }

    /// Appends the value for `key` to `out`.
    pub(crate) fn encode(&self, key: &[u8], out: &mut Vec<u8>) {
        framed(key, tag::INODE, out, |out| self.encode_body(out));
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        // At most all of them: a reader refuses more.
        let below = self.extents_below.min(self.extents).to_be_bytes();
        let (tag_byte, content): (u8, &[u8]) = match &self.content {
            Content::None => (CONTENT_NONE, &[]),
            Content::Inline(bytes) => (CONTENT_INLINE, bytes),
            Content::Extents if below != [0; 8] => (CONTENT_SHARED_EXTENTS, &below),
            Content::Extents => (CONTENT_EXTENTS, &[]),
            Content::Target(target) => (CONTENT_TARGET, target.as_bytes()),
        };
        let mut fixed = Fixed::<FIXED_BYTES>::new();
        fixed.put([self.kind.to_byte(), tag_byte]);
        fixed.put(self.clean_of.to_be_bytes());
        fixed.put(self.nlink.to_be_bytes());
        for number in [self.size, self.extents, self.generation, self.parent.0] {
            fixed.put(number.to_be_bytes());
        }
        for time in [self.atime, self.mtime, self.ctime] {
            fixed.put(time.seconds.to_be_bytes());
            fixed.put(time.nanoseconds.to_be_bytes());
        }
        fixed.append_to(out);
        out.extend_from_slice(content);
    }

    /// Decodes the value of `key`.
    pub(crate) fn decode(key: &[u8], ino: InodeNo, inline_bytes: u32, value: &[u8]) -> Result<Self> {
        Self::decode_with(key, ino, inline_bytes, value, true)
    }

    /// As [`Inode::decode`], without the inline bytes or the target.
    pub(crate) fn decode_attributes(
        key: &[u8],
        ino: InodeNo,
        inline_bytes: u32,
        value: &[u8],
    ) -> Result<Self> {
        Self::decode_with(key, ino, inline_bytes, value, false)
    }

    #[inline(never)]
    fn decode_with(
        key: &[u8],
        ino: InodeNo,
        inline_bytes: u32,
        value: &[u8],
        with_bytes: bool,
    ) -> Result<Self> {
        let id = id(ino);
        let mut fields = Fields::new(unseal(key, id, value)?, id);
        let kind = Kind::from_byte(fields.u8()?).ok_or(id.damaged("unknown kind"))?;
        let tag_byte = fields.u8()?;
        let clean_of = fields.u16()?;
        if clean_of != 0 && kind != Kind::File {
            return Err(id.damaged("reserved bytes are not zero"));
        }
        let nlink = fields.u32()?;
        let (size, extents, generation) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let parent = InodeNo(fields.u64()?);
        let mut time = || -> Result<Timestamp> {
            let time = Timestamp { seconds: fields.i64()?, nanoseconds: fields.u32()? };
            if time.nanoseconds < 1_000_000_000 {
                Ok(time)
            } else {
                Err(id.damaged("nanoseconds out of range"))
            }
        };
        let (atime, mtime, ctime) = (time()?, time()?, time()?);
        let rest = fields.rest();
        let length = rest.len() as u64;
        let mut extents_below = 0;
        let content = match (kind, tag_byte) {
            (Kind::Directory, CONTENT_NONE) if rest.is_empty() => Content::None,
            // An empty file is always inline.
            (Kind::File, CONTENT_EXTENTS) if rest.is_empty() && (1..=MAX_FILE_BYTES).contains(&size) => {
                Content::Extents
            }
            (Kind::File, CONTENT_SHARED_EXTENTS) if (1..=MAX_FILE_BYTES).contains(&size) => {
                let mut fields = Fields::new(rest, id);
                extents_below = fields.u64()?;
                fields.end()?;
                if !(1..=extents).contains(&extents_below) {
                    return Err(id.damaged("the count of the image's extents is out of range"));
                }
                Content::Extents
            }
            (Kind::File, CONTENT_INLINE) if length <= size && size <= u64::from(inline_bytes) => {
                Content::Inline(if with_bytes { rest.to_vec() } else { Vec::new() })
            }
            (Kind::Symlink, CONTENT_TARGET) if rest.len() <= MAX_SYMLINK_BYTES && length == size => {
                let target = std::str::from_utf8(rest).map_err(|_| id.damaged("target is not UTF-8"))?;
                Content::Target(if with_bytes { target.into() } else { Box::default() })
            }
            _ => return Err(id.damaged("content does not fit the kind and size")),
        };
        Ok(Self {
            kind,
            nlink,
            size,
            extents,
            extents_below,
            generation,
            parent,
            atime,
            mtime,
            ctime,
            clean_of,
            content,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::seal;
    use super::*;

    fn round(inode: &Inode) -> Result<Inode> {
        let mut value = Vec::new();
        inode.encode(b"k", &mut value);
        Inode::decode(b"k", InodeNo(5), 4096, &value)
    }

    #[test]
    fn inodes_of_every_kind_survive_encoding() {
        let now = Timestamp { seconds: -5, nanoseconds: 999_999_999 };
        let mut file = Inode::new(Kind::File, InodeNo::ROOT, now, Content::Inline(b"bytes".to_vec()));
        file.size = 4000;
        assert_eq!(round(&file).unwrap(), file);
        file.content = Content::Extents;
        file.size = MAX_FILE_BYTES;
        file.clean_of = 0x1234;
        assert_eq!(round(&file).unwrap(), file);
        (file.extents, file.extents_below) = (7, 7);
        assert_eq!(round(&file).unwrap(), file);
        let directory = Inode::new(Kind::Directory, InodeNo(9), now, Content::None);
        assert_eq!(round(&directory).unwrap(), directory);
        assert!(round(&Inode { clean_of: 1, ..directory }).is_err(), "only files are scrubbed");
        let link = Inode::new(Kind::Symlink, InodeNo::ROOT, now, Content::Target("a/b".into()));
        assert_eq!(round(&link).unwrap(), link);
        let mut value = Vec::new();
        link.encode(b"k", &mut value);
        let attributes = Inode::decode_attributes(b"k", InodeNo(5), 4096, &value).unwrap();
        assert_eq!(attributes, Inode { content: Content::Target(Box::default()), ..link });
    }

    #[test]
    fn content_that_does_not_fit_is_damage() {
        let mut file =
            Inode::new(Kind::File, InodeNo::ROOT, Timestamp::default(), Content::Inline(b"bytes".to_vec()));
        assert!(round(&file).is_err(), "more bytes than the size says");
        file.size = 4097;
        assert!(round(&file).is_err(), "over the inline limit");
        file.content = Content::Target("x".into());
        assert!(round(&file).is_err(), "a file with a target");
        file.content = Content::Extents;
        file.size = MAX_FILE_BYTES + 1;
        assert!(round(&file).is_err(), "over the largest size");
        file.size = 0;
        assert!(round(&file).is_err(), "empty and not inline");
        (file.size, file.extents, file.extents_below) = (9, 2, 2);
        let mut value = Vec::new();
        file.encode(b"k", &mut value);
        // The last byte of the number of extents: there is one, and two are the image's.
        value[crate::stored::record::FRAME_BYTES + 23] = 1;
        seal(b"k", tag::INODE, &mut value);
        assert!(Inode::decode(b"k", InodeNo(5), 4096, &value).is_err(), "more of the image than there is");
    }

    #[test]
    fn holes_are_not_charged() {
        let mut file = Inode::new(Kind::File, InodeNo::ROOT, Timestamp::default(), Content::Extents);
        (file.size, file.extents) = (1 << 40, 1);
        assert_eq!(file.charged_bytes(32 << 10), INODE_CHARGE_BYTES + (32 << 10));
        (file.size, file.extents) = (5000, 1);
        assert_eq!(file.charged_bytes(32 << 10), INODE_CHARGE_BYTES + 5000);
    }

    #[test]
    fn what_the_image_has_is_not_charged() {
        let mut file = Inode::new(Kind::File, InodeNo::ROOT, Timestamp::default(), Content::Extents);
        (file.size, file.extents, file.extents_below) = (5 << 20, 160, 159);
        assert_eq!(file.charged_bytes(32 << 10), INODE_CHARGE_BYTES + (32 << 10));
        file.extents_below = 160;
        assert_eq!(file.charged_bytes(32 << 10), INODE_CHARGE_BYTES);
    }
}
