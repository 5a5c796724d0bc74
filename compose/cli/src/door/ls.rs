//! `kvfs ls`.

use super::at::At;
use super::shown::{json, letter, time};
use crate::terminal::{complain, json_line, say};
use anyhow::Result;
use clap::Args;
use kvfs::{Follow, Kind, Stat};
use kvfs_host::{Files, FilesError};
use std::process::ExitCode;

/// Lists directories of a volume, sorted by name.
///
/// The volume is opened read-only, and a guest may be running on it. The exit code is 1 if something could
/// not be listed.
#[derive(Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    at: At,
    /// Shows kind, names, bytes and the time of modification (UTC) of each entry.
    #[arg(short, long)]
    long: bool,
    /// Lists the directory itself, not what is in it.
    #[arg(short, long)]
    directory: bool,
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
    let mut code = ExitCode::SUCCESS;
    for (place, path) in args.path.iter().enumerate() {
        let listed = lines(args, &mut files, path).map_err(|error| args.at.explain(error));
        match listed.and_then(|lines| show(args, &mut files, lines)) {
            Ok(lines) => {
                let with_heads = args.path.len() > 1 && !args.json;
                let head = with_heads.then(|| format!("{}{path}:", if place > 0 { "\n" } else { "" }));
                say(head.into_iter().flat_map(|head| head.lines().map(str::to_owned).collect::<Vec<_>>()))?;
                say(lines)?;
            }
            Err(error) => {
                complain(&error);
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn lines(args: &LsArgs, files: &mut Files, path: &str) -> Result<Vec<Line>, FilesError> {
    let needs_stats = args.long || args.json;
    let follow = if args.long || args.directory { Follow::No } else { Follow::Yes };
    let stat = files.stat(path, follow)?;
    if args.directory || stat.kind != Kind::Directory {
        return Ok(vec![Line { name: path.to_owned(), path: path.to_owned(), stat }]);
    }
    let base = path.trim_end_matches('/');
    let line = |name: String, stat| Line { path: format!("{base}/{name}"), name, stat };
    if needs_stats {
        let entries = files.list_stats(path)?;
        return Ok(entries.into_iter().map(|(entry, stat)| line(entry.name, stat)).collect());
    }
    // The kind and the inode are all that is known.
    let known = |kind, ino| Stat { kind, ino, ..stat };
    let entries = files.list(path)?;
    Ok(entries.into_iter().map(|entry| line(entry.name, known(entry.kind, entry.ino))).collect())
}

fn show(args: &LsArgs, files: &mut Files, lines: Vec<Line>) -> Result<Vec<String>> {
    let mut shown = Vec::with_capacity(lines.len());
    let width = |of: fn(&Stat) -> u64| lines.iter().map(|line| of(&line.stat)).max().unwrap_or_default();
    let widths = [width(|stat| stat.nlink), width(|stat| stat.size)].map(|most| most.to_string().len());
    for Line { name, path, stat } in lines {
        let target = match stat.kind {
            Kind::Symlink if args.long || args.json => {
                Some(files.read_link(&path).map_err(|error| args.at.explain(error))?)
            }
            _ => None,
        };
        shown.push(if args.json {
            json_line(&json(&path, &stat, target.as_deref()))
        } else if args.long {
            let target = target.map(|target| format!(" -> {target}")).unwrap_or_default();
            format!(
                "{} {:>links$} {:>size$} {} {name}{target}",
                letter(stat.kind),
                stat.nlink,
                stat.size,
                time(stat.mtime),
                links = widths[0],
                size = widths[1],
            )
        } else {
            name
        });
    }
    Ok(shown)
}
