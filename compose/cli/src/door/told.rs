//! What is told of imports and exports.

use crate::busy::Busy;
use crate::terminal::{json_line, on_terminal, say, warn_with};
use anyhow::Result;
use indicatif::HumanBytes;
use kvfs_host::Report;
use serde_json::json;
use std::ops::ControlFlow;
use std::process::ExitCode;

/// The exit code if entries were left out: the rest is done.
const LEFT_OUT: u8 = 3;

/// Returns a function that shows progress on a terminal.
pub(super) fn progress<'b>(
    busy: &'b Busy,
    what: &'static str,
) -> impl FnMut(&Report) -> ControlFlow<()> + 'b {
    move |report| {
        if busy.is_seen() {
            busy.amount(what, report.entries(), report.bytes);
        }
        ControlFlow::Continue(())
    }
}

/// Tells what was done and what was not held.
pub(super) fn tell(what: &str, report: &Report, as_json: bool) -> Result<ExitCode> {
    for (loss, lost) in report.lost() {
        let kept = if loss.is_of_entries() { "left out" } else { "not kept" };
        let more = lost.count.saturating_sub(lost.named.len() as u64);
        let more = (more > 0).then(|| format!("and {more} more"));
        let message = format!("{kept}: {} {}", lost.count, loss.words());
        warn_with(message, lost.named.iter().map(String::as_str).chain(more.as_deref()));
    }
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
            "lost": lost,
        }))])?;
    } else if on_terminal() {
        let Report { files, directories, symlinks, hard_links, unchanged, bytes, .. } = report;
        say([format!(
            "{what} {files} files ({}), {directories} directories, {} links; {unchanged} were there already",
            HumanBytes(*bytes),
            symlinks + hard_links,
        )])?;
    }
    Ok(if report.left_out() > 0 { ExitCode::from(LEFT_OUT) } else { ExitCode::SUCCESS })
}
