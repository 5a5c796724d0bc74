//! `kvfs cat`.

use super::at::At;
use crate::terminal::{Output, complain};
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Writes files of a volume to standard output, byte for byte.
///
/// The volume is opened read-only, and a guest may be running on it. The exit code is 1 if a file could
/// not be read.
#[derive(Args)]
pub(crate) struct CatArgs {
    #[command(flatten)]
    at: At,
    /// The files.
    #[arg(required = true)]
    path: Vec<String>,
}

pub(crate) fn cat(args: &CatArgs) -> Result<ExitCode> {
    let mut files = args.at.look()?;
    let mut code = ExitCode::SUCCESS;
    for path in &args.path {
        match files.copy_out(path, &mut Output) {
            Ok(_) => {}
            Err(kvfs_host::FilesError::Host { source, .. })
                if source.kind() == std::io::ErrorKind::BrokenPipe =>
            {
                return Ok(code);
            }
            Err(error) => {
                complain(&args.at.explain(error));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
