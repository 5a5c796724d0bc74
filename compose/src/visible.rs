//! Escapes untrusted text for terminals.

use std::fmt::{self, Display, Write};

/// Displays a value on one line, with characters escaped that a terminal acts on or that mislead a
/// reader: control characters (line ends among them), characters that change the direction of text,
/// and characters without width.
///
/// Names in a component, errors of a store and everything else that comes from a file or a guest
/// may contain any of these. Errors and reports of this library hold such text unescaped: display
/// them through `Visible`.
///
/// ```
/// use kvfs_compose::Visible;
///
/// assert_eq!(Visible("a\x1b[2J\nb").to_string(), r"a\u{1b}[2J\nb");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Visible<T>(pub T);

impl<T: Display> Display for Visible<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            self.0.write_str(&rest[..at])?;
            match c {
                '\n' | '\r' | '\t' => write!(self.0, "{}", c.escape_default())?,
                _ => write!(self.0, "{}", c.escape_unicode())?,
            }
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Returns true for a character that is invisible or changes how others are shown.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, direction marks, characters without width.
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            // Line and paragraph separators; embedding, override and isolation of directions;
            // invisible operators.
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // Byte order mark, annotations, tags.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_escaped_and_all_else_stays() {
        let shown = |text: &str| Visible(text).to_string();
        assert_eq!(
            shown("\0\x07\x08\x1b]0;x\x07\x7f\u{9b}31m"),
            r"\u{0}\u{7}\u{8}\u{1b}]0;x\u{7}\u{7f}\u{9b}31m"
        );
        assert_eq!(shown("a\r\nb\tc"), r"a\r\nb\tc");
        assert_eq!(shown("\u{202e}gpj.exe\u{2066}\u{200f}"), r"\u{202e}gpj.exe\u{2066}\u{200f}");
        for kept in ["", "große Dinge, `x` \\n 日本語 🙂", "שלום"] {
            assert_eq!(shown(kept), kept);
        }
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let text = shown(&c.to_string());
            assert!(!text.chars().any(is_hidden), "{c:?}");
        }
    }

    #[test]
    fn text_that_comes_in_pieces_is_escaped_too() {
        assert_eq!(Visible(format_args!("{}{}", "a\x1b", '\n')).to_string(), r"a\u{1b}\n");
    }
}
