//! `kvfs fsck`: checks a volume of a store.

use super::engine_store::EngineStore;
use super::say;
use crate::FsckArgs;
use anyhow::{Context, Result, bail};
use kvfs_host::open_store;
use std::path::Path;
use std::process::ExitCode;

/// Exit code for a volume that is not sound, beside 1 for one that could not be checked.
const UNSOUND: u8 = 4;

pub(crate) fn fsck(args: &FsckArgs) -> Result<ExitCode> {
    // Opening would make a store where there is none, and a check makes nothing.
    if let Some(path) = args.store.strip_prefix("redb:")
        && !Path::new(path).exists()
    {
        bail!("{path}: there is no such store; check the path");
    }
    let store = open_store(&args.store)?;
    let checked = kvfs::fsck(&mut EngineStore(store), &args.volume);
    if matches!(checked, Err(kvfs::Error::NoEntry)) {
        bail!("{}: there is no volume `{}` in it; name another with --volume", args.store, args.volume);
    }
    let report = checked.with_context(|| format!("{}: cannot check volume `{}`", args.store, args.volume))?;
    let mut text = String::new();
    for finding in &report.findings {
        text += &format!("{finding}\n");
    }
    text += &format!(
        "volume {}: {} inodes, {} names, {} extents, {} bytes used; {} extents and {} files wait to be removed\n",
        args.volume,
        report.inodes,
        report.dentries,
        report.extents,
        report.used_bytes,
        report.garbage_extents,
        report.orphans
    );
    text += &match report.findings.len() {
        0 => "sound\n".to_owned(),
        count => format!("{count} findings; the numbers are those of FORMAT.md\n"),
    };
    say(&text)?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(UNSOUND) })
}
