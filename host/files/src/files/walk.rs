//! Goes through a tree.

use super::list::DIRECTORY;
use super::open::Files;
use super::path::{inner, join};
use super::read::READ;
use crate::FilesError;
use kvfs::{Descriptor, DirStream, Error, Follow, Kind, Stat};
use std::ops::Range;

/// A walk through a tree, directories before and after what is in them. Its memory grows with the depth
/// of the tree only.
///
/// Entries that are removed meanwhile may be left out; new ones may. Give it to [`Walk::close`], unless
/// it has ended: a directory that it stands in stays open.
#[derive(Debug)]
#[must_use = "a walk that is not closed keeps directories open"]
pub struct Walk {
    frames: Vec<Frame>,
    path: String,
    /// The start of the last name in `path`.
    name_start: usize,
    follow: Follow,
    next: Next,
}

#[derive(Debug)]
enum Next {
    /// The start of the walk.
    Start,
    /// Into the directory that was shown last.
    Enter(Stat),
    Rest,
    /// Out of the tree: it has ended, or is closed.
    End,
}

/// A directory that the walk stands in.
#[derive(Debug)]
struct Frame {
    directory: Descriptor,
    stream: DirStream,
    stat: Stat,
    /// The length of its path, and where its name starts in it.
    path_length: usize,
    name_start: usize,
}

/// A step of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The metadata of the entry.
    pub stat: Stat,
    /// How many directories it lies below the start, which is 0.
    pub depth: usize,
    /// The entry is a directory that was shown before, and everything in it was.
    pub leaves: bool,
}

impl Files {
    /// Starts a walk at a path, which may be a file. `follow` tells whether a symbolic link at its end is
    /// followed; others never are.
    pub fn walk(&self, path: &str, follow: Follow) -> Walk {
        // A slash behind a link asks for what it leads to.
        let follow = if path.ends_with('/') { Follow::Yes } else { follow };
        let path = path.trim_end_matches('/').to_owned();
        Walk { frames: Vec::new(), path, name_start: 0, follow, next: Next::Start }
    }
}

impl Walk {
    /// The path of the last step: that of the start, and names.
    pub fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// The last name of that path, or all of it at the start.
    pub fn name(&self) -> &str {
        self.path.get(self.name_start..).unwrap_or_default()
    }

    /// Goes on to the next entry; `None` at the end.
    ///
    /// # Errors
    /// [`FilesError::Volume`]. The walk goes on behind what failed, if it is called again.
    ///
    /// # Cost
    /// Those of listings; and inodes, which come many at once.
    pub fn next(&mut self, files: &mut Files) -> Result<Option<Step>, FilesError> {
        match std::mem::replace(&mut self.next, Next::Rest) {
            Next::Start => {
                let stat = files.stat(&self.path, self.follow);
                self.next = Next::End;
                let stat = stat?;
                self.next = if stat.kind == Kind::Directory { Next::Enter(stat) } else { Next::End };
                return Ok(Some(Step { stat, depth: 0, leaves: false }));
            }
            Next::Enter(stat) => self.enter(files, stat)?,
            Next::Rest => {}
            Next::End => {
                self.next = Next::End;
                return Ok(None);
            }
        }
        loop {
            let Some(frame) = self.frames.last_mut() else {
                self.next = Next::End;
                return Ok(None);
            };
            self.path.truncate(frame.path_length);
            self.name_start = frame.name_start;
            let entry = files.volume.next_entry(&mut frame.stream);
            match entry.map_err(|source| files.error("list", &self.path, source)) {
                Ok(Some(entry)) => {
                    join(&mut self.path, &entry.name);
                    self.name_start = self.path.len() - entry.name.len();
                    let stat = match files.volume.stat_at(&frame.directory, &entry.name, Follow::No) {
                        Ok(stat) => stat,
                        Err(Error::NoEntry) => continue,
                        Err(source) => return Err(files.error("look at", &self.path, source)),
                    };
                    if stat.kind == Kind::Directory {
                        self.next = Next::Enter(stat);
                    }
                    return Ok(Some(Step { stat, depth: self.frames.len(), leaves: false }));
                }
                Ok(None) => {
                    let Some(frame) = self.frames.pop() else { continue };
                    let (stat, depth) = (frame.stat, self.frames.len());
                    frame.close(files).map_err(|source| files.error("list", &self.path, source))?;
                    return Ok(Some(Step { stat, depth, leaves: true }));
                }
                Err(error) => {
                    // The listing stays where it is, and might fail for ever.
                    if let Some(frame) = self.frames.pop() {
                        let _ = frame.close(files);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Does not go into the directory that was shown last. It is not shown again either.
    pub fn skip(&mut self) {
        if matches!(self.next, Next::Enter(_)) {
            self.next = if self.frames.is_empty() { Next::End } else { Next::Rest };
        }
    }

    /// Returns the parts of the file that was shown last that are no holes, in order:
    /// [`kvfs::Volume::data_ranges`].
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn data_ranges(&self, files: &mut Files) -> Result<Vec<Range<u64>>, FilesError> {
        let (directory, name, follow) = match self.directory() {
            Some(directory) => (directory, self.name(), Follow::No),
            None => (&files.root, inner(&self.path), self.follow),
        };
        let opened = files.volume.open_at(directory, name, follow, READ.0, READ.1);
        let ranges = opened.and_then(|file| {
            let ranges = files.volume.data_ranges(&file);
            files.volume.close(file).and(ranges)
        });
        ranges.map_err(|source| files.error("read", &self.path, source))
    }

    /// Ends the walk where it is.
    ///
    /// # Errors
    /// [`FilesError::Volume`].
    pub fn close(mut self, files: &mut Files) -> Result<(), FilesError> {
        let mut closed = Ok(());
        while let Some(frame) = self.frames.pop() {
            closed = closed.and(frame.close(files));
        }
        closed.map_err(|source| files.error("list", &self.path, source))
    }

    /// The directory that the entry shown last is in; `None` at the start.
    pub(crate) fn directory(&self) -> Option<&Descriptor> {
        self.frames.last().map(|frame| &frame.directory)
    }

    fn enter(&mut self, files: &mut Files, stat: Stat) -> Result<(), FilesError> {
        let (flags, access) = DIRECTORY;
        let opened = match self.frames.last() {
            Some(frame) => {
                let name = self.path.get(self.name_start..).unwrap_or_default();
                files.volume.open_at(&frame.directory, name, Follow::No, flags, access)
            }
            None => files.volume.open_at(&files.root, inner(&self.path), self.follow, flags, access),
        };
        let directory = match opened {
            Ok(directory) => directory,
            // Removed meanwhile, or replaced.
            Err(Error::NoEntry | Error::NotDirectory | Error::Loop) => return Ok(()),
            Err(source) => return Err(files.error("list", &self.path, source)),
        };
        match files.volume.read_directory(&directory) {
            Ok(stream) => {
                let (path_length, name_start) = (self.path.len(), self.name_start);
                self.frames.push(Frame { directory, stream, stat, path_length, name_start });
                Ok(())
            }
            Err(source) => {
                let _ = files.volume.close(directory);
                Err(files.error("list", &self.path, source))
            }
        }
    }
}

impl Frame {
    fn close(self, files: &mut Files) -> Result<(), Error> {
        let closed = files.volume.close_directory(self.stream);
        closed.and(files.volume.close(self.directory))
    }
}
