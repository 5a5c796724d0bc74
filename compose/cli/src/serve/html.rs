//! Writes HTML. What comes from a store can only be added as text.

use kvfs_compose::Visible;
use std::fmt::{Display, Write};

/// A piece of HTML.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup of the command itself.
    pub(super) fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text or the value of an attribute, with everything escaped that means something in HTML, is
    /// invisible or changes the direction of others.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        self.content(&Visible(text).to_string())
    }

    /// Adds the text of a file, with its line ends and tabs.
    pub(super) fn file_text(&mut self, text: &str) -> &mut Self {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.0.push('\n');
            }
            for (at, part) in line.split('\t').enumerate() {
                if at > 0 {
                    self.0.push('\t');
                }
                self.text(part);
            }
        }
        self
    }

    /// Adds bytes of a file: text as it is, and a mark for each byte that is none.
    pub(super) fn file_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        for chunk in bytes.utf8_chunks() {
            self.file_text(chunk.valid());
            for byte in chunk.invalid() {
                // A string takes every write.
                let _ = write!(self.0, "\\x{byte:02x}");
            }
        }
        self
    }

    /// Adds a link. Its address is made of the parameters given, all of which are escaped.
    pub(super) fn link(&mut self, to: &Address<'_>, text: impl Display) -> &mut Self {
        self.markup("<a href=\"").address(to).markup("\">").text(text).markup("</a>")
    }

    /// Adds the address of a page.
    pub(super) fn address(&mut self, to: &Address<'_>) -> &mut Self {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(to.parameters);
        self.content(to.page).content("?").content(&query.finish())
    }

    /// Adds another piece.
    pub(super) fn add(&mut self, piece: &Self) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    pub(super) fn length(&self) -> usize {
        self.0.len()
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn content(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }
}

/// A page of the server, relative to all others.
pub(super) struct Address<'a> {
    pub(super) page: &'static str,
    pub(super) parameters: &'a [(&'a str, &'a str)],
}

impl<'a> Address<'a> {
    pub(super) fn new(page: &'static str, parameters: &'a [(&'a str, &'a str)]) -> Self {
        Self { page, parameters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup() {
        let name = "<script>alert('&\"')</script>\u{202e}\x07\n";
        let mut html = Html::default();
        html.markup("<p title=\"").text(name).markup("\">").file_bytes(b"<b>\t\n\xff\x1b</b>");
        html.link(&Address::new("files", &[("path", "/a b&volume=x\"'<>"), ("at", "1")]), "x<y");
        let html = html.finish();
        assert_eq!(
            html,
            "<p title=\"&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;\\u{202e}\\u{7}\\n\">\
             &lt;b&gt;\t\n\\xff\\u{1b}&lt;/b&gt;\
             <a href=\"files?path=%2Fa+b%26volume%3Dx%22%27%3C%3E&amp;at=1\">x&lt;y</a>"
        );
    }
}
