//! `kvfs man`.

use anyhow::{Context, Result};
use clap::{Args, Command};
use std::path::PathBuf;

/// Writes the manual pages of this command and of each of its commands, such as kvfs-run.1, into a
/// directory.
///
/// `make install` puts them where man looks for them. To read one at once: `man DIR/kvfs-run.1`.
#[derive(Args)]
pub(crate) struct ManArgs {
    /// The directory. It is made if there is none; pages of the same names in it are replaced.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn man(args: &ManArgs, command: Command) -> Result<()> {
    let directory = &args.directory;
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command, directory))
        .with_context(|| {
            format!("{}: cannot write the manual pages; name another directory", directory.display())
        })
}
