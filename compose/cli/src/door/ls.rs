//! `kvfs ls`.

use super::at::At;
use super::glob::{Globs, Naming};
use super::painted::Painter;
use super::shown::{json, letter, time};
use crate::lines::Lines;
use crate::terminal::{complain, json_line};
use anyhow::Result;
use clap::Args;
use indicatif::HumanBytes;
use kvfs::{Follow, InodeNo, Kind, Stat};
use kvfs_compose::Visible;
use kvfs_host::{Files, FilesError};
use std::cmp::Reverse;
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Lists directories of a volume, sorted by name.
///
/// All names are shown, also those that begin with a dot. On a terminal they are in columns, and in the
/// colours of LS_COLORS unless NO_COLOR is set. The volume is opened read-only, and a guest may be running
/// on it. The exit code is 1 if something could not be listed.
///
/// A path of a volume may have globs, here and for `cat`, `cp`, `du`, `find`, `get`, `mv`, `rm`, `stat` and
/// `tree`: `*`, `?`, `[a-z]` and `{one,other}` in a name, and a backslash before a character that means
/// itself. As in a shell, a name that begins with a dot is matched by a dot only, and a path that matches
/// nothing means itself. Unlike there, an entry of this very name goes before all that match: `a[1]` is the
/// file `a[1]` if there is one, and else `a1`. Quote globs, or the shell looks for files of this machine. A
/// program that names files gives --literal, so that a name that has gone matches no other.
#[derive(Args)]
#[command(
    after_help = "Examples:
  kvfs ls --store file:state -l /in
  kvfs ls --store file:state -R -h -l /out
  kvfs ls --store file:state -lt '/out/*.txt'",
    disable_help_flag = true
)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    naming: Naming,
    /// Shows also `.` and `..`, the directory itself and the one above it.
    #[arg(short, long)]
    all: bool,
    /// Shows names that begin with a dot, as without it.
    #[arg(short = 'A', long = "almost-all")]
    _almost_all: bool,
    /// Shows kind, names, bytes and the time of modification (UTC) of each entry.
    #[arg(short, long)]
    long: bool,
    /// Shows one name a line, also on a terminal.
    #[arg(short = '1')]
    one_a_line: bool,
    /// Shows sizes for people, such as 1.50 MiB.
    #[arg(short, long)]
    human_readable: bool,
    /// Lists the directory itself, not what is in it.
    #[arg(short, long)]
    directory: bool,
    /// Lists all directories that are in it too. No link is followed there.
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Sorts by the time of modification, the newest first.
    #[arg(short = 't', long, conflicts_with = "by_size")]
    by_time: bool,
    /// Sorts by size, the largest first.
    #[arg(short = 'S', long)]
    by_size: bool,
    /// Reverses the order.
    #[arg(short, long)]
    reverse: bool,
    /// Writes a JSON object for each entry, one a line.
    #[arg(long)]
    json: bool,
    /// Prints help.
    #[arg(long = "help", action = clap::ArgAction::Help)]
    _help: Option<bool>,
    /// The directories and files.
    #[arg(default_value = "/")]
    path: Vec<String>,
}

/// An entry with the path under which its target is read.
struct Line {
    name: String,
    path: String,
    stat: Stat,
}

pub(crate) fn ls(args: &LsArgs) -> Result<ExitCode> {
    let mut files = args.at.look()?;
    let painter = Painter::new(args.one_a_line);
    let mut ls = Ls { args, painter, out: Lines::default(), failed: false };
    if ls.all(&mut files)? == ControlFlow::Continue(()) {
        let _ = ls.out.flush()?;
    }
    Ok(if ls.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Ls<'a> {
    args: &'a LsArgs,
    painter: Painter,
    out: Lines,
    failed: bool,
}

impl Ls<'_> {
    fn all(&mut self, files: &mut Files) -> Result<ControlFlow<()>> {
        let args = self.args;
        let paths = Globs::new(&args.at, args.naming).all(files, &args.path);
        let with_heads = (paths.len() > 1 || args.path.len() > 1 || args.recursive) && !args.json;
        // As ls(1): what is no directory comes first, together.
        let (mut single, mut directories) = (Vec::new(), Vec::new());
        for path in paths {
            let follow = if args.long || args.directory { Follow::No } else { Follow::Yes };
            let stat = path.and_then(|path| match files.stat(&path, follow) {
                Ok(stat) => Ok((path, stat)),
                Err(error) => Err(args.at.explain(error)),
            });
            match stat {
                Ok((path, stat)) if stat.kind == Kind::Directory && !args.directory => {
                    directories.push((path, stat));
                }
                Ok((path, stat)) => single.push(Line { name: path.clone(), path, stat }),
                Err(error) => self.fail(&error),
            }
        }
        single.sort_by(|one: &Line, other| one.name.cmp(&other.name));
        sort(args, &mut single);
        let mut is_first = single.is_empty();
        let mut shown = self.show(files, single)?;
        directories.reverse();
        while let Some((path, stat)) = directories.pop() {
            if shown == ControlFlow::Break(()) {
                break;
            }
            let mut lines = match lines(args, files, &path, stat) {
                Ok(lines) => lines,
                Err(error) => {
                    self.fail(&args.at.explain(error));
                    continue;
                }
            };
            sort(args, &mut lines);
            if args.recursive {
                let is_below = |line: &&Line| line.stat.kind == Kind::Directory && !is_dots(&line.name);
                let below = lines.iter().rev().filter(is_below);
                directories.extend(below.map(|line| (line.path.clone(), line.stat)));
            }
            if with_heads {
                if !is_first {
                    let _ = self.out.line("")?;
                }
                let _ = self.out.line(format_args!("{path}:"))?;
            }
            is_first = false;
            shown = self.show(files, lines)?;
        }
        Ok(shown)
    }

    fn show(&mut self, files: &mut Files, lines: Vec<Line>) -> Result<ControlFlow<()>> {
        let args = self.args;
        if !args.long && !args.json {
            let name = |line: &Line| self.painter.name(&line.name, line.stat.kind);
            let names = lines.iter().map(name).collect();
            for line in self.painter.columns(names) {
                if self.out.shown(&line)? == ControlFlow::Break(()) {
                    return Ok(ControlFlow::Break(()));
                }
            }
            return Ok(ControlFlow::Continue(()));
        }
        let size = |stat: &Stat| match args.human_readable {
            true => HumanBytes(stat.size).to_string(),
            false => stat.size.to_string(),
        };
        let width = |of: &dyn Fn(&Stat) -> String| lines.iter().map(|line| of(&line.stat).len()).max();
        let links_width = width(&|stat| stat.nlink.to_string()).unwrap_or_default();
        let size_width = width(&size).unwrap_or_default();
        for Line { name, path, stat } in lines {
            let target = match stat.kind {
                Kind::Symlink => match files.read_link(&path) {
                    Ok(target) => Some(target),
                    Err(error) => {
                        self.fail(&args.at.explain(error));
                        None
                    }
                },
                _ => None,
            };
            let shown = if args.json {
                self.out.line(json_line(&json(&path, &stat, target.as_deref())))?
            } else {
                let target = target.map(|target| format!(" -> {}", Visible(target))).unwrap_or_default();
                self.out.shown(&format!(
                    "{} {:>links_width$} {:>size_width$} {} {}{target}",
                    letter(stat.kind),
                    stat.nlink,
                    size(&stat),
                    time(stat.mtime),
                    self.painter.name(&name, stat.kind),
                ))?
            };
            if shown == ControlFlow::Break(()) {
                return Ok(shown);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn fail(&mut self, error: &anyhow::Error) {
        complain(error);
        self.failed = true;
    }
}

/// Returns the entries of a directory.
fn lines(args: &LsArgs, files: &mut Files, path: &str, stat: Stat) -> Result<Vec<Line>, FilesError> {
    let base = path.trim_end_matches('/');
    let line = |name: String, stat| Line { path: format!("{base}/{name}"), name, stat };
    let with_stats = args.long || args.json || args.by_time || args.by_size;
    let mut lines = Vec::new();
    if args.all {
        // Above the root there is nothing: it stands there itself.
        let above = match stat.ino == InodeNo::ROOT || !with_stats {
            true => stat,
            false => files.stat(&format!("{base}/.."), Follow::Yes)?,
        };
        lines.extend([line(".".to_owned(), stat), line("..".to_owned(), above)]);
    }
    if with_stats {
        let entries = files.list_stats(path)?;
        lines.extend(entries.into_iter().map(|(entry, stat)| line(entry.name, stat)));
    } else {
        // The kind and the inode are all that is known.
        let known = |kind, ino| Stat { kind, ino, ..stat };
        let entries = files.list(path)?;
        lines.extend(entries.into_iter().map(|entry| line(entry.name, known(entry.kind, entry.ino))));
    }
    Ok(lines)
}

fn is_dots(name: &str) -> bool {
    matches!(name, "." | "..")
}

/// Sorts entries that are sorted by name.
fn sort(args: &LsArgs, lines: &mut [Line]) {
    if args.by_time {
        lines.sort_by_key(|line| Reverse(line.stat.mtime));
    } else if args.by_size {
        lines.sort_by_key(|line| Reverse(line.stat.size));
    }
    if args.reverse {
        lines.reverse();
    }
}
