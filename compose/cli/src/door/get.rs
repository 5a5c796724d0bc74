//! `kvfs get`.

use super::at::At;
use super::each::each;
use super::glob::{Globs, Naming};
use super::place::last_name;
use super::target::missing_directory;
use super::told::tell_lost;
use crate::terminal::Output;
use anyhow::{Context, Result, bail};
use clap::Args;
use kvfs::{Follow, Kind};
use kvfs_host::Files;
#[cfg(unix)]
use kvfs_host::host_name;
use std::collections::HashSet;
#[cfg(unix)]
use std::ffi::OsStr;
use std::fs::File;
use std::ops::ControlFlow;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Copies a file of a volume to a file of this machine, or with -r a directory with all that is in it.
///
/// The path may have globs: see `kvfs ls --help`. What they match goes into a directory that there is, each
/// under its name; one match may have a new name. Names that `kvfs import` has escaped are what they were.
/// The volume is opened read-only, and a guest may be running on it. The exit code is 1 if something could
/// not be copied.
#[derive(Args)]
#[command(after_help = "Examples:
  kvfs get --store file:state /out/a.csv
  kvfs get --store file:state '/out/*.csv' results")]
pub(crate) struct GetArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    naming: Naming,
    /// Copies a directory, with times, links and holes.
    #[arg(short, long)]
    recursive: bool,
    /// The path in the volume.
    from: String,
    /// The file or directory to write, or `-` for standard output; without it, the name of the file here.
    to: Option<PathBuf>,
}

pub(crate) fn get(args: &GetArgs) -> Result<ExitCode> {
    let GetArgs { at, from, to, .. } = args;
    let mut files = at.look()?;
    if let Some(found) = Globs::new(at, args.naming).matched(&mut files, from)? {
        return get_matched(args, &mut files, &found);
    }
    let name = last_name(from);
    let to = match (to, name) {
        (Some(to), _) => to.clone(),
        (None, Some(name)) => named_here(name),
        (None, None) => bail!("{from}: it has no name to be copied under; name a directory behind it"),
    };
    let is_file = files.stat(from, Follow::Yes).map_err(|error| at.explain(error))?.kind != Kind::Directory;
    match name {
        Some(name) if is_file && to.is_dir() => copy(args, &mut files, from, &to.join(named_here(name))),
        _ => copy(args, &mut files, from, &to),
    }
}

/// Copies what a glob matched, as cp(1) does: each under its name into a directory, or one to a new name.
fn get_matched(args: &GetArgs, files: &mut Files, found: &[String]) -> Result<ExitCode> {
    let into = match &args.to {
        None => Path::new("."),
        Some(to) if to.is_dir() => to,
        Some(to) => match found {
            [one] => return copy(args, files, one, to),
            _ if to == Path::new("-") => {
                bail!("{}: several files match; show them with `kvfs cat`", args.from)
            }
            _ => bail!("{}: it is no directory, and so takes one only; name a directory", to.display()),
        },
    };
    let (mut made, mut lost) = (HashSet::new(), ExitCode::SUCCESS);
    let code = each(found, None, |from| {
        let Some(name) = last_name(from) else {
            bail!("{from}: it has no name to be copied under; name it alone, and a directory behind it");
        };
        let to = into.join(named_here(name));
        if !made.insert(name) {
            bail!(
                "{from}: {} was put there by this command, and is not replaced; get it alone",
                to.display()
            );
        }
        let done = copy(args, files, from, &to)?;
        if done != ExitCode::SUCCESS {
            lost = done;
        }
        Ok(())
    });
    Ok(if code == ExitCode::SUCCESS { lost } else { code })
}

/// Copies a file or a directory to a path of this machine, or to standard output.
fn copy(args: &GetArgs, files: &mut Files, from: &str, to: &Path) -> Result<ExitCode> {
    let GetArgs { at, recursive, .. } = args;
    let stat = files.stat(from, Follow::Yes).map_err(|error| at.explain(error))?;
    if stat.kind == Kind::Directory {
        if !recursive {
            bail!("{from}: it is a directory; copy it with -r");
        }
        let got = files.export_tree(from, to, &mut |_| ControlFlow::Continue(()));
        return Ok(tell_lost(&got.map_err(|error| at.explain(error))?));
    }
    if to == Path::new("-") {
        files.copy_out(from, &mut Output).map_err(|error| at.explain(error))?;
        return Ok(ExitCode::SUCCESS);
    }
    if to.as_os_str().as_encoded_bytes().ends_with(b"/") && !to.exists() {
        bail!(missing_directory(to.display()));
    }
    let out = File::create(to);
    let mut out = out.with_context(|| format!("cannot write {}; name another path", to.display()))?;
    files.copy_out(from, &mut out).map_err(|error| at.explain(error))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the name on this machine of a name in a volume.
fn named_here(name: &str) -> PathBuf {
    #[cfg(unix)]
    return PathBuf::from(OsStr::from_bytes(&host_name(name)));
    #[cfg(not(unix))]
    PathBuf::from(name)
}
