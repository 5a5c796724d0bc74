//! Text of somebody else's making in messages.

use std::borrow::Cow;

/// Most bytes of such a text that a message quotes.
const MAX_QUOTED_BYTES: usize = 200;

/// Cuts a text to what a message quotes.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    match text.get(..text.floor_char_boundary(MAX_QUOTED_BYTES)) {
        Some(start) if start.len() < text.len() => format!("{start}…").into(),
        _ => text.into(),
    }
}

/// Joins the lines of a message with colons, so that an error stays one line.
pub(crate) fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(": ")
}
