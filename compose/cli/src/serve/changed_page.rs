//! The page of a file that two volumes have: what its lines differ in.

use super::answer::{Answer, Page, Refused};
use super::html::{Address, Html};
use super::query::Query;
use super::stores::{Moment, refuse_files};
use crate::text_diff::{CONTEXT_LINES, Line, Side, compare, is_binary};
use hyper::StatusCode;
use kvfs::{Follow, Kind};
use kvfs_host::Files;

/// Most bytes of a file that is compared for a page.
const MAX_COMPARED_BYTES: u64 = 1 << 20;

/// A page ends behind the hunk that makes it longer than this.
const PAGE_BYTES: usize = 512 << 10;

/// Most bytes of a line that are shown.
const MAX_LINE_BYTES: usize = 2000;

pub(super) fn page(moment: &Moment<'_>, query: &Query) -> Result<Answer, Refused> {
    let (first, second) = (query.need("first")?, query.need("second")?);
    let (before, path) = (query.path("before")?, query.path("path")?);
    let mut main = Html::default();
    main.markup("<h1>").text(&path).markup("</h1>\n<p class=\"note\">From ");
    main.link(
        &Address::new("files", &[("volume", first), ("path", &before)]),
        format_args!("{before} in {first}"),
    );
    main.markup(" to ");
    main.link(
        &Address::new("files", &[("volume", second), ("path", &path)]),
        format_args!("{path} in {second}"),
    );
    main.markup(" – ");
    main.link(&Address::new("diff", &[("first", first), ("second", second)]), "all differences");
    main.markup("</p>\n");
    let old = content(&mut moment.files(first)?, &before)?;
    let new = content(&mut moment.files(second)?, &path)?;
    match (old, new) {
        (Some(old), Some(new)) if is_binary(&old) || is_binary(&new) => {
            main.markup(if old == new {
                "<p>The bytes do not differ.</p>\n"
            } else {
                "<p>Binary files differ.</p>\n"
            });
        }
        (Some(old), Some(new)) => lines(&mut main, &old, &new),
        _ => {
            main.markup("<p>One is no file, or has more than ").text(MAX_COMPARED_BYTES);
            main.markup(" bytes. <code>kvfs diff -p</code> compares larger ones.</p>\n");
        }
    }
    let title = format!("{path}, {first} to {second}");
    Ok(Answer::Page(Page { status: StatusCode::OK, title, trail: Html::default(), main }))
}

/// Reads a file that is not too long to be compared.
fn content(files: &mut Files, path: &str) -> Result<Option<Vec<u8>>, Refused> {
    let stat = files.stat(path, Follow::No).map_err(|error| refuse_files(&error))?;
    if stat.kind != Kind::File || stat.size > MAX_COMPARED_BYTES {
        return Ok(None);
    }
    files.read(path, MAX_COMPARED_BYTES).map(Some).map_err(|error| refuse_files(&error))
}

fn lines(main: &mut Html, old: &[u8], new: &[u8]) {
    let Some(hunks) = compare(old, new, CONTEXT_LINES) else {
        main.markup("<p>The files have too many lines. <code>kvfs diff -p</code> compares them.</p>\n");
        return;
    };
    if hunks.is_empty() {
        main.markup("<p>The bytes do not differ.</p>\n");
        return;
    }
    main.markup("<pre class=\"patch\" tabindex=\"0\" role=\"region\" aria-label=\"Changed lines\">\n");
    let mut cut = false;
    for hunk in hunks {
        main.markup("<span class=\"hunk\">").text(hunk.head()).markup("</span>\n");
        for shown in &hunk.lines {
            if main.length() > PAGE_BYTES {
                cut = true;
                break;
            }
            line(main, shown);
        }
    }
    main.markup("</pre>\n");
    if cut {
        main.markup("<p>There is more. <code>kvfs diff -p</code> shows all of it.</p>\n");
    }
}

fn line(main: &mut Html, line: &Line<'_>) {
    let (start, end) = match line.side {
        Side::Both => ("<span>  ", "</span>\n"),
        Side::First => ("<del>- ", "</del>\n"),
        Side::Second => ("<ins>+ ", "</ins>\n"),
    };
    let (bytes, is_ended) = match line.bytes.strip_suffix(b"\n") {
        Some(bytes) => (bytes, true),
        None => (line.bytes, false),
    };
    main.markup(start).file_bytes(bytes.get(..MAX_LINE_BYTES).unwrap_or(bytes));
    main.markup(if bytes.len() > MAX_LINE_BYTES { " …" } else { "" }).markup(end);
    if !is_ended {
        main.markup("<span class=\"hunk\">  (no line end at the end of the file)</span>\n");
    }
}
