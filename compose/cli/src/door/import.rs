//! `kvfs import`.

use super::at::At;
use super::counted::Counted;
use super::told::{progress, progress_of, tell, total_host_bytes};
use crate::busy::Busy;
use anyhow::{Context, Result};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

/// Brings a directory or a tar into a volume, with times, links and holes.
///
/// A volume that there is not is made. Entries that are there already are replaced, directories merged;
/// files with the same size and time are left as they are, so that running it again goes on where it was
/// cut. What a volume cannot hold is named and counted: devices, pipes, sockets and names that are too long
/// are left out, and then the exit code is 3; owners, modes and extended attributes are not kept. No guest
/// may be running on the volume. A tar of nothing, which is only zeros, is imported as nothing; a file of 0
/// bytes is an error, since what should have made the tar has failed.
///
/// Names in a volume are UTF-8. Of another name, each byte that is not is held as `‛` and two digits, such
/// as `caf‛E9`, and the name is told; `kvfs export` and `kvfs get` give the byte back. In a name that looks
/// so already each `‛` is doubled, so that it comes back too.
#[derive(Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    at: At,
    /// A directory; a tar, plain or compressed with gzip or zstd; or `-` for a tar from standard input.
    from: PathBuf,
    /// The directory of the volume that it goes to.
    #[arg(long, value_name = "PATH", default_value = "/")]
    to: String,
    /// Writes a JSON object of what was done.
    #[arg(long)]
    json: bool,
}

pub(crate) fn import(args: &ImportArgs) -> Result<ExitCode> {
    let ImportArgs { at, from, to, json } = args;
    let is_input = from == Path::new("-");
    let found = match is_input {
        true => None,
        false => Some(
            std::fs::metadata(from)
                .with_context(|| format!("cannot read {}; check the path", from.display()))?,
        ),
    };
    let is_directory = found.as_ref().is_some_and(std::fs::Metadata::is_dir);
    // A pipe that is named has no length either.
    let archive_bytes = found.filter(std::fs::Metadata::is_file).map(|found| found.len());
    let busy = Busy::new("importing");
    let report = at.change(true, |files| {
        let total = if is_directory { total_host_bytes(&busy, from) } else { None };
        let mut progress = progress(&busy, "importing", total);
        let done = if is_directory {
            files.import_tree(from, to, &mut progress)
        } else if is_input {
            files.import_tar(std::io::stdin(), to, &mut progress)
        } else {
            let file = std::fs::File::open(from);
            let file = file.with_context(|| format!("cannot read {}; check the path", from.display()))?;
            let file = Counted::new(file);
            let read_bytes = Rc::clone(&file.read_bytes);
            let mut progress = progress_of(&busy, "importing", archive_bytes, move |_| read_bytes.get());
            files.import_tar(file, to, &mut progress)
        };
        done.map_err(|error| at.explain(error).context(from.display().to_string()))
    })?;
    drop(busy);
    tell("imported", &report, *json)
}
