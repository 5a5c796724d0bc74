//! Globs in paths of a volume, as a shell has them.

use super::at::{At, Open};
use super::pick::matcher;
use super::place::Place;
use anyhow::{Result, bail};
use clap::Args;
use globset::GlobMatcher;
use kvfs::{Error, Follow, Kind};
use kvfs_host::{Files, FilesError};
use std::ops::ControlFlow;

/// Most bytes of the paths that the arguments of a command match: as much as some 500,000 paths of usual
/// lengths have. They are all in memory before anything is done with them, as in a shell.
const MAX_MATCHED_BYTES: usize = 64 << 20;

/// Bytes that a path takes besides those of its text.
const PATH_BYTES: usize = size_of::<String>() + 16;

// No doc comment: clap would take it for the command's.
#[derive(Args, Clone, Copy)]
pub(super) struct Naming {
    /// Takes paths as they are, without globs: for names that a program gives.
    #[arg(long)]
    literal: bool,
}

/// Finds the paths that arguments mean.
pub(super) struct Globs<'a> {
    at: &'a At,
    naming: Naming,
    left_bytes: usize,
}

impl<'a> Globs<'a> {
    pub(super) fn new(at: &'a At, naming: Naming) -> Self {
        Self { at, naming, left_bytes: MAX_MATCHED_BYTES }
    }

    /// Returns the paths of all arguments, in their order. An error stands where its argument stood.
    pub(super) fn all(mut self, files: &mut Files, args: &[String]) -> Vec<Result<String>> {
        let mut all = Vec::with_capacity(args.len());
        for arg in args {
            match self.paths(files, arg) {
                Ok(paths) => all.extend(paths.into_iter().map(Ok)),
                Err(error) => all.push(Err(error)),
            }
        }
        all
    }

    /// As [`Globs::all`], in volumes that are open together.
    pub(super) fn places(mut self, open: &mut Open, args: &[Place]) -> Vec<Result<Place>> {
        let mut all = Vec::with_capacity(args.len());
        for arg in args {
            let (files, _) = open.source(arg.volume(self.at));
            match self.paths(files, &arg.path) {
                Ok(paths) => all.extend(paths.into_iter().map(|path| Ok(arg.with_path(path)))),
                Err(error) => all.push(Err(error)),
            }
        }
        all
    }

    /// Returns the paths that an argument means: itself, if it matches none.
    fn paths(&mut self, files: &mut Files, arg: &str) -> Result<Vec<String>> {
        Ok(self.matched(files, arg)?.unwrap_or_else(|| vec![arg.to_owned()]))
    }

    /// Returns the paths that match an argument, sorted by name in each directory; `None` if it means
    /// itself: it has no glob or is literal, there is an entry of this very name, or nothing matches. A name with a dot at
    /// its start is matched by a dot only.
    ///
    /// # Errors
    /// If a directory cannot be read, and for more than [`MAX_MATCHED_BYTES`].
    pub(super) fn matched(&mut self, files: &mut Files, arg: &str) -> Result<Option<Vec<String>>> {
        if self.naming.literal || !has_glob(arg) || self.is_there(files, arg)? {
            return Ok(None);
        }
        let mut found = vec![if arg.starts_with('/') { "/".to_owned() } else { String::new() }];
        let mut are_seen = true;
        for part in arg.split('/').filter(|part| !part.is_empty()) {
            let matcher = if has_glob(part) { matcher(part, false).ok() } else { None };
            let mut next = Vec::new();
            let mut bytes = 0;
            for directory in found {
                match &matcher {
                    Some(matcher) => {
                        self.entries(files, (&directory, part), matcher, &mut next, &mut bytes)?
                    }
                    None => {
                        let path = joined(&directory, part);
                        bytes += path.len() + PATH_BYTES;
                        next.push(path);
                    }
                }
                if bytes > self.left_bytes {
                    bail!(
                        "{arg}: more paths match than {MAX_MATCHED_BYTES} bytes hold; name fewer at once, or the \
                         directory that they are in"
                    );
                }
            }
            // A name without a glob is looked for at the end.
            are_seen = matcher.is_some();
            found = next;
        }
        let is_of_directories = arg.ends_with('/');
        let mut there = Vec::with_capacity(found.len());
        for mut path in found {
            if is_of_directories {
                let stat = files.find(&path, Follow::Yes);
                if !matches!(stat, Ok(Some(stat)) if stat.kind == Kind::Directory) {
                    continue;
                }
                path.push('/');
            } else if !are_seen && !self.is_there(files, &path)? {
                continue;
            }
            self.left_bytes = self.left_bytes.saturating_sub(path.len() + PATH_BYTES);
            there.push(path);
        }
        Ok((!there.is_empty()).then_some(there))
    }

    /// Adds the paths of the entries of a directory that match a part of an argument, sorted by name.
    fn entries(
        &self,
        files: &mut Files,
        (directory, part): (&str, &str),
        matcher: &GlobMatcher,
        into: &mut Vec<String>,
        bytes: &mut usize,
    ) -> Result<()> {
        let with_dot = part.starts_with('.') || part.starts_with("\\.");
        let first = into.len();
        let listed = files.each_entry(directory, &mut |entry| {
            if (with_dot || !entry.name.starts_with('.')) && matcher.is_match(&entry.name) {
                let path = joined(directory, &entry.name);
                *bytes += path.len() + PATH_BYTES;
                into.push(path);
            }
            if *bytes > self.left_bytes { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Some(new) = into.get_mut(first..) {
            new.sort_unstable();
        }
        match listed {
            Err(error) if !is_no_directory(&error) => Err(self.at.explain(error)),
            _ => Ok(()),
        }
    }

    fn is_there(&self, files: &mut Files, path: &str) -> Result<bool> {
        match files.find(path, Follow::No) {
            Ok(found) => Ok(found.is_some()),
            Err(error) if is_no_directory(&error) => Ok(false),
            Err(error) => Err(self.at.explain(error)),
        }
    }
}

fn has_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

fn joined(directory: &str, name: &str) -> String {
    let slash = if directory.is_empty() || directory.ends_with('/') { "" } else { "/" };
    format!("{directory}{slash}{name}")
}

fn is_no_directory(error: &FilesError) -> bool {
    matches!(error.in_volume(), Some(Error::NoEntry | Error::NotDirectory | Error::Loop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use kvfs::Options;
    use kvfs_host::{MemoryStore, Volumes};

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        at: At,
    }

    #[test]
    fn paths_that_match_take_no_more_memory_than_they_may() {
        let volumes = Volumes::new(MemoryStore::new());
        volumes.create("main").unwrap();
        let mut files = volumes.files(Options::default()).unwrap();
        for directory in ["d0", "d1"] {
            files.make_directory(directory).unwrap();
        }
        for number in 0..20 {
            files.write(&format!("d{}/f{number:02}", number % 2), b"").unwrap();
        }
        let at = Command::parse_from(["kvfs", "--store", "memory:"]).at;
        let path_bytes = "d0/f00".len() + PATH_BYTES;
        let mut matched = |bytes: usize, args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            Globs { at: &at, naming: Naming { literal: false }, left_bytes: bytes }.all(&mut files, &args)
        };
        let all = matched(20 * path_bytes, &["*/f*"]);
        let names: Vec<String> = all.into_iter().map(Result::unwrap).collect();
        assert_eq!((names.len(), &*names[0], &*names[9], &*names[10]), (20, "d0/f00", "d0/f18", "d1/f01"));
        let told = |error: &anyhow::Error| error.to_string();
        let refused = matched(20 * path_bytes - 1, &["*/f*"]);
        assert!(told(refused[0].as_ref().unwrap_err()).contains("name fewer at once"), "{refused:?}");
        // All arguments count together.
        let some = matched(11 * path_bytes, &["d0/f*", "d1/f*", "d1/f01"]);
        assert_eq!((some.len(), some.iter().filter(|path| path.is_ok()).count()), (12, 11), "{some:?}");
    }
}
