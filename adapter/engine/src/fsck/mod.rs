//! Checks a whole volume against the numbered invariants of `FORMAT.md`.
//!
//! The check reads and changes nothing. It has two halves: [`collect`] reads every record once and
//! finds what is wrong with it alone; [`relate`] finds what is wrong between records. [`repair`] takes
//! the picture that the first half makes and changes what does not fit together.

mod collect;
mod layered;
mod paths;
mod relate;
mod repair;

pub use repair::{Fix, Repair, RepairOptions, repair, repair_overlay};

use self::collect::Picture;
use self::layered::Layered;
use crate::backing::journal_view::View;
use crate::backing::journal_view::read_journal;
use crate::backing::overlay::Lower;
use crate::error::{Error, Result};
use crate::opening::checks::{check_image, check_same_name, check_volume_name};
use crate::store::KvStore;
use crate::stored::image::Image;
use crate::stored::key::KeySpace;
use crate::stored::record::is_tombstone;
use crate::stored::record::journal::Changes;
use crate::stored::record::superblock::Superblock;
use std::fmt;

/// Something that must hold in every volume at every moment, also right after a cut. The numbers are
/// those of `FORMAT.md` and do not change.
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
    /// 11: every extent lies before the end of a file that keeps its bytes in extents, or is covered by
    /// a reap record.
    ExtentRange = 11,
    /// 12: a file's inode counts the extents before its end exactly, and those of them that are the image's, if at all.
    ExtentCount = 12,
    /// 13: no extent is longer than the volume's extent size.
    ExtentLength = 13,
    /// 14: a reap record covers something, and nothing before the end of its inode.
    Reap = 14,
    /// 15: the next inode number is greater than every one in use.
    NextInode = 15,
    /// 16: the superblock counts the inodes exactly; above an image, those that the store has.
    UsedInodes = 16,
    /// 17: the superblock counts the charged bytes exactly; above an image, those of what the store has.
    UsedBytes = 17,
    /// 18: there are records of a journal only where the superblock says that there may be, and a journal
    /// with a commit record is whole.
    Journal = 18,
    /// 19: no entry is younger than its directory, whose listings would leave it out.
    Birth = 19,
    /// 20: where a volume on an image has records in the store, its superblock says so, and a directory with names
    /// there has its inode there: else readers do not look for them.
    Layer = 20,
    /// 21: the superblock counts the names exactly, if it counts them; above an image, those that the store has.
    UsedNames = 21,
}

impl Invariant {
    /// The number in `FORMAT.md`.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What does not hold.
    pub invariant: Invariant,
    /// The key of the record that breaks it, to the byte; one that should exist, if it is missing.
    pub key: Vec<u8>,
    /// What was found, in words.
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
            // A name may hold anything but `/` and NUL; a line must stay one.
            Some(path) => write!(f, " ({})", path.escape_debug()),
            None => Ok(()),
        }
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// What a check has seen and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Everything that is wrong; a volume without findings is sound.
    pub findings: Vec<Finding>,
    /// Inodes, those without a name included.
    pub inodes: u64,
    /// Names.
    pub dentries: u64,
    /// Extents of files.
    pub extents: u64,
    /// Extents that wait to be deleted, which is nothing wrong.
    pub garbage_extents: u64,
    /// Inodes that a next opener will remove, which is nothing wrong.
    pub orphans: u64,
    /// Bytes as the quota counts them.
    pub used_bytes: u64,
    /// Bytes of files and of links' targets, holes not counted, those in an image below included.
    pub content_bytes: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Checks one volume of a store and changes nothing.
///
/// No writer should be at work: a check that reads while another writes finds what is not so.
///
/// # Errors
/// The store's; [`crate::Error::NoEntry`] if the store holds nothing of this volume, [`crate::Error::Invalid`] for a
/// name that no volume can have, [`crate::Error::Format`] for a volume of another format,
/// [`crate::Error::OtherImage`] for one that lies on an image: that takes [`fsck_overlay`]. What is wrong with
/// the volume itself is no error but a [`Finding`].
///
/// # Cost
/// Reads the whole volume in scans of up to 256 KiB, and keeps some dozen bytes in memory for each
/// record.
pub fn fsck(store: &mut dyn KvStore, volume: &str) -> Result<Report> {
    check_volume_name(volume)?;
    let keys = KeySpace::new(volume);
    look(&mut Layered::new(store, None), &keys).map(|(_, report)| report)
}

/// As [`fsck`], for a volume that lies on an image: checks the tree that they are together.
///
/// # Errors
/// As there, and [`crate::Error::OtherImage`] for a volume that lies on another image, or on none.
pub fn fsck_overlay(store: &mut dyn KvStore, volume: &str, image: Image) -> Result<Report> {
    check_volume_name(volume)?;
    check_same_name(&image, volume)?;
    let keys = KeySpace::new(volume);
    check_exists(store, &keys)?;
    let lower = Lower::new(image, keys.clone());
    look(&mut Layered::new(store, Some(lower)), &keys).map(|(_, report)| report)
}

/// Fails unless the store itself holds something of the volume.
fn check_exists(store: &mut dyn KvStore, keys: &KeySpace) -> Result<()> {
    let (start, end) = keys.volume_range();
    let limits = store.limits()?;
    if store.scan(&start, &end, 1, limits.max_batch_bytes)?.is_empty() { Err(Error::NoEntry) } else { Ok(()) }
}

/// Reads the volume, and says what is wrong with it. It must lie on the image that is below, if it can be told.
fn look(store: &mut Layered<'_>, keys: &KeySpace) -> Result<(Picture, Report)> {
    let mut report = Report::default();
    let journalled = committed(store, keys, &mut report)?;
    let mut changes = journalled.clone();
    if store.image().is_some() {
        // The view lies above the image, where what a tombstone hides is just not there.
        let is_grave = |key: &[u8], value: &Option<Vec<u8>>| {
            value.as_ref().is_some_and(|value| is_tombstone(key, value))
        };
        changes.iter_mut().filter(|(key, value)| is_grave(key, value)).for_each(|(_, value)| *value = None);
    }
    let mut picture = collect::collect(&mut View { store, changes }, keys, &mut report)?;
    store.check(keys, &journalled, &mut picture, &mut report)?;
    relate::relate(&picture, keys, &mut report);
    paths::name(&picture, keys, &mut report);
    Ok((picture, report))
}

/// The changes of a journal that a cut commit left, to be put in place.
fn committed(store: &mut Layered<'_>, keys: &KeySpace, report: &mut Report) -> Result<Changes> {
    let superblock = store.get(&[keys.superblock()])?.into_iter().next().flatten();
    let superblock = superblock.and_then(|value| Superblock::decode(keys.superblock(), &value).ok());
    if let Some(superblock) = &superblock {
        check_image(superblock, store.image())?;
    }
    // Without a superblock nothing says that there is none.
    if superblock.is_some_and(|superblock| !superblock.has_journal()) {
        return Ok(Changes::new());
    }
    let limits = store.limits()?;
    match read_journal(store, keys, limits.max_batch_entries, limits.max_batch_bytes) {
        Ok(journal) => Ok(journal.committed.unwrap_or_default()),
        Err(Error::Damaged(damage)) => {
            let mut key = Vec::new();
            keys.journal_commit(&mut key);
            let what = format!("a committed journal that cannot be put in place: {}", damage.found);
            report.findings.push(Finding { invariant: Invariant::Journal, key, what, path: None });
            Ok(Changes::new())
        }
        Err(error) => Err(error),
    }
}
