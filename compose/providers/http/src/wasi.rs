//! Requests to a server, by the host's `wasi:http`.

use crate::wasi::bindings::wasi;
use kvfs_contract::StoreError;
use kvfs_http_wire::{AUTHORIZATION, CONTENT_TYPE, MAX_ANSWER_BYTES};
use wasi::clocks::monotonic_clock;
use wasi::http::outgoing_handler;
use wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasi::io::streams::{OutputStream, StreamError};

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "kvfs:adapter/http-provider",
        generate_all,
    });
}

/// Bytes asked for in one read of an answer.
const READ_BYTES: u64 = 256 << 10;

/// Waits.
pub(crate) fn pause(millis: u64) {
    monotonic_clock::subscribe_duration(millis * 1_000_000).block();
}

/// A request without a usable answer.
pub(crate) struct Failure {
    /// The server may have it.
    pub(crate) is_sent: bool,
    /// The same request may be answered later.
    pub(crate) may_pass: bool,
    pub(crate) error: StoreError,
}

/// Where requests go, and what they show.
pub(crate) struct Server {
    scheme: Scheme,
    authority: String,
    /// In front of the path of each call; empty or `/` and more.
    prefix: String,
    bearer: Vec<u8>,
}

impl Server {
    /// Reads a URL, which composition has checked.
    pub(crate) fn new(url: &str, token: &str) -> Result<Self, StoreError> {
        let (scheme, rest) = match url.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            _ => return Err(StoreError::Other(format!("{url} is not the URL of a store server"))),
        };
        let (authority, prefix) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority: authority.to_owned(), prefix, bearer: format!("Bearer {token}").into() })
    }

    /// Sends a request, and returns the body of its answer.
    pub(crate) fn ask(&self, path: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let (request, sink) = self.request(path, body.len()).map_err(|what| Failure {
            is_sent: false,
            may_pass: false,
            error: StoreError::Other(format!("the host does not take the request's {what}")),
        })?;
        let answer = outgoing_handler::handle(request, None).map_err(|code| self.failure(&code))?;
        // If this fails, the answer says why, or there is none.
        let sent = send(sink, body);
        answer.subscribe().block();
        match answer.get() {
            Some(Ok(Ok(response))) => self.read(response),
            Some(Ok(Err(code))) => Err(self.failure(&code)),
            Some(Err(())) | None => Err(self.unavailable(sent.err().unwrap_or("no answer"))),
        }
    }

    fn request(
        &self,
        path: &str,
        body_bytes: usize,
    ) -> Result<(OutgoingRequest, OutgoingBody), &'static str> {
        let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let headers = Fields::from_list(&[
            header(AUTHORIZATION, &self.bearer),
            header("content-type", CONTENT_TYPE.as_bytes()),
            header("content-length", body_bytes.to_string().as_bytes()),
        ]);
        let request = OutgoingRequest::new(headers.map_err(|_| "headers")?);
        request.set_method(&Method::Post).map_err(|()| "method")?;
        request.set_scheme(Some(&self.scheme)).map_err(|()| "scheme")?;
        request.set_authority(Some(&self.authority)).map_err(|()| "authority")?;
        request.set_path_with_query(Some(&format!("{}{path}", self.prefix))).map_err(|()| "path")?;
        let body = request.body().map_err(|()| "body")?;
        Ok((request, body))
    }

    fn read(&self, response: IncomingResponse) -> Result<Vec<u8>, Failure> {
        let answered = |may_pass, error| Err(Failure { is_sent: true, may_pass, error });
        match response.status() {
            200 => {}
            // Refused before anything was done.
            401 => {
                return Err(Failure { is_sent: false, may_pass: false, error: StoreError::AccessDenied });
            }
            413 => return Err(Failure { is_sent: false, may_pass: false, error: StoreError::TooLarge }),
            503 => {
                return Err(Failure {
                    is_sent: false,
                    ..self.unavailable("the store server is busy, or ends")
                });
            }
            404 => {
                let error =
                    format!("{} answers, and is no kvfs store server of this version", self.authority);
                return Err(Failure { is_sent: false, may_pass: false, error: StoreError::Other(error) });
            }
            status => {
                let error =
                    StoreError::Unavailable(format!("{} answers with status {status}", self.authority));
                return answered(status >= 500, error);
            }
        }
        let Ok(body) = response.consume() else { return Err(self.unavailable("an answer without a body")) };
        let read = read(&body).map_err(|why| self.unavailable(why));
        drop(body);
        read
    }

    fn unavailable(&self, why: &str) -> Failure {
        let error = StoreError::Unavailable(format!("{}: {why}", self.authority));
        Failure { is_sent: true, may_pass: true, error }
    }

    fn failure(&self, code: &ErrorCode) -> Failure {
        let (why, is_sent, may_pass) = match code {
            ErrorCode::ConnectionRefused => ("nobody listens; start `kvfs store-server` there", false, true),
            ErrorCode::DnsTimeout | ErrorCode::DnsError(_) => ("there is no such host", false, true),
            ErrorCode::DestinationNotFound | ErrorCode::DestinationUnavailable => {
                ("it cannot be reached", false, true)
            }
            ErrorCode::ConnectionTimeout => ("it cannot be reached in time", false, true),
            ErrorCode::ConnectionLimitReached => ("the host has too many connections", false, true),
            ErrorCode::DestinationIpProhibited | ErrorCode::DestinationIpUnroutable => {
                ("the host does not let this component go there", false, false)
            }
            ErrorCode::HttpRequestDenied => ("the host lets no request out; run with -S http", false, false),
            ErrorCode::TlsProtocolError | ErrorCode::TlsCertificateError | ErrorCode::TlsAlertReceived(_) => {
                ("no TLS connection; is the certificate one that the host trusts?", false, false)
            }
            ErrorCode::ConnectionTerminated => ("the connection was cut", true, true),
            ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionReadTimeout => {
                ("no answer in time", true, true)
            }
            _ => ("the request failed", true, true),
        };
        let mut failure = self.unavailable(why);
        (failure.is_sent, failure.may_pass) = (is_sent, may_pass);
        failure
    }
}

/// Writes a body.
fn send(sink: OutgoingBody, body: &[u8]) -> Result<(), &'static str> {
    let stream = sink.write().map_err(|()| "the request has no body")?;
    let written = write(&stream, body);
    // The stream goes first.
    drop(stream);
    let finished = OutgoingBody::finish(sink, None).map_err(|_| "the request could not be sent whole");
    written.map_err(|_| "the connection was cut")?;
    finished
}

fn write(stream: &OutputStream, mut body: &[u8]) -> Result<(), StreamError> {
    let ready = stream.subscribe();
    while !body.is_empty() {
        let room = stream.check_write()?;
        let (now, later) = body.split_at(body.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        if now.is_empty() {
            ready.block();
        } else {
            stream.write(now)?;
            body = later;
        }
    }
    stream.flush()
}

fn read(body: &IncomingBody) -> Result<Vec<u8>, &'static str> {
    let stream = body.stream().map_err(|()| "the answer has no body")?;
    let mut answer = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(bytes) => answer.extend_from_slice(&bytes),
            Err(StreamError::Closed) => return Ok(answer),
            Err(StreamError::LastOperationFailed(_)) => return Err("the answer was cut"),
        }
        if answer.len() > MAX_ANSWER_BYTES {
            return Err("the answer is too long");
        }
    }
}
