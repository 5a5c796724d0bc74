//! Time-outs of requests: set, read back, and reached.

use crate::bindings::wasi::http::types::{Method, RequestOptions, http_error_code};
use crate::bindings::wasi::io::streams::StreamError;
use crate::client::{request, send};
use crate::{Outcome, Step, say};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

struct Limits {
    connect: u64,
    first_byte: u64,
    between_bytes: u64,
}

const LONG: Limits = Limits { connect: 60 * SECOND, first_byte: 60 * SECOND, between_bytes: 60 * SECOND };

fn options(limits: &Limits) -> Outcome<RequestOptions> {
    let options = RequestOptions::new();
    options.set_connect_timeout(Some(limits.connect)).step("set-connect-timeout")?;
    options.set_first_byte_timeout(Some(limits.first_byte)).step("set-first-byte-timeout")?;
    options.set_between_bytes_timeout(Some(limits.between_bytes)).step("set-between-bytes-timeout")?;
    let set = (options.connect_timeout(), options.first_byte_timeout(), options.between_bytes_timeout());
    if set != (Some(limits.connect), Some(limits.first_byte), Some(limits.between_bytes)) {
        return Err(format!("the time-outs read back are {set:?}"));
    }
    Ok(options)
}

/// One server does not accept the connection, one does not answer, one stops in the middle of its
/// body.
pub(crate) fn timeouts(full: &str, silent: &str, stalled: &str) -> Outcome {
    let ask = |server: &str, limits: Limits| {
        send(request(server, &Method::Get, "/")?, Some(options(&limits)?), || Ok(()))
    };
    let answer = ask(full, Limits { connect: 100 * MILLISECOND, ..LONG })?;
    say("connect", answer.map(|_| ()));
    let answer = ask(silent, Limits { first_byte: 100 * MILLISECOND, ..LONG })?;
    say("first byte", answer.map(|_| ()));

    let response = ask(stalled, Limits { between_bytes: 100 * MILLISECOND, ..LONG })?.step("stalled")?;
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut heard = Vec::new();
    let error = loop {
        match stream.blocking_read(1000) {
            Ok(bytes) => heard.extend(bytes),
            Err(StreamError::Closed) => return Err("the body has ended".to_owned()),
            Err(StreamError::LastOperationFailed(error)) => break error,
        }
    };
    say("before it stopped", String::from_utf8_lossy(&heard));
    say("between bytes", http_error_code(&error));
    Ok(())
}
