//! Answers, and the headers that keep them harmless.

use super::html::Html;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// A page runs nothing, loads only its style and its images from here, and is in no frame.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                           base-uri 'none'; frame-ancestors 'none'";

/// Bytes of a file are no page: opened as one, they run nothing, load nothing and belong to nobody.
const BYTES_POLICY: &str = "default-src 'none'; sandbox; base-uri 'none'; form-action 'none'; \
                            frame-ancestors 'none'";

const STYLE: &str = include_str!("style.css");

/// What is sent for a request.
pub(super) enum Answer {
    Page(Page),
    Style,
    /// Bytes of a file, as an image of a known kind.
    Image(&'static str, Vec<u8>),
    /// Bytes of a file, to be saved.
    Download(Vec<u8>),
}

/// A whole page.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: String,
    /// The parts of the path to it, linked but for the last one.
    pub(super) trail: Html,
    pub(super) main: Html,
}

/// Why a request gets no page.
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    pub(super) fn page(self) -> Answer {
        let mut main = Html::default();
        main.markup("<h1>").text(self.status.canonical_reason().unwrap_or("Error"));
        main.markup("</h1>\n<p role=\"alert\">").text(&self.why).markup("</p>\n");
        let title = self.status.canonical_reason().unwrap_or("Error").to_owned();
        Answer::Page(Page { status: self.status, title, trail: Html::default(), main })
    }
}

pub(super) fn response(answer: Answer, store: &str) -> Response<Full<Bytes>> {
    let (status, kind, policy, body) = match answer {
        Answer::Page(page) => {
            (page.status, "text/html; charset=utf-8", PAGE_POLICY, Bytes::from(whole(&page, store)))
        }
        Answer::Style => {
            (StatusCode::OK, "text/css; charset=utf-8", BYTES_POLICY, Bytes::from_static(STYLE.as_bytes()))
        }
        Answer::Image(kind, bytes) => (StatusCode::OK, kind, BYTES_POLICY, Bytes::from(bytes)),
        Answer::Download(bytes) => {
            (StatusCode::OK, "application/octet-stream", BYTES_POLICY, Bytes::from(bytes))
        }
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &'static str| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    };
    set("content-type", kind);
    set("content-security-policy", policy);
    set("x-content-type-options", "nosniff");
    set("referrer-policy", "no-referrer");
    set("cache-control", "no-store");
    set("cross-origin-resource-policy", "same-origin");
    set("cross-origin-opener-policy", "same-origin");
    set("x-frame-options", "DENY");
    if kind == "application/octet-stream" {
        // No name: browsers take it from the address, and none of a guest reaches a header.
        set("content-disposition", "attachment");
    }
    response
}

fn whole(page: &Page, store: &str) -> String {
    let mut html = Html::default();
    html.markup("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.markup("<meta name=\"color-scheme\" content=\"light dark\">\n<title>").text(&page.title);
    html.markup(" – kvfs</title>\n<link rel=\"stylesheet\" href=\"style.css\">\n</head>\n<body>\n");
    html.markup("<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>\n");
    html.markup("<p class=\"brand\"><a href=\"./\">kvfs</a> <span class=\"store\">").text(store);
    html.markup("</span></p>\n<nav aria-label=\"Pages\"><a href=\"./\">Volumes</a> <a href=\"diff\">Compare</a></nav>\n");
    html.markup("</header>\n");
    if page.trail.length() > 0 {
        html.markup("<nav class=\"trail\" aria-label=\"Path\"><ol>").add(&page.trail).markup("</ol></nav>\n");
    }
    html.markup("<main id=\"main\" tabindex=\"-1\">\n").add(&page.main);
    html.markup(
        "</main>\n<footer><p>Read-only. Contents are shown, never run.</p></footer>\n</body>\n</html>\n",
    );
    html.finish()
}
