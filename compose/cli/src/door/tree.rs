//! `kvfs tree`.

use super::at::At;
use super::glob::{Globs, Naming};
use super::shown::json;
use crate::lines::Lines;
use crate::terminal::{complain, json_line};
use anyhow::Result;
use clap::Args;
use kvfs::{Kind, Stat};
use kvfs_host::{FileEntry, Files, FilesError};
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Shows directories of a volume with all that is below them, sorted by name.
///
/// A path may have globs: see `kvfs ls --help`. No link is followed below the paths that are given. The volume is opened read-only, and a guest may be
/// running on it. The exit code is 1 if something could not be listed.
#[derive(Args)]
#[command(after_help = "Examples:
  kvfs tree --store file:state
  kvfs tree --store file:state -L 2 /in /out")]
pub(crate) struct TreeArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    naming: Naming,
    /// Shows so many levels.
    #[arg(short = 'L', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    level: Option<u32>,
    /// Writes a JSON object for each entry, one a line, as `kvfs ls --json`.
    #[arg(long)]
    json: bool,
    /// The directories.
    #[arg(default_value = "/")]
    path: Vec<String>,
}

pub(crate) fn tree(args: &TreeArgs) -> Result<ExitCode> {
    let mut files = args.at.look()?;
    let mut tree = Tree { args, out: Lines::default(), directories: 0, files: 0, failed: false };
    let mut is_open = true;
    for path in Globs::new(&args.at, args.naming).all(&mut files, &args.path) {
        match path {
            Ok(path) => is_open = is_open && tree.show(&mut files, &path)? == ControlFlow::Continue(()),
            Err(error) => {
                complain(&error);
                tree.failed = true;
            }
        }
    }
    if !args.json && is_open {
        let noun =
            |count: u64, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
        let directories = noun(tree.directories, "directory", "directories");
        let _ = tree.out.line("")?;
        let _ = tree.out.line(format!("{directories}, {}", noun(tree.files, "file", "files")))?;
    }
    let _ = tree.out.flush()?;
    Ok(if tree.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Tree<'a> {
    args: &'a TreeArgs,
    out: Lines,
    directories: u64,
    files: u64,
    failed: bool,
}

/// A directory that is being shown.
struct Frame {
    entries: std::vec::IntoIter<(FileEntry, Option<Stat>)>,
    /// The lengths of its path, and of what stands before its entries.
    path_length: usize,
    indent_length: usize,
}

impl Tree<'_> {
    fn show(&mut self, files: &mut Files, start: &str) -> Result<ControlFlow<()>> {
        let mut path = start.to_owned();
        let entries = match self.list(files, &path) {
            Ok(entries) => entries,
            Err(error) => {
                self.fail(error);
                return Ok(ControlFlow::Continue(()));
            }
        };
        if !self.args.json {
            let _ = self.out.line(&path)?;
        }
        let mut indent = String::new();
        let mut frames = vec![Frame { entries, path_length: path.len(), indent_length: 0 }];
        while let Some(depth) = frames.len().checked_sub(1) {
            let Some(frame) = frames.last_mut() else { break };
            path.truncate(frame.path_length);
            indent.truncate(frame.indent_length);
            let Some((entry, stat)) = frame.entries.next() else {
                frames.pop();
                continue;
            };
            let is_last = frame.entries.as_slice().is_empty();
            if !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(&entry.name);
            let shown = self.entry(files, &path, (&indent, is_last), &entry, stat)?;
            if shown == ControlFlow::Break(()) {
                return Ok(shown);
            }
            let most = self.args.level.map_or(usize::MAX, |level| level as usize);
            if entry.kind == Kind::Directory && depth + 1 < most {
                match self.list(files, &path) {
                    Ok(entries) => {
                        indent.push_str(if is_last { "    " } else { "│   " });
                        let (path_length, indent_length) = (path.len(), indent.len());
                        frames.push(Frame { entries, path_length, indent_length });
                    }
                    Err(error) => self.fail(error),
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn list(
        &mut self,
        files: &mut Files,
        path: &str,
    ) -> Result<std::vec::IntoIter<(FileEntry, Option<Stat>)>, FilesError> {
        let entries: Vec<_> = match self.args.json {
            true => files.list_stats(path)?.into_iter().map(|(entry, stat)| (entry, Some(stat))).collect(),
            false => files.list(path)?.into_iter().map(|entry| (entry, None)).collect(),
        };
        Ok(entries.into_iter())
    }

    fn entry(
        &mut self,
        files: &mut Files,
        path: &str,
        (indent, is_last): (&str, bool),
        entry: &FileEntry,
        stat: Option<Stat>,
    ) -> Result<ControlFlow<()>> {
        match entry.kind {
            Kind::Directory => self.directories += 1,
            Kind::File | Kind::Symlink => self.files += 1,
        }
        let target = match entry.kind {
            Kind::Symlink => files.read_link(path).map_err(|error| self.fail(error)).ok(),
            Kind::File | Kind::Directory => None,
        };
        if let Some(stat) = stat {
            return self.out.line(json_line(&json(path, &stat, target.as_deref())));
        }
        let branch = if is_last { "└── " } else { "├── " };
        let target = target.map(|target| format!(" -> {target}")).unwrap_or_default();
        self.out.line(format_args!("{indent}{branch}{}{target}", entry.name))
    }

    fn fail(&mut self, error: FilesError) {
        complain(&self.args.at.explain(error));
        self.failed = true;
    }
}
