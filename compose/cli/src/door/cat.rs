//! `kvfs cat`.

use super::at::At;
use super::each::each;
use super::glob::{Globs, Naming};
use crate::terminal::Output;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Writes files of a volume to standard output, byte for byte.
///
/// A path may have globs: see `kvfs ls --help`. The volume is opened read-only, and a guest may be running
/// on it. The exit code is 1 if a file could not be read.
#[derive(Args)]
pub(crate) struct CatArgs {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    naming: Naming,
    /// The files.
    #[arg(required = true)]
    path: Vec<String>,
}

pub(crate) fn cat(args: &CatArgs) -> Result<ExitCode> {
    let mut files = args.at.look()?;
    let paths = Globs::new(&args.at, args.naming).all(&mut files, &args.path);
    Ok(each(paths, None, |path| {
        files.copy_out(&path?, &mut Output).map(drop).map_err(|error| args.at.explain(error))
    }))
}
