//! What is written of a patch: bytes as they are for programs, escaped and in colours for people.

use crate::terminal::{colours, on_terminal, say_bytes};
use anyhow::Result;
use kvfs_compose::Visible;

/// Bytes that are written at once.
const WRITTEN_BYTES: usize = 64 << 10;

/// A part of a patch, which has a colour on a terminal.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Head,
    Hunk,
    Added,
    Removed,
    Plain,
}

impl Part {
    fn colour(self) -> &'static str {
        match self {
            Self::Head => "\x1b[1m",
            Self::Hunk => "\x1b[36m",
            Self::Added => "\x1b[32m",
            Self::Removed => "\x1b[31m",
            Self::Plain => "",
        }
    }
}

/// Writes the lines of a patch to standard output.
pub(super) struct Painter {
    escapes: bool,
    colours: bool,
    out: Vec<u8>,
}

impl Painter {
    pub(super) fn new() -> Self {
        Self { escapes: on_terminal(), colours: colours(), out: Vec::new() }
    }

    /// Writes a line, without its line end.
    pub(super) fn line(&mut self, part: Part, mark: &str, bytes: &[u8]) -> Result<()> {
        let colour = if self.colours { part.colour() } else { "" };
        self.out.extend_from_slice(colour.as_bytes());
        self.out.extend_from_slice(mark.as_bytes());
        match self.escapes {
            true => self.out.extend_from_slice(visible(bytes).as_bytes()),
            false => self.out.extend_from_slice(bytes),
        }
        if !colour.is_empty() {
            self.out.extend_from_slice(b"\x1b[0m");
        }
        self.out.push(b'\n');
        if self.out.len() >= WRITTEN_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes everything out.
    pub(super) fn flush(&mut self) -> Result<()> {
        say_bytes(&std::mem::take(&mut self.out))
    }
}

/// Escapes what a terminal acts on, but tabs, and bytes that are no Unicode.
fn visible(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for (at, part) in chunk.valid().split('\t').enumerate() {
            if at > 0 {
                text.push('\t');
            }
            text += &Visible(part).to_string();
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_shown_escapes_and_programs_the_bytes() {
        let odd = b"\ta\x1b[2J\xff\xe2\x80\xae";
        let mut painter = Painter { escapes: true, colours: true, out: Vec::new() };
        painter.line(Part::Added, "+", odd).unwrap();
        let shown = String::from_utf8(painter.out).unwrap();
        assert_eq!(shown, "\x1b[32m+\ta\\u{1b}[2J\\xff\\u{202e}\x1b[0m\n");
        let mut painter = Painter { escapes: false, colours: false, out: Vec::new() };
        painter.line(Part::Added, "+", odd).unwrap();
        assert_eq!(painter.out, [b"+", &odd[..], b"\n"].concat());
    }
}
