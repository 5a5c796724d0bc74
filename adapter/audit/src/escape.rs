//! Text as the inside of a JSON string.

/// Most bytes of one escaped byte: a control character becomes six.
pub(crate) const MAX_ESCAPED_BYTES: usize = 6;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends text as the inside of a JSON string. A line can be shown on a terminal: everything that
/// a terminal acts on, or that hides or turns what stands beside it, is escaped.
#[inline(never)]
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Nearly every name is plain.
    if bytes.iter().all(|byte| is_plain(*byte)) {
        out.extend_from_slice(bytes);
        return;
    }
    for char in text.chars() {
        match char {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            char if is_hidden(char) => {
                char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push_unit(out, *unit));
            }
            char => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn push_unit(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(HEX.get(usize::from(unit >> shift) & 15).copied().unwrap_or(b'0'));
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Returns true for a character that is invisible or changes how others are shown. These are the
/// characters that `Visible` of `kvfs-compose` escapes.
pub(crate) fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        push_escaped(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_comes_back_and_none_reaches_a_terminal_that_acts_on_it() {
        for char in (0..=0x10_ffff).filter_map(char::from_u32) {
            let text = format!("a{char}");
            let shown = escaped(&text);
            assert!(!shown.chars().any(is_hidden), "{char:?}");
            assert!(shown.len() <= 1 + MAX_ESCAPED_BYTES * char.len_utf8(), "{char:?}");
            assert_eq!(serde_json::from_str::<String>(&format!("\"{shown}\"")).unwrap(), text);
        }
    }

    #[test]
    fn text_of_any_language_stays_readable() {
        for kept in ["", "große Dinge", "日本語 🙂", "שלום", "a/b c"] {
            assert_eq!(escaped(kept), kept);
        }
        assert_eq!(escaped("\"}\n{\u{202e}\u{1b}[2J\u{7f}"), r#"\"}\n{\u202e\u001b[2J\u007f"#);
    }
}
