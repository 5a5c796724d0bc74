//! Connections and requests.

use super::answer::answer;
use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use kvfs_compose::Token;
use kvfs_host::AnyStore;
use kvfs_http_wire::{AUTHORIZATION, Call, MAX_REQUEST_BYTES};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Most connections at one time. Further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// Most calls of the store at one time, counted until their answers are sent: each may hold a large
/// request or answer. Further ones wait.
pub(super) const MAX_CALLS: usize = 32;

/// How long a client may take for the head of a request, and a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// How long a client may take for the body of a request.
const BODY_TIME: Duration = Duration::from_secs(60);

/// How long to wait before accepting again after a failure, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
pub(super) struct Shared {
    store: AnyStore,
    /// The value of the header with the right token.
    bearer: Vec<u8>,
    calls: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(store: AnyStore, token: &Token) -> Arc<Self> {
        let bearer = format!("Bearer {}", token.secret()).into_bytes();
        Arc::new(Self { store, bearer, calls: Arc::new(Semaphore::new(MAX_CALLS)) })
    }

    /// Compares without telling by the time it takes how much is right.
    fn is_allowed(&self, request: &Request<Incoming>) -> bool {
        let shown = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
        let differing = shown.iter().zip(&self.bearer).fold(0, |sum, (a, b)| sum | (a ^ b));
        shown.len() == self.bearer.len() && differing == 0
    }
}

/// Serves until the process ends.
pub(super) async fn serve(listener: &TcpListener, shared: Arc<Shared>) -> Result<()> {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = connections.clone().acquire_owned().await?;
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = shared.clone();
                tokio::spawn(async move {
                    connection(stream, shared).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Requests and answers are one message each: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(respond(request, shared).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = serving.await {
        tracing::debug!("a connection ended: {error}");
    }
}

async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> Response<Full<Bytes>> {
    match call(request, shared).await {
        Ok(body) => response(StatusCode::OK, kvfs_http_wire::CONTENT_TYPE, body),
        Err((status, why)) => {
            tracing::info!("refused: {status}: {why}");
            response(status, "text/plain", Bytes::from(format!("{why}\n")))
        }
    }
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

/// Makes the call that a request asks for. Until the store is called, nothing has changed.
async fn call(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Bytes, (StatusCode, &'static str)> {
    if !shared.is_allowed(&request) {
        return Err((StatusCode::UNAUTHORIZED, "the token is missing or wrong"));
    }
    if request.method() != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "calls are made with POST"));
    }
    let path = request.uri().path().to_owned();
    let body = request.into_body();
    const TOO_LONG: (StatusCode, &str) = (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
    if body.size_hint().lower() > MAX_REQUEST_BYTES as u64 {
        return Err(TOO_LONG);
    }
    let closed = |_| (StatusCode::SERVICE_UNAVAILABLE, "the server ends");
    let place = shared.calls.clone().acquire_owned().await.map_err(closed)?;
    let body = match timeout(BODY_TIME, Limited::new(body, MAX_REQUEST_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(TOO_LONG),
        Ok(Err(_)) => return Err((StatusCode::BAD_REQUEST, "the body is cut")),
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    };
    let calling = tokio::task::spawn_blocking(move || match Call::decode(&path, &body) {
        None => Err((StatusCode::NOT_FOUND, "there is no such call")),
        Some(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body cannot be read")),
        Some(Ok(call)) => Ok(Sent { answer: answer(&shared.store, call), _place: place }),
    });
    let broken = |_| (StatusCode::INTERNAL_SERVER_ERROR, "the server is broken; its log says why");
    calling.await.map_err(broken)?.map(Bytes::from_owner)
}

/// An answer that keeps its place among the calls until it is sent.
struct Sent {
    answer: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}
