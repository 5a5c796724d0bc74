//! Errors of http and of the file system, each checked for the other's code.

use crate::bindings::wasi::filesystem::types::filesystem_error_code;
use crate::bindings::wasi::http::outgoing_handler::handle;
use crate::bindings::wasi::http::types::{IncomingResponse, Method, http_error_code};
use crate::bindings::wasi::io::error::Error;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::client::{request, request_with, send};
use crate::files::{self, Cut, splice_all};
use crate::{Outcome, Step, say};

/// Prints both interfaces' codes for an error, and whether it has a message.
fn say_error(label: &str, error: Option<&Error>) {
    let told = error.map(|error| {
        let of_files = filesystem_error_code(error).map(|code| code.name());
        (http_error_code(error), of_files, !error.to_debug_string().is_empty())
    });
    say(label, told);
}

fn failed<T>(outcome: Result<T, StreamError>) -> Option<Error> {
    match outcome {
        Err(StreamError::LastOperationFailed(error)) => Some(error),
        _ => None,
    }
}

fn answer(server: &str) -> Outcome<IncomingResponse> {
    send(request(server, &Method::Get, "/")?, None, || Ok(()))?.step("get")
}

/// Passes the body's stream to a function; everything is dropped in the right order.
fn with_body(server: &str, then: impl FnOnce(&InputStream) -> Outcome) -> Outcome {
    let response = answer(server)?;
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    then(&stream)
}

/// Returns a stream of a file whose writes fail.
fn too_far() -> Outcome<OutputStream> {
    files::open("far")?.write_via_stream(u64::MAX).step("write-via-stream")
}

/// Writes to a request that announced five bytes.
fn too_much(label: &str, server: &str, write: impl FnOnce(&OutputStream) -> Option<Error>) -> Outcome {
    let length = [("content-length".to_owned(), b"5".to_vec())];
    let request = request_with(server, &Method::Post, "/", &length)?;
    let body = request.body().map_err(|()| "no body")?;
    let future = handle(request, None).step("post")?;
    let stream = body.write().map_err(|()| "no stream")?;
    say_error(label, write(&stream).as_ref());
    drop((stream, future));
    Ok(())
}

pub(crate) fn errors(refused: &str, cut: &str, chunked: &str, ended: &str) -> Outcome {
    let answer = send(request(refused, &Method::Get, "/")?, None, || Ok(()))?;
    say("nobody listens", answer.map(|_| ()));
    let answer = send(request(ended, &Method::Get, "/")?, None, || Ok(()))?;
    say("ends without an answer", answer.map(|_| ()));

    // A body that ends too soon, read by the program and by the file system.
    with_body(cut, |stream| {
        let mut read = 0;
        let error = loop {
            match stream.blocking_read(1000) {
                Ok(bytes) => read += bytes.len(),
                other => break failed(other),
            }
        };
        say("read before it ended", read);
        say_error("ended too soon, read", error.as_ref());
        Ok(())
    })?;
    for (label, server) in [("ended too soon", cut), ("no chunk", chunked)] {
        with_body(server, |stream| {
            let file = files::open(label)?;
            let to = file.write_via_stream(0).step("write-via-stream")?;
            let (moved, cut) = splice_all(stream, &to);
            say(&format!("moved before {label}"), moved);
            match cut {
                Some(Cut::Failed(error)) => say_error(&format!("{label}, spliced"), Some(&error)),
                Some(Cut::Closed) => say(&format!("{label}, spliced"), "closed"),
                None => say(&format!("{label}, spliced"), "whole"),
            }
            say(&format!("kept before {label}"), files::sum_of(&file)?);
            Ok(())
        })?;
    }

    // A request with more bytes than it announced, written by the program and by the file system.
    too_much("more than announced, written", cut, |stream| {
        failed(stream.blocking_write_and_flush(b"0123456789"))
    })?;
    let file = files::make("ten", 10)?;
    too_much("more than announced, spliced", cut, |stream| {
        let from = file.read_via_stream(0).ok()?;
        match splice_all(&from, stream) {
            (_, Some(Cut::Failed(error))) => Some(error),
            _ => None,
        }
    })?;

    // The file system's own errors, with http in the same program.
    let to = too_far()?;
    say_error("too far, written", failed(to.blocking_write_and_flush(b"x")).as_ref());
    with_body(cut, |stream| {
        let to = too_far()?;
        let error = match splice_all(stream, &to) {
            (_, Some(Cut::Failed(error))) => Some(error),
            _ => None,
        };
        say_error("too far, spliced", error.as_ref());
        Ok(())
    })
}
