//! `kvfs get`.

use super::at::At;
use super::target::missing_directory;
use super::told::tell_lost;
use crate::terminal::Output;
use anyhow::{Context, Result, bail};
use clap::Args;
use kvfs::Kind;
#[cfg(unix)]
use kvfs_host::host_name;
#[cfg(unix)]
use std::ffi::OsStr;
use std::fs::File;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Copies a file of a volume to a file of this machine, or with -r a directory with all that is in it.
///
/// Names that `kvfs import` has escaped are what they were. The volume is opened read-only, and a guest may
/// be running on it.
#[derive(Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    at: At,
    /// Copies a directory, with times, links and holes.
    #[arg(short, long)]
    recursive: bool,
    /// The path in the volume.
    from: String,
    /// The file or directory to write, or `-` for standard output; without it, the name of the file here.
    to: Option<PathBuf>,
}

pub(crate) fn get(args: &GetArgs) -> Result<ExitCode> {
    let GetArgs { at, recursive, from, to } = args;
    let mut files = at.look()?;
    let stat = files.stat(from, kvfs::Follow::Yes).map_err(|error| at.explain(error))?;
    let name = from.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let to = match to {
        Some(to) => to.clone(),
        None if name.is_empty() => {
            bail!("{from}: it has no name to be copied under; name a directory behind it")
        }
        None => named_here(name),
    };
    if stat.kind == Kind::Directory {
        if !recursive {
            bail!("{from}: it is a directory; copy it with -r");
        }
        let got = files.export_tree(from, &to, &mut |_| std::ops::ControlFlow::Continue(()));
        return Ok(tell_lost(&got.map_err(|error| at.explain(error))?));
    }
    if to == Path::new("-") {
        files.copy_out(from, &mut Output).map_err(|error| at.explain(error))?;
        return Ok(ExitCode::SUCCESS);
    }
    let to = if to.is_dir() { to.join(named_here(name)) } else { to };
    if to.as_os_str().as_encoded_bytes().ends_with(b"/") && !to.exists() {
        bail!(missing_directory(to.display()));
    }
    let out = File::create(&to);
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
