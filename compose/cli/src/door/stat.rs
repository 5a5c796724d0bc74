//! `kvfs stat`.

use super::at::At;
use super::each::each;
use super::glob::{Globs, Naming};
use super::shown::{exact_time, json, kind};
use crate::terminal::{json_line, say};
use anyhow::Result;
use clap::Args;
use kvfs::{Follow, Kind};
use kvfs_host::Files;
use std::process::ExitCode;

/// Shows what a volume knows of files: kind, bytes, names, inode and times (UTC).
///
/// A link itself is shown, unless -L is given. A path may have globs: see `kvfs ls --help`. The volume is opened read-only, and a guest may be running
/// on it. The exit code is 1 if something could not be shown.
#[derive(Args)]
#[command(after_help = "Examples:
  kvfs stat --store file:state /in/a.txt
  kvfs stat --store file:state --json /in | jq .modified")]
pub(crate) struct StatArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    naming: Naming,
    /// Shows what a link leads to.
    #[arg(short = 'L', long)]
    dereference: bool,
    /// Writes a JSON object for each path, one a line. Times are seconds, and nanoseconds beside them.
    #[arg(long)]
    json: bool,
    /// The files, links and directories.
    #[arg(required = true)]
    path: Vec<String>,
}

pub(crate) fn stat(args: &StatArgs) -> Result<ExitCode> {
    let mut files = args.at.look()?;
    let paths = Globs::new(&args.at, args.naming).all(&mut files, &args.path);
    Ok(each(paths, None, |path| show(args, &mut files, &path?)))
}

fn show(args: &StatArgs, files: &mut Files, path: &str) -> Result<()> {
    let explain = |error| args.at.explain(error);
    let follow = if args.dereference { Follow::Yes } else { Follow::No };
    let stat = files.stat(path, follow).map_err(explain)?;
    let target = match stat.kind {
        Kind::Symlink => Some(files.read_link(path).map_err(explain)?),
        _ => None,
    };
    let data_bytes = match stat.kind {
        Kind::File => {
            let ranges = files.data_ranges(path).map_err(explain)?;
            Some(ranges.iter().map(|range| range.end - range.start).sum::<u64>())
        }
        _ => None,
    };
    if args.json {
        let mut value = json(path, &stat, target.as_deref());
        value["generation"] = stat.generation.into();
        value["data"] = data_bytes.into();
        return say([json_line(&value)]);
    }
    let mut lines = vec![format!("path: {path}"), format!("kind: {}", kind(stat.kind))];
    lines.extend(target.map(|target| format!("target: {target}")));
    lines.push(match (stat.kind, data_bytes) {
        (Kind::Directory, _) => format!("entries: {}", stat.size),
        (_, Some(data)) if data < stat.size => format!("bytes: {}, without holes {data}", stat.size),
        _ => format!("bytes: {}", stat.size),
    });
    lines.extend([
        format!("links: {}", stat.nlink),
        format!("inode: {}", stat.ino.0),
        format!("changes: {}", stat.generation),
        format!("accessed: {}", exact_time(stat.atime)),
        format!("modified: {}", exact_time(stat.mtime)),
        format!("changed: {}", exact_time(stat.ctime)),
    ]);
    say(lines)
}
