//! One request and its answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kvfs_contract::{StoreError, in_a_line};
use kvfs_http_wire::{Call, MAX_ANSWER_BYTES};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};

use crate::error::{OpenError, words};
use crate::url::Config;

/// Longest wait until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest time for which an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Most bytes of an answer that is not one of the store: it is looked at for its words alone.
const MAX_REFUSAL_BYTES: usize = 4096;

/// A server, and connections to it that are used again.
#[derive(Debug)]
pub(crate) struct Server {
    client: Client,
    base: Url,
    bearer: HeaderValue,
}

/// Why a request has no answer of the store.
pub(crate) enum Failure {
    /// The server did not see it, or did nothing: it may be sent again.
    NotDone(String),
    /// Nobody knows whether it was done.
    Unknown(String),
    /// The server refuses the token.
    Token,
    /// It will not be otherwise next time; nothing was done.
    Refused(String),
}

impl Server {
    /// Makes the client. Nothing is sent.
    pub(crate) fn new(config: &Config) -> Result<Self, OpenError> {
        // An error says that the process has a provider of cryptography already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed = |why| OpenError::Client { place: config.place(), why };
        let bearer = format!("Bearer {}", config.secret()?.reveal());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|error| failed(words(&error)))?;
        bearer.set_sensitive(true);
        let client = Client::builder()
            .connect_timeout(CONNECT.min(config.patience))
            .timeout(config.patience)
            // The server closes connections that are idle for 60 seconds.
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            // The token goes to the server that was named, and to no other one.
            .redirect(Policy::none())
            .build()
            .map_err(|error| failed(words(&error)))?;
        Ok(Self { client, base: config.base.clone(), bearer })
    }

    /// Sends a call once.
    pub(crate) async fn ask(&self, call: &Call<'_>, body: Bytes) -> Result<Bytes, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), call.path()));
        let request = self
            .client
            .post(url)
            .header(AUTHORIZATION, self.bearer.clone())
            .header(CONTENT_TYPE, kvfs_http_wire::CONTENT_TYPE)
            .body(body);
        let response = request.send().await.map_err(|error| {
            let is_sent = !error.is_connect() && !error.is_builder();
            let why = words(&error.without_url());
            if is_sent { Failure::Unknown(why) } else { Failure::NotDone(why) }
        })?;
        let status = response.status();
        let most = if status == StatusCode::OK { MAX_ANSWER_BYTES } else { MAX_REFUSAL_BYTES };
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let is_ours = kind == kvfs_http_wire::CONTENT_TYPE.as_bytes();
        let body = whole(response, most).await;
        let says = || {
            let said =
                body.as_ref().map(|body| in_a_line(&String::from_utf8_lossy(body))).unwrap_or_default();
            format!("{status}: {said}")
        };
        match status {
            StatusCode::OK if is_ours => body.map_err(Failure::Unknown),
            StatusCode::UNAUTHORIZED => Err(Failure::Token),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Failure::NotDone(says())),
            // A proxy in front says so too, of a server that it cannot reach.
            StatusCode::SERVICE_UNAVAILABLE => Err(Failure::NotDone(says())),
            StatusCode::PAYLOAD_TOO_LARGE => Err(Failure::Refused(says())),
            // The server may have begun, or a proxy may have lost its answer.
            _ if status.is_server_error() => Err(Failure::Unknown(says())),
            _ => Err(Failure::Refused(says())),
        }
    }
}

/// Reads a body of at most so many bytes.
async fn whole(mut response: reqwest::Response, most: usize) -> Result<Bytes, String> {
    let told = response.content_length().and_then(|length| usize::try_from(length).ok());
    // A wrong length takes no memory.
    let mut body = BytesMut::with_capacity(told.unwrap_or(0).min(most).min(1 << 20));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > most => {
                return Err("the answer is longer than a store's".to_owned());
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.freeze()),
            Err(error) => return Err(words(&error.without_url())),
        }
    }
}

impl Failure {
    /// Returns the error of a call that is not sent again.
    pub(crate) fn error(self, place: &str) -> StoreError {
        match self {
            Self::NotDone(why) | Self::Unknown(why) => StoreError::Unavailable(format!(
                "{place}: {why}; check that kvfs store-server runs and can be reached"
            )),
            Self::Token => StoreError::AccessDenied,
            Self::Refused(why) => StoreError::Other(format!("{place} is no store server: {why}")),
        }
    }
}
