//! Kinds of pictures that are shown.

/// Returns the type of a picture that browsers only decode. Pictures that are documents, as SVG is, are
/// not among them.
pub(super) fn picture_kind(start: &[u8]) -> Option<&'static str> {
    let has = |at: usize, bytes: &[u8]| start.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    if has(0, b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if has(0, b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if has(0, b"GIF87a") || has(0, b"GIF89a") {
        Some("image/gif")
    } else if has(0, b"RIFF") && has(8, b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::picture_kind;

    #[test]
    fn only_inert_kinds_are_pictures() {
        assert_eq!(picture_kind(b"GIF89a<script>"), Some("image/gif"));
        assert_eq!(picture_kind(b"RIFF\x01\x02\x03\x04WEBPVP8 "), Some("image/webp"));
        for other in [&b"<svg onload=alert(1)>"[..], b"", b"<html>", b"%PDF-1.7", b"RIFF", b"\x89PNG"] {
            assert_eq!(picture_kind(other), None, "{other:?}");
        }
    }
}
