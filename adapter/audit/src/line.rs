//! One line of the log.

use crate::escape::push_escaped;

/// Most bytes of a text in a line before they are escaped. The file system takes no longer path and
/// no longer target of a link.
pub const MAX_TEXT_BYTES: usize = 4095;

/// Digits of the largest number.
const MAX_DIGITS: usize = 20;

/// A line that is being written. It ends with [`Line::end`]; a line that is dropped before counts
/// with a result of its own.
#[derive(Debug)]
pub struct Line<'l> {
    lines: &'l mut Vec<u8>,
    ended: bool,
    /// Whether the line has `"cut":true` already: a key stands once in an object.
    cut: bool,
}

impl<'l> Line<'l> {
    pub(crate) fn new(lines: &'l mut Vec<u8>) -> Self {
        Self { lines, ended: false, cut: false }
    }

    /// Adds a number.
    #[inline(never)]
    pub fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        push_number(self.lines, value);
    }

    /// Adds text of at most [`MAX_TEXT_BYTES`]. Longer text is cut at its end, and the line then
    /// has `"cut":true`.
    pub fn text(&mut self, key: &str, text: &str) {
        self.path(key, "", text);
    }

    /// Adds a path: the base, a slash if there is none, and the rest. If both together are longer
    /// than [`MAX_TEXT_BYTES`], the rest stands alone: a long base must not hide what it was for.
    #[inline(never)]
    pub fn path(&mut self, key: &str, base: &str, rest: &str) {
        self.key(key);
        self.lines.push(b'"');
        let slash = if base.is_empty() || base.ends_with('/') || rest.is_empty() { "" } else { "/" };
        if base.len() + slash.len() + rest.len() <= MAX_TEXT_BYTES {
            push_escaped(self.lines, base);
            push_escaped(self.lines, slash);
        }
        let end = rest.floor_char_boundary(MAX_TEXT_BYTES);
        push_escaped(self.lines, rest.get(..end).unwrap_or_default());
        self.lines.push(b'"');
        if end < rest.len() && !self.cut {
            self.cut = true;
            self.raw(b",\"cut\":true");
        }
    }

    /// Adds words that need no escapes, with commas between.
    #[inline(never)]
    pub fn words(&mut self, key: &str, words: impl IntoIterator<Item = &'static str>) {
        self.key(key);
        self.lines.push(b'"');
        for (index, word) in words.into_iter().enumerate() {
            if index > 0 {
                self.lines.push(b',');
            }
            push_escaped(self.lines, word);
        }
        self.lines.push(b'"');
    }

    /// Adds a flag that is true.
    pub fn flag(&mut self, key: &str) {
        self.key(key);
        self.raw(b"true");
    }

    /// Ends the line with a result: `ok`, or the code of an error.
    pub fn end(mut self, result: &str) {
        self.close(result);
    }

    /// Leaves the line open, to be ended later.
    pub(crate) fn leave_open(mut self) {
        self.ended = true;
    }

    #[inline(never)]
    fn close(&mut self, result: &str) {
        self.ended = true;
        self.key("result");
        self.lines.push(b'"');
        push_escaped(self.lines, result);
        self.raw(b"\"}\n");
    }

    #[inline(never)]
    fn key(&mut self, key: &str) {
        self.raw(b",\"");
        self.raw(key.as_bytes());
        self.raw(b"\":");
    }

    #[inline(never)]
    fn raw(&mut self, bytes: &[u8]) {
        self.lines.extend_from_slice(bytes);
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.close("unknown");
        }
    }
}

/// Returns how many of the first `room` bytes of lines are whole lines.
pub fn whole_lines(lines: &[u8], room: usize) -> usize {
    let fitting = lines.get(..room).unwrap_or(lines);
    fitting.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// Appends a number in digits.
pub(crate) fn push_number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; MAX_DIGITS];
    let mut start = MAX_DIGITS;
    for place in digits.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
        start -= 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_end_with_a_line() {
        let lines = b"one\ntwo\nthree\n";
        for (room, bytes) in [(0, 0), (3, 0), (4, 4), (7, 4), (8, 8), (13, 8), (14, 14), (99, 14)] {
            assert_eq!(whole_lines(lines, room), bytes, "{room}");
        }
        assert_eq!(whole_lines(b"", 5), 0);
    }

    #[test]
    fn numbers_are_written_in_digits() {
        for value in [0, 7, 10, 99, 1_234_567_890, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
