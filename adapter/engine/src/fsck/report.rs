//! The report of a check: the invariants, and findings that break them.

use std::fmt;

/// An invariant of every volume at every moment, also right after a cut. The numbers are those of
/// `FORMAT.md` and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// 1: every key of the volume is of a known form.
    KeyForm = 1,
    /// 2: every value has a valid frame and fields within their ranges.
    Value = 2,
    /// 3: there is a superblock.
    Superblock = 3,
    /// 4: inode 1 is a directory, and its own parent.
    Root = 4,
    /// 5: every entry names an inode that exists and is of the entry's kind.
    EntryTarget = 5,
    /// 6: every entry lies in a directory that exists and has a name itself (or is the root).
    EntryDirectory = 6,
    /// 7: an inode's link count is the number of its names; a directory's is two and one for each
    /// directory in it, and it has exactly one name, the root none.
    LinkCount = 7,
    /// 8: a directory's size is the number of its entries.
    DirectorySize = 8,
    /// 9: a directory's parent is the directory that its name is in, and parents lead to the root.
    Parent = 9,
    /// 10: an inode has an orphan record exactly if it has no name, and then its link count is 0.
    Orphan = 10,
    /// 11: every extent lies before the end of a file that keeps its bytes in extents, or is
    /// covered by a reap record.
    ExtentRange = 11,
    /// 12: a file's inode counts the extents before its end exactly, and those of them that are the
    /// image's, if at all.
    ExtentCount = 12,
    /// 13: no extent is longer than the volume's extent size.
    ExtentLength = 13,
    /// 14: a reap record covers something, and nothing before the end of its inode.
    Reap = 14,
    /// 15: the next inode number is greater than every one in use.
    NextInode = 15,
    /// 16: the superblock counts the inodes exactly; above an image, those that the store has.
    UsedInodes = 16,
    /// 17: the superblock counts the charged bytes exactly; above an image, those of what the store
    /// has.
    UsedBytes = 17,
    /// 18: there are records of a journal only where the superblock says that there may be, and a
    /// journal with a commit record is whole.
    Journal = 18,
    /// 19: no entry is younger than its directory, whose listings would leave it out.
    Birth = 19,
    /// 20: where a volume on an image has records in the store, its superblock says so, and a
    /// directory with names there has its inode there: else readers do not look for them.
    Layer = 20,
    /// 21: the superblock counts the names exactly, if it counts them; above an image, those that
    /// the store has.
    UsedNames = 21,
    /// 22: there are settings exactly where the superblock says so, and of the generation that it
    /// says: else nobody opens the volume.
    Settings = 22,
    /// 23: every layer that a volume or a layer stands on is there and frozen, and stands on the same
    /// ones itself; a top layer is that of one volume.
    Chain = 23,
    /// 24: a layer counts exactly what stands directly on it.
    Users = 24,
    /// 25: the list of garbage names exactly the layers that nobody stands on.
    Garbage = 25,
}

impl Invariant {
    /// The number in `FORMAT.md`.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// One defect of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The invariant that does not hold.
    pub invariant: Invariant,
    /// The key of the record that breaks it, or of the record that is missing.
    pub key: Vec<u8>,
    /// The defect, in words.
    pub what: String,
    /// A path to the file or directory that the record belongs to, if one leads there.
    pub path: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {} at key ", self.invariant.number())?;
        write_hex(f, &self.key)?;
        write!(f, ": {}", self.what)?;
        match &self.path {
            // A name may contain line breaks, and a finding must stay one line.
            Some(path) => write!(f, " ({})", path.escape_debug()),
            None => Ok(()),
        }
    }
}

pub(super) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Everything that is wrong; a volume without findings is sound.
    pub findings: Vec<Finding>,
    /// Inodes, including orphans.
    pub inodes: u64,
    /// Names.
    pub dentries: u64,
    /// Extents of files.
    pub extents: u64,
    /// Garbage extents, which is nothing wrong.
    pub garbage_extents: u64,
    /// Orphans that the next opener removes, which is nothing wrong.
    pub orphans: u64,
    /// Bytes as the quota counts them.
    pub used_bytes: u64,
    /// Bytes of files without holes and of link targets, including those in an image below.
    pub content_bytes: u64,
    /// Files that are scrubbed by some of their names only, which is nothing wrong: the names are
    /// older than the policy. Through the others, secrets get into the store.
    pub half_scrubbed: u64,
    /// Two names of each of them, of the first 1,000.
    pub half_scrubbed_names: Vec<HalfScrubbed>,
}

/// Two names of a file, of which one is scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HalfScrubbed {
    /// The path of a name by which the file is scrubbed.
    pub scrubbed: String,
    /// The path of a name by which it is not.
    pub other: String,
}

impl fmt::Display for HalfScrubbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names may contain line breaks, and this must stay one line.
        let (scrubbed, other) = (self.scrubbed.escape_debug(), self.other.escape_debug());
        write!(f, "{scrubbed} is scrubbed, and {other}, the same file, is not")
    }
}

impl Report {
    /// Returns whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}
