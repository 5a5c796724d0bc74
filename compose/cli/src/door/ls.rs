//! `kvfs ls`.

use super::at::At;
use super::glob::expand;
use super::painted::Painter;
use super::shown::{json, letter, time};
use crate::terminal::{complain, json_line, say, say_bytes};
use anyhow::Result;
use clap::Args;
use kvfs::{Follow, Kind, Stat};
use kvfs_compose::Visible;
use kvfs_host::{Files, FilesError};
use std::cmp::Reverse;
use std::process::ExitCode;

/// Lists directories of a volume, sorted by name.
///
/// On a terminal, names are in columns, and in the colours of LS_COLORS unless NO_COLOR is set.
/// A path may have globs: `*`, `?`, `[a-z]` and `{one,other}`. The volume is opened read-only, and a guest
/// may be running on it. The exit code is 1 if something could not be listed.
#[derive(Args)]
#[command(after_help = "Examples:
  kvfs ls --store file:state -l /in
  kvfs ls --store file:state -lt '/out/*.txt'")]
pub(crate) struct LsArgs {
    #[command(flatten)]
    at: At,
    /// Shows kind, names, bytes and the time of modification (UTC) of each entry.
    #[arg(short, long)]
    long: bool,
    /// Lists the directory itself, not what is in it.
    #[arg(short, long)]
    directory: bool,
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
    let painter = Painter::new();
    let mut failed = false;
    let mut fail = |error: anyhow::Error| {
        complain(&error);
        failed = true;
    };
    let mut paths = Vec::new();
    for path in &args.path {
        match expand(&mut files, path) {
            Ok(found) => paths.extend(found),
            Err(error) => fail(args.at.explain(error)),
        }
    }
    let with_heads = (paths.len() > 1 || args.path.len() > 1) && !args.json;
    // As ls(1): what is no directory comes first, together.
    let (mut single, mut directories) = (Vec::new(), Vec::new());
    for path in paths {
        let follow = if args.long || args.directory { Follow::No } else { Follow::Yes };
        match files.stat(&path, follow) {
            Ok(stat) if stat.kind == Kind::Directory && !args.directory => directories.push((path, stat)),
            Ok(stat) => single.push(Line { name: path.clone(), path, stat }),
            Err(error) => fail(args.at.explain(error)),
        }
    }
    single.sort_by(|one: &Line, other| one.name.cmp(&other.name));
    let mut is_first = single.is_empty();
    match show(args, &mut files, &painter, single) {
        Ok(lines) => write(&lines)?,
        Err(error) => fail(error),
    }
    for (path, stat) in directories {
        let listed = lines(args, &mut files, &path, stat).map_err(|error| args.at.explain(error));
        match listed.and_then(|lines| show(args, &mut files, &painter, lines)) {
            Ok(lines) => {
                if with_heads {
                    let blank = (!is_first).then(String::new);
                    say(blank.into_iter().chain([format!("{path}:")]))?;
                }
                is_first = false;
                write(&lines)?;
            }
            Err(error) => fail(error),
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Returns the entries of a directory.
fn lines(args: &LsArgs, files: &mut Files, path: &str, stat: Stat) -> Result<Vec<Line>, FilesError> {
    let base = path.trim_end_matches('/');
    let line = |name: String, stat| Line { path: format!("{base}/{name}"), name, stat };
    if args.long || args.json || args.by_time || args.by_size {
        let entries = files.list_stats(path)?;
        return Ok(entries.into_iter().map(|(entry, stat)| line(entry.name, stat)).collect());
    }
    // The kind and the inode are all that is known.
    let known = |kind, ino| Stat { kind, ino, ..stat };
    let entries = files.list(path)?;
    Ok(entries.into_iter().map(|entry| line(entry.name, known(entry.kind, entry.ino))).collect())
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

/// Returns lines to be written as they are.
fn show(args: &LsArgs, files: &mut Files, painter: &Painter, mut lines: Vec<Line>) -> Result<Vec<String>> {
    sort(args, &mut lines);
    if !args.long && !args.json {
        let names = lines.iter().map(|line| painter.name(&line.name, line.stat.kind)).collect();
        return Ok(painter.columns(names));
    }
    let mut shown = Vec::with_capacity(lines.len());
    let width = |of: fn(&Stat) -> u64| lines.iter().map(|line| of(&line.stat)).max().unwrap_or_default();
    let widths = [width(|stat| stat.nlink), width(|stat| stat.size)].map(|most| most.to_string().len());
    for Line { name, path, stat } in lines {
        let target = match stat.kind {
            Kind::Symlink => Some(files.read_link(&path).map_err(|error| args.at.explain(error))?),
            _ => None,
        };
        if args.json {
            shown.push(json_line(&json(&path, &stat, target.as_deref())));
            continue;
        }
        let target = target.map(|target| format!(" -> {}", Visible(target))).unwrap_or_default();
        shown.push(format!(
            "{} {:>links$} {:>size$} {} {}{target}",
            letter(stat.kind),
            stat.nlink,
            stat.size,
            time(stat.mtime),
            painter.name(&name, stat.kind),
            links = widths[0],
            size = widths[1],
        ));
    }
    Ok(shown)
}

/// Writes lines that are escaped already.
fn write(lines: &[String]) -> Result<()> {
    say_bytes(lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>().as_bytes())
}
