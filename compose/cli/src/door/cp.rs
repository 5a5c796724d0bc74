//! `kvfs cp`.

use super::at::{At, Open, Sources};
use super::each::each;
use super::glob::{Globs, Naming};
use super::place::Place;
use super::target::Target;
use super::told::{progress, total_bytes};
use crate::busy::Busy;
use anyhow::{Result, bail};
use clap::Args;
use kvfs::{Follow, Kind};
use kvfs_host::Report;
use std::ops::ControlFlow;
use std::process::ExitCode;

/// Copies files inside of a volume, or between volumes of a store, or with -r directories with all that is
/// in them.
///
/// Times, links, names of one file and holes are kept. A new file or link takes the place of an old one at
/// once, when all of it is there; directories are merged. Without -r a link is followed, with -r
/// it is copied. A path is of the volume of --volume; VOLUME:/PATH is of another one. Volumes that are only
/// read may have a guest running on them, the one that is written to may not. All paths but the last may
/// have globs: see `kvfs ls --help`. The exit code is 1 if something could not be copied.
#[derive(Args)]
#[command(after_help = "Examples:
  kvfs cp --store file:state /in/a.txt '/in/*.py' /out
  kvfs cp --store file:state -r /src/. /backup
  kvfs cp --store file:state -r prepared:/lib main:/lib")]
pub(crate) struct CpArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    naming: Naming,
    /// Copies directories.
    #[arg(short, long, visible_short_alias = 'R', short_alias = 'a')]
    recursive: bool,
    /// The files and directories.
    #[arg(required = true)]
    from: Vec<Place>,
    /// The new name, or a directory to copy into.
    to: Place,
}

pub(crate) fn cp(args: &CpArgs) -> Result<ExitCode> {
    let CpArgs { at, naming, recursive, from, to } = args;
    let busy = recursive.then(|| Busy::new("copying"));
    let sources = from.iter().map(|place| place.volume(at)).collect();
    at.change_with(to.volume(at), &sources, Sources::Read, |open| {
        let from = Globs::new(at, *naming).places(open, from);
        let mut target = Target::find(at, &mut open.target, &to.path, from.len())?;
        let busy = busy.as_ref();
        Ok(each(from, busy, |place| copy(args, &place?, open, &mut target, busy)))
    })
}

fn copy(
    args: &CpArgs,
    place: &Place,
    open: &mut Open,
    target: &mut Target<'_>,
    busy: Option<&Busy>,
) -> Result<()> {
    let CpArgs { at, recursive, .. } = args;
    let from = place.path.as_str();
    let (source, other) = open.source(place.volume(at));
    let follow = if *recursive { Follow::No } else { Follow::Yes };
    let stat = source.stat(from, follow).map_err(|error| at.explain(error))?;
    let is_directory = stat.kind == Kind::Directory;
    if is_directory && !*recursive {
        bail!("{place}: it is a directory; copy it with -r");
    }
    let to = target.of(place, stat.kind)?;
    if other.is_none() && !is_directory {
        for follow in [Follow::No, Follow::Yes] {
            let there = source.find(&to, follow).map_err(|error| at.explain(error))?;
            if there.is_some_and(|there| there.ino == stat.ino) {
                bail!("{place}: {to} is the same file; name another path");
            }
        }
    }
    let total = busy.and_then(|busy| total_bytes(busy, source, from));
    let mut told = |report: &Report| match busy {
        Some(busy) => progress(busy, "copying", total)(report),
        None => ControlFlow::Continue(()),
    };
    let copied = match (*recursive, other) {
        (true, None) => source.copy(from, &to, &mut told),
        (true, Some(other)) => source.copy_to(from, other, &to, &mut told),
        (false, other) => source.copy_file(from, other, &to, &mut told),
    };
    copied.map(drop).map_err(|error| at.explain(error))
}
