//! An http client: bodies as streams in both directions, trailers, several streams at once.

use crate::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use crate::bindings::wasi::http::outgoing_handler::handle;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureTrailers, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use crate::bindings::wasi::io::poll::poll;
use crate::bindings::wasi::io::streams::StreamError;
use crate::{Outcome, Step, files, say};

/// Makes a request that asks for trailers and announces one.
pub(crate) fn request(server: &str, method: &Method, path: &str) -> Outcome<OutgoingRequest> {
    let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    request_with(server, method, path, &[field("te", "trailers"), field("trailer", "x-count")])
}

pub(crate) fn request_with(
    server: &str,
    method: &Method,
    path: &str,
    headers: &[(String, Vec<u8>)],
) -> Outcome<OutgoingRequest> {
    let request = OutgoingRequest::new(Fields::from_list(headers).step("headers")?);
    request.set_method(method).step("set-method")?;
    request.set_scheme(Some(&Scheme::Http)).step("set-scheme")?;
    request.set_authority(Some(server)).step("set-authority")?;
    request.set_path_with_query(Some(path)).step("set-path")?;
    Ok(request)
}

/// Sends a request and waits for the answer. The outer error is a step that should not have failed.
pub(crate) fn send(
    request: OutgoingRequest,
    options: Option<RequestOptions>,
    while_waiting: impl FnOnce() -> Outcome,
) -> Outcome<Result<IncomingResponse, ErrorCode>> {
    let future = match handle(request, options) {
        Ok(future) => future,
        Err(error) => return Ok(Err(error)),
    };
    while_waiting()?;
    future.subscribe().block();
    let response = future.get().ok_or("the future is ready without an answer")?;
    if future.get().is_none_or(|again| again.is_ok()) {
        return Err("the answer can be taken twice".to_owned());
    }
    response.map_err(|()| "the answer is gone though nobody took it".to_owned())
}

/// Waits for the trailers of a body that has been read.
fn trailers(body: IncomingBody) -> Outcome<Vec<(String, String)>> {
    let future: FutureTrailers = IncomingBody::finish(body);
    let trailers = loop {
        match future.get() {
            Some(trailers) => break trailers,
            None => future.subscribe().block(),
        }
    };
    let fields = trailers.map_err(|()| "the trailers are gone though nobody took them")?.step("trailers")?;
    let fields = fields.map(|fields| fields.entries()).unwrap_or_default();
    Ok(fields.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect())
}

fn say_start(response: &IncomingResponse) {
    say("status", response.status());
    let kind = response.headers().get("content-type");
    say("content-type", kind.first().map(|value| String::from_utf8_lossy(value).into_owned()));
}

/// Stores a body in a file, and prints its trailers.
pub(crate) fn get(server: &str) -> Outcome {
    let request = request(server, &Method::Get, "/large?size=1000003")?;
    let response = send(request, None, || Ok(()))?.step("get")?;
    say_start(&response);
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let file = files::open("body")?;
    say("moved", files::keep(&stream, &file)?);
    drop(stream);
    say("trailers", trailers(body)?);
    say("kept", files::sum_of(&file)?);
    Ok(())
}

/// Sends a file with a trailer after it, and stores the answer in another file.
pub(crate) fn post(server: &str) -> Outcome {
    let file = files::make("sent", 300_000)?;
    let request = request(server, &Method::Post, "/echo")?;
    let body = request.body().map_err(|()| "no body")?;
    let response = send(request, None, || {
        let stream = body.write().map_err(|()| "no stream")?;
        let count = files::send(&file, &stream)?;
        say("moved out", count);
        // A child of the body, dropped before it.
        drop(stream);
        let trailers = Fields::new();
        trailers.append("x-count", count.to_string().as_bytes()).step("trailer")?;
        OutgoingBody::finish(body, Some(trailers)).step("finish")
    });
    let response = response?.step("post")?;
    say_start(&response);
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let back = files::open("back")?;
    say("moved in", files::keep(&stream, &back)?);
    drop(stream);
    say("trailers", trailers(body)?);
    say("the same", files::bytes_of(&file)? == files::bytes_of(&back)?);
    Ok(())
}

/// Waits on a body that arrives piece by piece, a file and a clock together.
pub(crate) fn together(server: &str) -> Outcome {
    let response = send(request(server, &Method::Get, "/drops")?, None, || Ok(()))?.step("get")?;
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let file = files::open("drops")?;
    let to = file.append_via_stream().step("append-via-stream")?;
    let never = subscribe_duration(3_600_000_000_000);
    let (reading, writing) = (stream.subscribe(), to.subscribe());
    let mut at_once = true;
    loop {
        // The file is always ready, so the first poll does not wait. The second waits for the body
        // alone.
        at_once &= poll(&[&never, &reading, &writing]).contains(&2);
        if poll(&[&never, &reading]) != [1] {
            return Err("the timer of an hour was ready".to_owned());
        }
        match stream.read(1000) {
            Ok(bytes) => to.blocking_write_and_flush(&bytes).step("write")?,
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    say("the file was ready at once", at_once);
    say("kept", String::from_utf8(files::bytes_of(&file)?).step("text")?);
    Ok(())
}
