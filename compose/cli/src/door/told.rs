//! What is told of imports and exports.

use crate::busy::Busy;
use crate::terminal::{json_line, on_terminal, say, warn_with};
use anyhow::Result;
use indicatif::HumanBytes;
use kvfs::{Follow, Kind};
use kvfs_host::{Files, Report};
use serde_json::json;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

/// The exit code if entries were left out: the rest is done.
const LEFT_OUT: u8 = 3;

/// Returns a function that shows progress on a terminal: with the time that remains, if it is known how
/// many bytes there are in all.
pub(super) fn progress<'b>(
    busy: &'b Busy,
    what: &'static str,
    total_bytes: Option<u64>,
) -> impl FnMut(&Report) -> ControlFlow<()> + 'b {
    progress_of(busy, what, total_bytes, |report| report.bytes)
}

/// As [`progress`], where other bytes are counted than those of files. Without a total, the bytes of files
/// are shown.
pub(super) fn progress_of<'b>(
    busy: &'b Busy,
    what: &'static str,
    total_bytes: Option<u64>,
    done_bytes: impl Fn(&Report) -> u64 + 'b,
) -> impl FnMut(&Report) -> ControlFlow<()> + 'b {
    move |report| {
        match total_bytes {
            _ if !busy.is_seen() => {}
            Some(total) if total > 0 => busy.bytes(what, done_bytes(report).min(total), total),
            _ => busy.amount(what, report.entries(), report.bytes),
        }
        ControlFlow::Continue(())
    }
}

/// Returns the bytes of all files below a path of a volume, if somebody watches and they can be counted.
pub(super) fn total_bytes(busy: &Busy, files: &mut Files, path: &str) -> Option<u64> {
    if !busy.is_seen() {
        return None;
    }
    let (mut walk, mut total) = (files.walk(path, Follow::No), 0_u64);
    loop {
        match walk.next(files) {
            Ok(Some(step)) if step.stat.kind == Kind::File => total = total.saturating_add(step.stat.size),
            Ok(Some(_)) => {}
            Ok(None) => return Some(total),
            Err(_) => {
                let _ = walk.close(files);
                return None;
            }
        }
    }
}

/// As [`total_bytes`], of a directory of this machine.
pub(super) fn total_host_bytes(busy: &Busy, directory: &Path) -> Option<u64> {
    if !busy.is_seen() {
        return None;
    }
    let (mut directories, mut total) = (vec![directory.to_owned()], 0_u64);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).ok()? {
            let entry = entry.ok()?;
            let found = entry.metadata().ok()?;
            if found.is_dir() {
                directories.push(entry.path());
            } else if found.is_file() {
                total = total.saturating_add(found.len());
            }
        }
    }
    Some(total)
}

/// Tells what was not held, and returns the exit code.
pub(super) fn tell_lost(report: &Report) -> ExitCode {
    for (loss, lost) in report.lost() {
        let kept = match loss {
            _ if loss.is_of_entries() => "left out",
            _ if loss.is_of_names() => "held escaped",
            _ => "not kept",
        };
        let more = lost.count.saturating_sub(lost.named.len() as u64);
        let more = (more > 0).then(|| format!("and {more} more"));
        let message = format!("{kept}: {} {}", lost.count, loss.words());
        warn_with(message, lost.named.iter().map(String::as_str).chain(more.as_deref()));
    }
    if report.left_out() > 0 { ExitCode::from(LEFT_OUT) } else { ExitCode::SUCCESS }
}

/// Tells what was done and what was not held, and returns the exit code.
pub(super) fn tell(what: &str, report: &Report, as_json: bool) -> Result<ExitCode> {
    let code = tell_lost(report);
    let escaped = report.lost().filter(|(loss, _)| loss.is_of_names());
    let escaped: u64 = escaped.map(|(_, lost)| lost.count).sum();
    if as_json {
        let lost: Vec<_> = report
            .lost()
            .map(|(loss, lost)| {
                let left_out = loss.is_of_entries();
                json!({ "what": loss.words(), "count": lost.count, "paths": lost.named, "left_out": left_out })
            })
            .collect();
        say([json_line(&json!({
            "files": report.files,
            "directories": report.directories,
            "symlinks": report.symlinks,
            "hard_links": report.hard_links,
            "unchanged": report.unchanged,
            "bytes": report.bytes,
            "escaped": escaped,
            "lost": lost,
        }))])?;
    } else if on_terminal() {
        let Report { files, directories, symlinks, hard_links, unchanged, bytes, .. } = report;
        let escaped = if escaped > 0 { format!("; {escaped} names are held escaped") } else { String::new() };
        say([format!(
            "{what} {files} files ({}), {directories} directories, {} links; {unchanged} were there \
             already{escaped}",
            HumanBytes(*bytes),
            symlinks + hard_links,
        )])?;
    }
    Ok(code)
}
