//! Connections and requests.

use super::answer::answer;
use crate::http_listener::listen;
use crate::same_bytes::same_bytes;
use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use kvfs_compose::Token;
use kvfs_host::AnyStore;
use kvfs_http_wire::{AUTHORIZATION, Call, MAX_REQUEST_BYTES};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Most calls of the store at one time, counted until their answers are sent: each may hold a large
/// request or answer. Further ones wait.
pub(super) const MAX_CALLS: usize = 32;

/// How long a client may take for the body of a request.
const BODY_TIME: Duration = Duration::from_secs(60);

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

    fn is_allowed(&self, request: &Request<Incoming>) -> bool {
        let shown = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
        same_bytes(shown, &self.bearer)
    }
}

/// Serves until the process ends.
pub(super) async fn serve(listener: &TcpListener, shared: Arc<Shared>) -> Result<()> {
    listen(listener, move |request| respond(request, shared.clone())).await
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
