//! `kvfs mkdir`.

use super::at::At;
use super::each::each;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Makes directories in a volume.
///
/// No guest may be running on the volume. The exit code is 1 if a directory could not be made.
#[derive(Args)]
#[command(after_help = "Examples:
  kvfs mkdir --store file:state /in
  kvfs mkdir --store file:state --volume prepared -p /in/2026/11")]
pub(crate) struct MkdirArgs {
    #[command(flatten)]
    at: At,
    /// Also makes the directories on the way. One that is there already is no error.
    #[arg(short, long)]
    parents: bool,
    /// The directories.
    #[arg(required = true)]
    path: Vec<String>,
}

pub(crate) fn mkdir(args: &MkdirArgs) -> Result<ExitCode> {
    let MkdirArgs { at, parents, path: paths } = args;
    at.change(false, |files| {
        Ok(each(paths, None, |path| {
            let made = if *parents { files.make_directories(path) } else { files.make_directory(path) };
            made.map_err(|error| at.explain(error))
        }))
    })
}
