//! `kvfs export`.

use super::at::At;
use super::told::{progress, tell, total_bytes};
use crate::busy::Busy;
use crate::terminal::Output;
use anyhow::{Context, Result};
use clap::Args;
use kvfs_host::Compression;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Takes the files of a volume out, to a directory or a tar, with times, links and holes.
///
/// The name tells: `.tar`, `.tar.gz` or `.tgz`, `.tar.zst`; any other is a directory, which is made.
/// Nothing outside the directory is touched, whatever links are in it. Files with the same size and time
/// are left as they are, so that running it again goes on where it was cut. Names that `kvfs import` has
/// escaped are what they were; where a file system takes only UTF-8 they stay escaped, and are told. The
/// volume is opened read-only, and a guest may be running on it; a snapshot is of one moment.
#[derive(Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    at: At,
    /// A directory, a tar, or `-` for a tar to standard output.
    to: PathBuf,
    /// The directory or file of the volume that is taken out.
    #[arg(long, value_name = "PATH", default_value = "/")]
    from: String,
    /// Writes a JSON object of what was done.
    #[arg(long)]
    json: bool,
}

pub(crate) fn export(args: &ExportArgs) -> Result<ExitCode> {
    let ExportArgs { at, to, from, json } = args;
    let mut files = at.look()?;
    let busy = Busy::new("exporting");
    let total = total_bytes(&busy, &mut files, from);
    let mut progress = progress(&busy, "exporting", total);
    let name = to.to_string_lossy();
    let ends = |end: &str| name.ends_with(end);
    let compression = if to == Path::new("-") || ends(".tar") {
        Some(Compression::None)
    } else if ends(".tar.gz") || ends(".tgz") {
        Some(Compression::Gzip)
    } else if ends(".tar.zst") || ends(".tzst") {
        Some(Compression::Zstd)
    } else {
        None
    };
    let done = match compression {
        None => files.export_tree(from, to, &mut progress),
        Some(compression) if to == Path::new("-") => {
            files.export_tar(from, &mut Output, compression, &mut progress)
        }
        Some(compression) => {
            let out = File::create(to);
            let mut out = out.with_context(|| format!("cannot write {}; name another path", to.display()))?;
            files.export_tar(from, &mut out, compression, &mut progress)
        }
    };
    let report = done.map_err(|error| at.explain(error))?;
    drop(progress);
    drop(busy);
    if to == Path::new("-") {
        return Ok(ExitCode::SUCCESS);
    }
    tell("exported", &report, *json)
}
