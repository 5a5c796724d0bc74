//! Texts from elsewhere, as messages show them.

use std::error::Error;

/// Most characters of a text from a server or a library that a message shows.
pub const MAX_FOREIGN_TEXT_CHARS: usize = 240;

/// Puts a text from elsewhere on one line: of at most [`MAX_FOREIGN_TEXT_CHARS`], and without control
/// characters, which a terminal would obey.
#[must_use]
pub fn in_a_line(text: &str) -> String {
    let mut line = String::new();
    let mut chars = 0;
    for word in text.split_whitespace() {
        let gap = if line.is_empty() { "" } else { " " };
        for c in gap.chars().chain(word.chars().filter(|c| !c.is_control())) {
            if chars == MAX_FOREIGN_TEXT_CHARS {
                line.push('…');
                return line;
            }
            line.push(c);
            chars += 1;
        }
    }
    line
}

/// Adds the causes of an error to its text, each unless the text has it already.
#[must_use]
pub fn with_causes(text: &str, error: &dyn Error) -> String {
    let mut whole = text.to_owned();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !whole.contains(&text) {
            let colon = if whole.is_empty() { "" } else { ": " };
            whole = format!("{whole}{colon}{text}");
        }
        source = error.source();
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_becomes_one_short_line_that_moves_no_cursor() {
        assert_eq!(in_a_line(" a\r\n\u{1b}[31mb\tc\u{7}\n"), "a [31mb c");
        assert_eq!(in_a_line(&"ä".repeat(MAX_FOREIGN_TEXT_CHARS)), "ä".repeat(MAX_FOREIGN_TEXT_CHARS));
        let long = in_a_line(&"ä b".repeat(1000));
        assert_eq!(long.chars().count(), MAX_FOREIGN_TEXT_CHARS + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn causes_are_named_once() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl std::fmt::Display for Outer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("outer")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(with_causes("outer", &error), "outer: inner");
        assert_eq!(with_causes("outer of inner", &error), "outer of inner");
        assert_eq!(with_causes("", &error), "inner");
    }
}
