//! `kvfs put`.

use super::at::At;
use super::target::missing_directory;
use super::told::tell_lost;
use anyhow::{Context, Result, bail};
use clap::Args;
use kvfs::{Follow, Kind};
use kvfs_host::volume_name;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Copies a file of this machine into a volume, or with -r a directory with all that is in it.
///
/// The new file takes the place of an old one at once, when all of it is there. What a volume cannot hold of
/// a directory is told, and names are escaped, as by `kvfs import`. No guest may be running on the volume.
#[derive(Args)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    at: At,
    /// Copies a directory, with times, links and holes.
    #[arg(short, long)]
    recursive: bool,
    /// The file or directory to copy, or `-` for standard input.
    from: PathBuf,
    /// The path in the volume: the new name, or a directory to put it into.
    to: String,
}

/// Ends the name of a file that is not whole yet.
const PART: &str = ".kvfs-part";

pub(crate) fn put(args: &PutArgs) -> Result<ExitCode> {
    let PutArgs { at, recursive, from, to } = args;
    let unreadable = || format!("cannot read {}; check the path", from.display());
    if from != Path::new("-") && std::fs::metadata(from).with_context(unreadable)?.is_dir() {
        if !recursive {
            bail!("{}: it is a directory; copy it with -r", from.display());
        }
        let report = at.change(false, |files| {
            let put = files.import_tree(from, to, &mut |_| std::ops::ControlFlow::Continue(()));
            put.map_err(|error| at.explain(error))
        })?;
        return Ok(tell_lost(&report));
    }
    let mut input: Box<dyn Read> = match from == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(from).with_context(unreadable)?),
    };
    at.change(false, |files| {
        let into = files.find(to, Follow::Yes).map_err(|error| at.explain(error))?;
        if into.is_none() && to.ends_with('/') {
            bail!(missing_directory(to));
        }
        let mut to = to.clone();
        if into.is_some_and(|stat| stat.kind == Kind::Directory) {
            let name = from.file_name().map(|name| volume_name(name.as_encoded_bytes()).into_owned());
            let Some(name) = name.filter(|name| name != "-") else {
                bail!("{to}: it is a directory; name a file in it");
            };
            to = format!("{}/{name}", to.trim_end_matches('/'));
        }
        let part = format!("{to}{PART}");
        let put = files.copy_in(&part, &mut *input).and_then(|_| files.rename(&part, &to));
        put.map_err(|error| {
            // It may never have been made.
            let _ = files.remove_file(&part);
            at.explain(error)
        })
    })?;
    Ok(ExitCode::SUCCESS)
}
