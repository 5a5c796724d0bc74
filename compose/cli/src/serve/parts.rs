//! Parts that several pages have.

use super::html::{Address, Html};
use indicatif::HumanBytes;
use kvfs::Timestamp;
use std::time::{Duration, UNIX_EPOCH};

/// The last second that has a date of four digits.
const LAST_SECOND: i64 = 253_402_300_799;

/// Writes the path of a file as links to the directories above it. The last part is the page itself.
pub(super) fn trail(volume: &str, path: &str) -> Html {
    let mut html = Html::default();
    let mut steps: Vec<(&str, &str)> = vec![(volume, "/")];
    let starts = path.match_indices('/').map(|(at, _)| at + 1).filter(|start| *start < path.len());
    for start in starts {
        let end =
            path.get(start..).and_then(|rest| rest.find('/')).map_or(path.len(), |length| start + length);
        steps.push((path.get(start..end).unwrap_or_default(), path.get(..end).unwrap_or_default()));
    }
    let last = steps.len() - 1;
    for (at, (name, path)) in steps.into_iter().enumerate() {
        html.markup("<li>");
        if at == last {
            html.markup("<span aria-current=\"page\">").text(name).markup("</span>");
        } else {
            html.link(&Address::new("files", &[("volume", volume), ("path", path)]), name);
        }
        html.markup("</li>");
    }
    html
}

/// Writes a number of bytes, exact for who points at it.
pub(super) fn size(html: &mut Html, bytes: u64) {
    html.markup("<span title=\"").text(bytes).markup(" bytes\">").text(HumanBytes(bytes)).markup("</span>");
}

/// Writes a time as a date in UTC.
pub(super) fn time(html: &mut Html, time: Timestamp) {
    match u64::try_from(time.seconds).ok().filter(|_| time.seconds <= LAST_SECOND) {
        Some(seconds) => {
            let date = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds));
            let date = date.to_string();
            html.markup("<time datetime=\"").text(&date).markup("\">");
            html.text(date.replace('T', " ").trim_end_matches('Z')).markup("</time>");
        }
        None => {
            html.text(time.seconds).markup(" s since 1970");
        }
    }
}

type Parameters<'p, const N: usize> = [(&'p str, &'p str); N];

/// Links to the first or earlier page and the next one, if there are any.
pub(super) fn pager<const N: usize>(
    html: &mut Html,
    page: &'static str,
    back: Option<Parameters<'_, N>>,
    next: Option<Parameters<'_, N>>,
) {
    if back.is_none() && next.is_none() {
        return;
    }
    html.markup("<nav class=\"pager\" aria-label=\"Further pages\">");
    if let Some(back) = back {
        html.link(&Address::new(page, &back), "Back to the start").markup(" ");
    }
    if let Some(next) = next {
        html.link(&Address::new(page, &next), "Next page");
    }
    html.markup("</nav>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_links_every_directory_above() {
        let html = trail("v", "/a/b").finish();
        let expected = "<li><a href=\"files?volume=v&amp;path=%2F\">v</a></li>\
                        <li><a href=\"files?volume=v&amp;path=%2Fa\">a</a></li>\
                        <li><span aria-current=\"page\">b</span></li>";
        assert_eq!(html, expected);
        assert_eq!(trail("v", "/").finish(), "<li><span aria-current=\"page\">v</span></li>");
    }

    #[test]
    fn any_time_is_shown() {
        let shown = |seconds| {
            let mut html = Html::default();
            time(&mut html, Timestamp { seconds, nanoseconds: 0 });
            html.finish()
        };
        assert!(shown(86_400).contains(">1970-01-02 00:00:00<"), "{}", shown(86_400));
        assert!(shown(LAST_SECOND).contains("9999-12-31"));
        for far in [-1, i64::MIN, LAST_SECOND + 1, i64::MAX] {
            assert_eq!(shown(far), format!("{far} s since 1970"));
        }
    }
}
