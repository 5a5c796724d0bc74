//! The page of a file: its text, its bytes in hexadecimal digits, or its picture.

use super::answer::{Answer, Page, Refused};
use super::html::{Address, Html};
use super::parts::{pager, size, time, trail};
use super::picture::picture_kind;
use super::query::Query;
use super::stores::refuse_files;
use crate::text_diff::is_binary;
use hyper::StatusCode;
use kvfs::{Kind, Stat};
use kvfs_host::Files;
use std::fmt::Write;

/// Bytes of text on a page.
const TEXT_BYTES: usize = 64 << 10;

/// Bytes in hexadecimal digits on a page.
const HEX_BYTES: usize = 4 << 10;

/// Bytes in a row of them.
const ROW_BYTES: usize = 16;

/// Most bytes of a file that is sent whole.
pub(super) const MAX_SENT_BYTES: u64 = 32 << 20;

/// Bytes by which a kind of picture is known.
const KNOWN_BY_BYTES: usize = 8 << 10;

pub(super) fn page(
    files: &mut Files,
    volume: &str,
    path: &str,
    stat: &Stat,
    query: &Query,
) -> Result<Answer, Refused> {
    let mut main = Html::default();
    main.markup("<h1>").text(path.rsplit('/').next().unwrap_or(path)).markup("</h1>\n");
    match stat.kind {
        Kind::Symlink => link(&mut main, files, path)?,
        _ => file(&mut main, files, volume, path, stat, query)?,
    }
    let title = format!("{path} in {volume}");
    Ok(Answer::Page(Page { status: StatusCode::OK, title, trail: trail(volume, path), main }))
}

fn link(main: &mut Html, files: &mut Files, path: &str) -> Result<(), Refused> {
    let target = files.read_link(path).map_err(|error| refuse_files(&error))?;
    main.markup("<p>A symbolic link to <code>").text(target).markup("</code></p>\n");
    Ok(())
}

fn file(
    main: &mut Html,
    files: &mut Files,
    volume: &str,
    path: &str,
    stat: &Stat,
    query: &Query,
) -> Result<(), Refused> {
    let mut read = |at, length| {
        let mut bytes = Vec::new();
        let read = files.read_at(path, at, length, &mut bytes);
        read.map(|_| bytes).map_err(|error| refuse_files(&error))
    };
    let start = read(0, KNOWN_BY_BYTES)?;
    let picture = picture_kind(&start).filter(|_| stat.size <= MAX_SENT_BYTES);
    let usual = match picture {
        Some(_) => View::Picture,
        None if is_binary(&start) => View::Hex,
        None => View::Text,
    };
    let view = match query.get("view") {
        Some("text") => View::Text,
        Some("hex") => View::Hex,
        _ => usual,
    };
    head(main, volume, path, stat, view, picture.is_some());
    if stat.size == 0 {
        main.markup("<p class=\"note\">The file is empty.</p>\n");
        return Ok(());
    }
    if view == View::Picture {
        main.markup("<figure><img src=\"");
        main.address(&Address::new("raw", &[("volume", volume), ("path", path), ("as", "picture")]));
        main.markup("\" alt=\"The picture ").text(path).markup("\"></figure>\n");
        return Ok(());
    }
    let at = query.number("at")?;
    let end = if view == View::Text {
        let bytes = read(at, TEXT_BYTES)?;
        let shown = whole_lines(&bytes, stat.size.saturating_sub(at));
        main.markup("<pre tabindex=\"0\" role=\"region\" aria-label=\"Text of the file\">\n")
            .file_bytes(shown);
        main.markup("</pre>\n");
        at.saturating_add(shown.len() as u64)
    } else {
        let bytes = read(at, HEX_BYTES)?;
        main.markup("<pre tabindex=\"0\" role=\"region\" aria-label=\"Bytes of the file\">\n");
        main.file_text(&hexadecimal(at, &bytes)).markup("</pre>\n");
        at.saturating_add(bytes.len() as u64)
    };
    main.markup("<p class=\"note\">Bytes ").text(at).markup(" to ").text(end).markup(" of ").text(stat.size);
    main.markup("</p>\n");
    let view = if view == View::Text { "text" } else { "hex" };
    let next = end.to_string();
    let of = |at| [("volume", volume), ("path", path), ("view", view), ("at", at)];
    pager(main, "files", (at > 0).then(|| of("")), (end > at && end < stat.size).then(|| of(&next)));
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum View {
    Text,
    Hex,
    Picture,
}

fn head(main: &mut Html, volume: &str, path: &str, stat: &Stat, view: View, has_picture: bool) {
    main.markup("<dl><dt>Size</dt><dd>");
    size(main, stat.size);
    main.markup("</dd><dt>Modified</dt><dd>");
    time(main, stat.mtime);
    main.markup("</dd><dt>Names</dt><dd>").text(stat.nlink).markup("</dd></dl>\n");
    main.markup("<nav class=\"views\" aria-label=\"Views\">");
    let views =
        [("picture", "Picture", View::Picture), ("text", "Text", View::Text), ("hex", "Bytes", View::Hex)];
    for (name, title, is) in views {
        if is == View::Picture && !has_picture {
            continue;
        }
        main.markup("<a href=\"");
        main.address(&Address::new("files", &[("volume", volume), ("path", path), ("view", name)]));
        main.markup(if is == view { "\" aria-current=\"true\">" } else { "\">" }).text(title).markup("</a> ");
    }
    if stat.size <= MAX_SENT_BYTES {
        main.link(&Address::new("raw", &[("volume", volume), ("path", path)]), "Download");
    }
    main.markup("</nav>\n");
}

/// Cuts text behind its last line end, or at least behind its last whole character.
fn whole_lines(bytes: &[u8], rest: u64) -> &[u8] {
    if bytes.len() as u64 >= rest {
        return bytes;
    }
    let end = match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => at + 1,
        None => {
            bytes.iter().rposition(|byte| byte & 0xC0 != 0x80).filter(|at| *at > 0).unwrap_or(bytes.len())
        }
    };
    bytes.get(..end).unwrap_or(bytes)
}

/// Writes bytes as hexadecimal digits and, where they are printable ASCII, as characters.
fn hexadecimal(at: u64, bytes: &[u8]) -> String {
    let mut text = String::new();
    for (row, bytes) in bytes.chunks(ROW_BYTES).enumerate() {
        // A string takes every write.
        let _ = write!(text, "{:08x} ", at.saturating_add((row * ROW_BYTES) as u64));
        for place in 0..ROW_BYTES {
            if place % 8 == 0 {
                text.push(' ');
            }
            match bytes.get(place) {
                Some(byte) => {
                    let _ = write!(text, "{byte:02x} ");
                }
                None => text.push_str("   "),
            }
        }
        text.push(' ');
        text.extend(
            bytes.iter().map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' }),
        );
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_where_a_reader_can_go_on() {
        assert_eq!(whole_lines(b"one\ntw", 6), b"one\ntw");
        assert_eq!(whole_lines(b"one\ntw", 7), b"one\n");
        assert_eq!(whole_lines("aé".as_bytes(), 9), b"a");
        assert_eq!(whole_lines(b"\x80\x80", 9), b"\x80\x80", "goes on");
        assert_eq!(whole_lines(b"a", 9), b"a", "goes on");
    }

    #[test]
    fn bytes_stand_in_columns() {
        let text = hexadecimal(0x40, b"0123456789abcde\n\xff<");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "00000040  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 0a  0123456789abcde.",
                "00000050  ff 3c                                             .<",
            ]
        );
    }
}
