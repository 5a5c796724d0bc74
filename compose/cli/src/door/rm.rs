//! `kvfs rm`.

use super::at::At;
use super::each::each;
use super::glob::{Globs, Naming};
use super::place::last_name;
use anyhow::{Result, bail};
use clap::Args;
use kvfs::{Error, Follow, Kind};
use kvfs_host::Files;
use std::process::ExitCode;

/// Removes files and links of a volume, or with -r directories with all that is in them.
///
/// A path may have globs: see `kvfs ls --help`. No link is followed. An interrupt leaves some of what was to be removed; running it again removes the
/// rest. `kvfs volume rm` removes volumes. No guest may be running on the volume. The exit code is 1 if
/// something could not be removed.
#[derive(Args)]
#[command(after_help = "Examples:
  kvfs rm --store file:state /in/a.txt '/logs/*.txt'
  kvfs rm --store file:state -rf /tmp/build /tmp/cache")]
pub(crate) struct RmArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    naming: Naming,
    /// Removes directories with all that is in them.
    #[arg(short, long, visible_short_alias = 'R')]
    recursive: bool,
    /// Takes a path that there is not for one that is removed.
    #[arg(short, long)]
    force: bool,
    /// The files, links and directories.
    #[arg(required_unless_present = "force")]
    path: Vec<String>,
}

pub(crate) fn rm(args: &RmArgs) -> Result<ExitCode> {
    if args.path.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    args.at.change(false, |files| {
        let paths = Globs::new(&args.at, args.naming).all(files, &args.path);
        Ok(each(paths, None, |path| remove(args, files, &path?)))
    })
}

fn remove(args: &RmArgs, files: &mut Files, path: &str) -> Result<()> {
    if last_name(path).is_none() {
        bail!("{path}: the root, `.` and `..` are not removed; name what is in it");
    }
    let removed = match args.recursive {
        true => files.remove_all(path).map(drop),
        false => match files.stat(path, Follow::No) {
            Ok(stat) if stat.kind == Kind::Directory => {
                bail!("{path}: it is a directory; remove it with -r");
            }
            Ok(_) => files.remove_file(path),
            Err(error) => Err(error),
        },
    };
    match removed {
        Err(error)
            if args.force && matches!(error.in_volume(), Some(Error::NoEntry | Error::NotDirectory)) =>
        {
            Ok(())
        }
        removed => removed.map_err(|error| args.at.explain(error)),
    }
}
