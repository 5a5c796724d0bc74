//! `kvfs mv`.

use super::at::{At, Open, Sources};
use super::each::each;
use super::glob::{Globs, Naming};
use super::place::{Place, is_same_entry, last_name};
use super::target::Target;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use kvfs::{Error, Follow, Kind};
use kvfs_host::{Files, FilesError};
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Renames files and directories of a volume, or moves them to another directory or volume of a store.
///
/// Inside of a volume each is moved at once, and takes the place of an old file or link, or of an empty
/// directory. To another volume it is copied, with times, links and holes, and removed when the copy is
/// durable. A path is of the volume of --volume; VOLUME:/PATH is of another one. No guest may be running on
/// the volumes. All paths but the last may have globs: see `kvfs ls --help`. The exit code is 1 if something
/// could not be moved.
#[derive(Args)]
#[command(after_help = "Examples:
  kvfs mv --store file:state /in/a.txt /in/b.txt
  kvfs mv --store file:state '/out/*.csv' /done
  kvfs mv --store file:state tried:/out main:/")]
pub(crate) struct MvArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    naming: Naming,
    /// The files and directories.
    #[arg(required = true)]
    from: Vec<Place>,
    /// The new name, or a directory to move into.
    to: Place,
}

pub(crate) fn mv(args: &MvArgs) -> Result<ExitCode> {
    let MvArgs { at, naming, from, to } = args;
    let sources = from.iter().map(|place| place.volume(at)).collect();
    at.change_with(to.volume(at), &sources, Sources::Change, |open| {
        let from = Globs::new(at, *naming).places(open, from);
        let mut target = Target::find(at, &mut open.target, &to.path, from.len())?;
        Ok(each(from, None, |place| move_one(at, &place?, open, &mut target)))
    })
}

fn move_one(at: &At, place: &Place, open: &mut Open, target: &mut Target<'_>) -> Result<()> {
    let from = place.path.as_str();
    if last_name(from).is_none() {
        bail!("{place}: the root, `.` and `..` are not moved; name what is in it");
    }
    let (source, other) = open.source(place.volume(at));
    let entry = source.stat(from.trim_end_matches('/'), Follow::No).map_err(|error| at.explain(error))?;
    if from.ends_with('/') && entry.kind != Kind::Directory {
        bail!("{place}: it is no directory; leave out the slash at its end");
    }
    let to = target.of(place, entry.kind)?;
    match other {
        Some(target) => move_over(source, from, target, &to).map_err(|error| at.explain(error)),
        None => rename(at, place, source, &to),
    }
}

fn rename(at: &At, place: &Place, files: &mut Files, to: &str) -> Result<()> {
    let from = place.path.as_str();
    let explain = |error| at.explain(error);
    let moved = files.stat(from, Follow::No).map_err(explain)?;
    if files.find(to, Follow::No).map_err(explain)?.is_some_and(|there| there.ino == moved.ino) {
        if moved.kind == Kind::Directory || is_same_entry(files, from, to).map_err(explain)? {
            bail!("{place}: {to} is the same; name another path");
        }
        // Two names of one file: a rename would leave both.
        return files.remove_file(from).map_err(explain);
    }
    files.rename(from, to).map_err(|error| match error.in_volume() {
        Some(Error::Invalid) if moved.kind == Kind::Directory => {
            anyhow!("{place}: a directory cannot be moved into itself, to {to}; name another path")
        }
        _ => explain(error),
    })
}

/// Moves an entry to another volume. It is there durably before it is removed here.
fn move_over(source: &mut Files, from: &str, target: &mut Files, to: &str) -> Result<(), FilesError> {
    let moved = source.stat(from, Follow::No)?;
    let there = target.find(to, Follow::No)?;
    if there
        .is_some_and(|there| there.kind == Kind::Directory && moved.kind == Kind::Directory && there.size > 0)
    {
        return Err(FilesError::Volume {
            doing: "replace",
            volume: target.name().to_owned(),
            path: to.to_owned(),
            source: Error::NotEmpty,
        });
    }
    let copied = source.copy_to(from, target, to, &mut |_| ControlFlow::Continue(()));
    if let Err(error) = copied.and_then(|_| target.sync()) {
        // A part of it is of no use: all of it is still here.
        if there.is_none() {
            let _ = target.remove_all(to);
        }
        return Err(error);
    }
    source.remove_all(from).map(drop)
}
