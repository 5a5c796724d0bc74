//! The bytes of a file.

use super::answer::{Answer, Refused};
use super::file_page::MAX_SENT_BYTES;
use super::picture::picture_kind;
use super::query::Query;
use super::stores::refuse_files;
use hyper::StatusCode;
use kvfs::{Follow, Kind};
use kvfs_host::Files;

/// Sends a file as a picture, if it is asked for as one and is one, or else to be saved.
pub(super) fn raw(files: &mut Files, path: &str, query: &Query) -> Result<Answer, Refused> {
    let stat = files.stat(path, Follow::No).map_err(|error| refuse_files(&error))?;
    if stat.kind != Kind::File {
        return Err(Refused::new(StatusCode::NOT_FOUND, format!("{path} is no file")));
    }
    if stat.size > MAX_SENT_BYTES {
        let why = format!(
            "{path} has {} bytes, and the page sends at most {MAX_SENT_BYTES}; take it with `kvfs get`",
            stat.size
        );
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let bytes = files.read(path, MAX_SENT_BYTES).map_err(|error| refuse_files(&error))?;
    if query.get("as") != Some("picture") {
        return Ok(Answer::Download(bytes));
    }
    match picture_kind(&bytes) {
        Some(kind) => Ok(Answer::Image(kind, bytes)),
        None => Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{path} is no picture"))),
    }
}
