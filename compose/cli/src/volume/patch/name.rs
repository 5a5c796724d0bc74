//! Names in the heads of a patch.

use kvfs_compose::Visible;

/// Writes a path of a side, `a` or `b`, as git and patch read it: in quotes if it has a character that
/// ends a name or that a terminal acts on.
pub(super) fn side(side: char, path: &str) -> String {
    quoted(&format!("{side}{path}"))
}

/// Writes a path without a side and a slash in front.
pub(super) fn bare(path: &str) -> String {
    quoted(path.trim_start_matches('/'))
}

fn quoted(path: &str) -> String {
    let plain = |c: char| !matches!(c, '"' | '\\' | ' ') && !is_hidden(c);
    if path.chars().all(plain) {
        return path.to_owned();
    }
    let mut text = String::from("\"");
    for c in path.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            c if is_hidden(c) => {
                let mut bytes = [0; 4];
                text.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("\\{byte:03o}")));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// Whether messages escape a character.
fn is_hidden(c: char) -> bool {
    let mut bytes = [0; 4];
    let c: &str = c.encode_utf8(&mut bytes);
    Visible(c).to_string() != c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_only_where_a_reader_needs_it() {
        assert_eq!(side('a', "/dir/naïve.txt"), "a/dir/naïve.txt");
        assert_eq!(side('b', "/two words"), "\"b/two words\"");
        assert_eq!(bare("/o\x1b[2J\td\n\u{202e}\"\\"), r#""o\033[2J\td\n\342\200\256\"\\""#);
    }
}
