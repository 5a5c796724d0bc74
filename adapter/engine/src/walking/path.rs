//! Path resolution: the only place that walks names of a volume.
//!
//! A path starts at a directory and never leaves it: not by a leading `/`, not by `..`, and not by
//! a symbolic link to either. The last name is special: most operations act on the name, so it is
//! looked up but not entered. The [`Ending`] tells what the name is for.
//!
//! A path is never normalized: slashes and dots behind a name change the meaning of the name, in
//! every volume that the walk reaches.

use super::steps::{self, Step};
use super::track::Track;
use crate::error::{Error, Result};
use crate::limits::MAX_SYMLINK_DEPTH;
use crate::place::Place;
use crate::policy::Rights;
use crate::stored::record::inode::Content;
use crate::transaction::txn::Txn;
use crate::types::{Crossing, Dentry, InodeNo, Kind, MountNo};
use crate::volume::Volume;
use crate::walking::start::Start;
use std::borrow::Cow;
use std::ops::Range;

/// Whether a symbolic link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Yes.
    Yes,
    /// No: the operation acts on the link itself.
    No,
}

/// The purpose of the last name of a path, which decides how it is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A name to change or remove, with or without slashes behind it. A symbolic link there is not
    /// followed, and a mount there is not entered.
    Name,
    /// A name to make, for something that is no directory. Resolved as [`Ending::Name`].
    New,
    /// The object that the name leads to. With slashes behind it, a symbolic link is always
    /// followed.
    Object(Follow),
    /// A file, made if there is none. A name with slashes behind it cannot name a file.
    File(Follow),
}

impl Ending {
    /// Returns whether the operation acts on the last name itself.
    pub fn is_name(self) -> bool {
        matches!(self, Self::Name | Self::New)
    }

    /// Returns whether a symbolic link with the last name is followed, with `slashes` behind it or without.
    pub fn follows(self, slashes: bool) -> bool {
        match self {
            Self::Name | Self::New => false,
            Self::Object(follow) => follow == Follow::Yes || slashes,
            Self::File(follow) => follow == Follow::Yes,
        }
    }
}

/// The end of a path.
#[derive(Debug)]
pub(crate) struct Found<'p> {
    /// The directory with the last name, or the directory itself if there is no last name.
    pub(crate) dir: InodeNo,
    /// The last name; `None` for a path that ends in `.`, `..` or at its start.
    pub(crate) name: Option<Cow<'p, str>>,
    /// The entry of the last name, or of the directory itself.
    pub(crate) entry: Option<Dentry>,
    track: Track,
    /// The path ends in `/` or has no last name: only a directory will do.
    pub(crate) must_be_dir: bool,
    /// The path ends in `..`.
    pub(crate) ends_up: bool,
}

impl Found<'_> {
    /// The place of the last name, or of the directory itself.
    #[inline(always)]
    pub(crate) fn place(&self) -> Place {
        self.track.name()
    }

    /// Returns the entry, which must exist.
    pub(crate) fn existing(&self) -> Result<Dentry> {
        let entry = self.entry.ok_or(Error::NoEntry)?;
        if self.must_be_dir && entry.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        Ok(entry)
    }

    /// Returns the last name, for an operation that changes it. Fails with `otherwise` if there is
    /// none.
    pub(crate) fn last_name(&self, otherwise: Error) -> Result<&str> {
        self.name.as_deref().ok_or(otherwise)
    }

    /// Returns the last name and its entry, for an operation that removes it. Reports a volume that
    /// takes no changes before a missing entry.
    pub(crate) fn old_name(&self, txn: &Txn<'_>, otherwise: Error) -> Result<(&str, Dentry)> {
        let name = self.last_name(otherwise)?;
        txn.check_writable()?;
        let entry = self.entry.ok_or(Error::NoEntry)?;
        self.check_may_change(txn)?;
        Ok((name, entry))
    }

    /// Fails if the last name may not be added, removed, replaced or renamed. At a hidden name it
    /// may not, whether there is anything or not.
    pub(crate) fn check_may_change(&self, txn: &Txn<'_>) -> Result<()> {
        txn.check_right(self.track.here(), Rights::DIR_MUTATE)?;
        txn.check_right(self.place(), Rights::DIR_MUTATE)
    }

    /// Returns the last name, for an operation that adds it. Reports anything in its way before a
    /// volume that takes no changes.
    pub(crate) fn new_name(&self, txn: &mut Txn<'_>, kind: Kind) -> Result<&str> {
        let name = self.last_name(Error::Exist)?;
        if self.entry.is_some() {
            return Err(Error::Exist);
        }
        if self.must_be_dir && kind != Kind::Directory {
            return Err(Error::NoEntry);
        }
        txn.check_writable()?;
        self.check_may_change(txn)?;
        txn.check_accepts_names(self.dir)?;
        Ok(name)
    }
}

/// Walks `path` from `start`.
///
/// # Cost
/// Nothing for known names. One call for each other name, and one for each symbolic link on the way
/// that is not in memory.
///
/// # Errors
/// [`Error::NotPermitted`] for a path that leaves its start, [`Error::NoEntry`] or
/// [`Error::NotDirectory`] for a step that cannot be taken, [`Error::Loop`],
/// [`Error::NameTooLong`], [`Error::Invalid`] for a NUL byte, [`Error::Crossing`] for a path that
/// leads out of the volume.
pub(crate) fn resolve<'p>(
    txn: &mut Txn<'_>,
    start: Start,
    path: &'p str,
    ending: Ending,
) -> Result<Found<'p>> {
    steps::check(path)?;
    let mut links = start.links;
    let mut dir = start.ino;
    let mut track = Track::new(txn.volume, start);
    let mut rest: Cow<'p, str> = Cow::Borrowed(path);
    loop {
        match walk(txn, (start.floor(), &mut track), dir, &rest, ending)? {
            Walked::End { dir, last, entry, must_be_dir } => {
                let name = match (&last, rest) {
                    (Last::Dot | Last::Up, _) => None,
                    (Last::Name(range), Cow::Borrowed(rest)) => rest.get(range.clone()).map(Cow::Borrowed),
                    (Last::Name(range), Cow::Owned(rest)) => {
                        rest.get(range.clone()).map(|name| Cow::Owned(name.to_owned()))
                    }
                };
                let name = match &txn.volume.scrubbing {
                    None => name,
                    Some(_) => name.map(|name| masked(txn.volume, name)),
                };
                let ends_up = matches!(last, Last::Up);
                return Ok(Found { dir, name, entry, track, must_be_dir, ends_up });
            }
            Walked::Out { mount, rest: from } => {
                return Err(crossing(mount, rest.get(from..).unwrap_or_default(), links));
            }
            Walked::Link { dir: at, link, behind } => {
                links += 1;
                if links > MAX_SYMLINK_DEPTH {
                    return Err(Error::Loop);
                }
                let Content::Target(target) = &txn.inode_of(link)?.content else {
                    return Err(Error::damaged("inode", link.ino.0, "a symbolic link without a target"));
                };
                let behind = rest.get(behind..).unwrap_or_default();
                (dir, rest) = (at, Cow::Owned(steps::follow_link(target, behind)?));
            }
        }
    }
}

#[cold]
fn masked<'p>(volume: &Volume, name: Cow<'p, str>) -> Cow<'p, str> {
    match volume.masked_name(&name) {
        Cow::Owned(masked) => Cow::Owned(masked),
        Cow::Borrowed(_) => name,
    }
}

/// The error of a walk that leaves the volume: onto a mountpoint, or else above the root.
#[cold]
fn crossing(onto: Option<MountNo>, rest: &str, links: u32) -> Error {
    Error::Crossing(Box::new(match onto {
        Some(mount) => Crossing::down(mount, rest, links),
        None => Crossing::Up { rest: rest.to_owned(), links },
    }))
}

enum Walked {
    /// The walk has reached the end of the path.
    End { dir: InodeNo, last: Last, entry: Option<Dentry>, must_be_dir: bool },
    /// The walk has reached a symbolic link in `dir`; the rest of the path starts at `behind`.
    Link { dir: InodeNo, link: Dentry, behind: usize },
    /// The walk leaves the volume: onto `mount`, or above the root by the `..` that the rest starts
    /// with.
    Out { mount: Option<MountNo>, rest: usize },
}

/// The last name of a path.
enum Last {
    /// A name, by its range in the path.
    Name(Range<usize>),
    /// `.`, or nothing.
    Dot,
    /// `..`.
    Up,
}

/// Looks a name up, as far as the policy shows it.
#[inline(always)]
fn look(txn: &mut Txn<'_>, track: &mut Track, dir: InodeNo, name: &str) -> Result<Option<Dentry>> {
    let entry = txn.lookup(dir, name)?;
    Ok(if track.hides(txn.volume, name) { None } else { entry })
}

/// As [`look`], for the name that a scrubbed volume has instead.
#[cold]
fn look_masked(txn: &mut Txn<'_>, track: &mut Track, dir: InodeNo, name: &str) -> Result<Option<Dentry>> {
    let name = txn.volume.masked_name(name);
    look(txn, track, dir, &name)
}

/// Notes the name that led to a directory.
#[cold]
fn note_way(volume: &mut Volume, dir: InodeNo, parent: InodeNo, name: &str) {
    match &volume.scrubbing {
        None => volume.note_name(dir, parent, Some(name)),
        Some(_) => {
            let name = volume.masked_name(name).into_owned();
            volume.note_name(dir, parent, Some(&name));
        }
    }
}

fn walk(
    txn: &mut Txn<'_>,
    (floor, track): (Option<InodeNo>, &mut Track),
    start: InodeNo,
    path: &str,
    ending: Ending,
) -> Result<Walked> {
    let mut dir = start;
    let mut at = 0;
    // The name that led to `dir`, in a volume whose layers tell names.
    let mut way: Option<(InodeNo, &str)> = None;
    loop {
        let Step { name, start: name_start, end: name_end, is_last, must_be_dir } = Step::take(path, at)?;
        match name {
            "" | "." => {
                if txn.inode(dir)?.kind != Kind::Directory {
                    return Err(Error::NotDirectory);
                }
            }
            ".." => {
                if Some(dir) == floor {
                    return Err(Error::NotPermitted);
                }
                if is_last && ending.is_name() {
                    // As a name it is refused wherever it leads, so the walk stays in the directory
                    // that holds it.
                    let entry = Some(Dentry::new(Kind::Directory, dir));
                    track.stay();
                    return Ok(Walked::End { dir, last: Last::Up, entry, must_be_dir });
                }
                if dir == InodeNo::ROOT {
                    let up = Ok(Walked::Out { mount: None, rest: name_start });
                    // Only damaged parents lead past the floor, up to the root.
                    return if floor.is_none() { up } else { Err(Error::NotPermitted) };
                }
                let parent = txn.inode(dir)?.parent;
                if parent == InodeNo(0) {
                    return Err(Error::NoEntry);
                }
                track.up(txn.volume, dir, parent)?;
                (dir, way) = (parent, None);
            }
            _ => {
                if must_be_dir && matches!(ending, Ending::File(_)) {
                    return Err(Error::IsDirectory);
                }
                let entry = match &txn.volume.scrubbing {
                    None => look(txn, track, dir, name)?,
                    Some(_) => look_masked(txn, track, dir, name)?,
                };
                if let Some((parent, name)) = way {
                    // Only now is the directory in memory.
                    note_way(txn.volume, dir, parent, name);
                }
                if let Some(entry) = entry
                    && let Some(mount) = txn.volume.mountpoints.at(entry.ino)
                    && !(is_last && ending.is_name())
                {
                    return Ok(Walked::Out { mount: Some(mount), rest: name_end });
                }
                if is_last {
                    match entry {
                        Some(link) if link.kind == Kind::Symlink && ending.follows(must_be_dir) => {
                            return Ok(Walked::Link { dir, link, behind: name_end });
                        }
                        _ => {
                            let last = Last::Name(name_start..name_end);
                            return Ok(Walked::End { dir, last, entry, must_be_dir });
                        }
                    }
                }
                match entry {
                    None => return Err(Error::NoEntry),
                    Some(entry) => match entry.kind {
                        Kind::Directory => {
                            track.down();
                            let may_be_told = txn.volume.backing.may_have_below(entry.ino);
                            way = may_be_told.then_some((dir, name));
                            dir = entry.ino;
                        }
                        Kind::Symlink => return Ok(Walked::Link { dir, link: entry, behind: name_end }),
                        Kind::File => return Err(Error::NotDirectory),
                    },
                }
            }
        }
        if is_last {
            let entry = Some(Dentry::new(Kind::Directory, dir));
            let last = if name == ".." { Last::Up } else { Last::Dot };
            track.stay();
            return Ok(Walked::End { dir, last, entry, must_be_dir: true });
        }
        at = name_end;
    }
}
