//! A file server over http: one function, called once for each request.
//!
//! `PUT /path` stores the body there and answers with its size, `GET /path` returns a file, `DELETE
//! /path` removes it. `GET /` lists names and sizes, and says how many requests this instance has
//! answered.

use std::cell::Cell;

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::filesystem::preopens::get_directories;
use bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags, filesystem_error_code,
};
use bindings::wasi::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "kvfs:guests/server",
        generate_all,
        pub_export_macro: true,
    });
}

struct Server;

bindings::export!(Server with_types_in bindings);

thread_local! {
    /// Requests that this instance has received.
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
}

/// The number of bytes that one splice asks for.
const PIECE_BYTES: u64 = 64 << 10;

/// An answer: a status, and the source of the body.
enum Answer {
    Text(u16, String),
    File(Descriptor),
}

impl Guest for Server {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        REQUESTS.set(REQUESTS.get() + 1);
        match respond(&request) {
            Ok(Answer::Text(status, text)) => write(answer, status, |stream| {
                let mut pieces = text.as_bytes().chunks(4096);
                pieces.try_for_each(|piece| stream.blocking_write_and_flush(piece))
            }),
            Ok(Answer::File(file)) => write(answer, 200, |stream| match file.read_via_stream(0) {
                Ok(from) => splice_all(&from, stream),
                Err(_) => Err(StreamError::Closed),
            }),
            Err(code) => {
                let status = if code == ErrorCode::NoEntry { 404 } else { 500 };
                write(answer, status, |stream| {
                    stream.blocking_write_and_flush(format!("{}\n", code.name()).as_bytes())
                });
            }
        }
    }
}

/// Sends a response. A body that cannot be written in full is not finished, which the client
/// notices.
fn write(answer: ResponseOutparam, status: u16, body: impl FnOnce(&OutputStream) -> Result<(), StreamError>) {
    let response = OutgoingResponse::new(Fields::new());
    let (Ok(()), Ok(to)) = (response.set_status_code(status), response.body()) else { return };
    ResponseOutparam::set(answer, Ok(response));
    let Ok(stream) = to.write() else { return };
    let written = body(&stream);
    drop(stream);
    if written.is_ok() {
        let _ = OutgoingBody::finish(to, None);
    }
}

fn respond(request: &IncomingRequest) -> Result<Answer, ErrorCode> {
    let (root, _) = get_directories().into_iter().next().ok_or(ErrorCode::NoEntry)?;
    let path = request.path_with_query().unwrap_or_default();
    let path = path.trim_start_matches('/');
    let read = DescriptorFlags::READ;
    match request.method() {
        Method::Get if path.is_empty() => list(&root).map(|text| Answer::Text(200, text)),
        Method::Get => root.open_at(PathFlags::empty(), path, OpenFlags::empty(), read).map(Answer::File),
        Method::Put => {
            let how = OpenFlags::CREATE | OpenFlags::TRUNCATE;
            let file = root.open_at(PathFlags::empty(), path, how, read | DescriptorFlags::WRITE)?;
            let body = request.consume().map_err(|()| ErrorCode::Io)?;
            let stream = body.stream().map_err(|()| ErrorCode::Io)?;
            let to = file.write_via_stream(0)?;
            splice_all(&stream, &to).map_err(|error| match error {
                StreamError::LastOperationFailed(error) => {
                    filesystem_error_code(&error).unwrap_or(ErrorCode::Io)
                }
                StreamError::Closed => ErrorCode::Io,
            })?;
            // Neither closed nor synced: the end of the call makes it last.
            let size = file.stat()?.size;
            std::mem::forget(file);
            Ok(Answer::Text(201, format!("{size} bytes\n")))
        }
        Method::Delete => {
            root.unlink_file_at(path)?;
            Ok(Answer::Text(200, "removed\n".to_owned()))
        }
        _ => Ok(Answer::Text(405, "no such method\n".to_owned())),
    }
}

fn list(root: &Descriptor) -> Result<String, ErrorCode> {
    let listing = root.read_directory()?;
    let mut names = Vec::new();
    while let Some(entry) = listing.read_directory_entry()? {
        let size = root.stat_at(PathFlags::empty(), &entry.name)?.size;
        names.push(format!("{} {size}\n", entry.name));
    }
    names.sort();
    Ok(format!("{}requests: {}\n", names.concat(), REQUESTS.get()))
}

/// Copies until the input ends. An ended input is no error; an ended output is.
fn splice_all(from: &InputStream, to: &OutputStream) -> Result<(), StreamError> {
    loop {
        match to.blocking_splice(from, PIECE_BYTES) {
            Ok(_) => to.blocking_flush()?,
            Err(StreamError::Closed) => match from.read(1) {
                Err(StreamError::Closed) => return Ok(()),
                _ => return Err(StreamError::Closed),
            },
            Err(error) => return Err(error),
        }
    }
}
