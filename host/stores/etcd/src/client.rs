//! Requests to the servers of a cluster.

use crate::error::{Kind, OpenError, kind};
use crate::messages::{
    AuthenticateRequest, AuthenticateResponse, RangeRequest, RangeResponse, StatusRequest, StatusResponse,
    TxnRequest, TxnResponse,
};
use crate::url::Config;
use kvfs_contract::Secret;
use prost::Message;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// The longest time until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);

/// The longest time that one attempt of a request takes.
const ATTEMPT: Duration = Duration::from_secs(7);

/// How often a connection that waits for an answer is asked whether it still stands.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Pauses between attempts, the first and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// Most bytes of an answer that holds little.
const MAX_SMALL_ANSWER_BYTES: usize = 4 << 20;

/// The servers, and a token for them if there is a user.
#[derive(Debug)]
pub(crate) struct Client {
    /// One channel for each server; each connects when it is used.
    channels: Vec<Channel>,
    current: AtomicUsize,
    user: Option<(String, Secret)>,
    token: Mutex<Option<MetadataValue<Ascii>>>,
    patience: Duration,
}

impl Client {
    /// Makes a client. Nothing is sent.
    pub(crate) fn new(config: &Config) -> Result<Self, OpenError> {
        let wrong = |why: String| OpenError::Settings { why };
        let scheme = if config.tls { "https" } else { "http" };
        let tls = if config.tls { Some(tls(config)?) } else { None };
        let channel = |host: &String| {
            let endpoint = Endpoint::from_shared(format!("{scheme}://{host}"));
            let mut endpoint = endpoint
                .map_err(|_| wrong(format!("{host} is no host")))?
                .connect_timeout(CONNECT.min(config.patience))
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .tcp_nodelay(true);
            if let Some(tls) = &tls {
                let configured = endpoint.tls_config(tls.clone());
                endpoint = configured.map_err(|error| wrong(format!("TLS: {error}")))?;
            }
            Ok(endpoint.connect_lazy())
        };
        Ok(Self {
            channels: config.hosts.iter().map(channel).collect::<Result<_, OpenError>>()?,
            current: AtomicUsize::new(0),
            user: config.user.clone(),
            token: Mutex::new(None),
            patience: config.patience,
        })
    }

    pub(crate) async fn status(&self) -> Result<StatusResponse, Status> {
        const PATH: &str = "/etcdserverpb.Maintenance/Status";
        self.ask(PATH, StatusRequest {}, MAX_SMALL_ANSWER_BYTES).await
    }

    /// Reads a range, on a majority's word.
    pub(crate) async fn range(
        &self,
        request: RangeRequest,
        max_answer_bytes: usize,
    ) -> Result<RangeResponse, Status> {
        self.ask("/etcdserverpb.KV/Range", request, max_answer_bytes).await
    }

    /// Makes a transaction that may be made twice: one that only reads.
    pub(crate) async fn read(&self, txn: TxnRequest, max_answer_bytes: usize) -> Result<TxnResponse, Status> {
        self.ask("/etcdserverpb.KV/Txn", txn, max_answer_bytes).await
    }

    /// Makes a transaction once. If the connection breaks, it may have been made.
    pub(crate) async fn write(&self, txn: TxnRequest) -> Result<TxnResponse, Status> {
        self.attempt("/etcdserverpb.KV/Txn", txn, MAX_SMALL_ANSWER_BYTES).await
    }

    /// Sends a request until it is answered, or patience ends.
    async fn ask<Q, A>(&self, path: &'static str, request: Q, max_answer_bytes: usize) -> Result<A, Status>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut attempts = self.attempts();
        loop {
            match self.attempt(path, request.clone(), max_answer_bytes).await {
                Ok(answer) => return Ok(answer),
                Err(status) => attempts.again(status).await?,
            }
        }
    }

    /// Begins a series of attempts.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts { client: self, begun: Instant::now(), pause: PAUSES[0] }
    }

    /// Sends a request once, with a token if there is a user. A token that the servers do not know
    /// any more is replaced; they check it before they do anything.
    async fn attempt<Q, A>(
        &self,
        path: &'static str,
        request: Q,
        max_answer_bytes: usize,
    ) -> Result<A, Status>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let sent = self.send(path, request.clone(), self.token().await?, max_answer_bytes).await;
        match sent {
            Err(status) if self.user.is_some() && kind(&status) == Kind::Token => {
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
                self.send(path, request, self.token().await?, max_answer_bytes).await
            }
            sent => sent,
        }
    }

    /// Returns a token for the user, if there is one.
    async fn token(&self) -> Result<Option<MetadataValue<Ascii>>, Status> {
        let Some((name, password)) = &self.user else { return Ok(None) };
        if let Some(token) = &*self.token.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Some(token.clone()));
        }
        let request = AuthenticateRequest { name: name.clone(), password: password.reveal().to_owned() };
        let path = "/etcdserverpb.Auth/Authenticate";
        let answer = self.send(path, request, None, MAX_SMALL_ANSWER_BYTES).await;
        let answer: AuthenticateResponse = match answer {
            // As etcdctl, which takes a user there too.
            Err(status) if status.message().contains("authentication is not enabled") => return Ok(None),
            answer => answer?,
        };
        let mut token: MetadataValue<Ascii> =
            answer.token.parse().map_err(|_| Status::data_loss("the server's token is no text"))?;
        token.set_sensitive(true);
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(Some(token))
    }

    async fn send<Q, A>(
        &self,
        path: &'static str,
        message: Q,
        token: Option<MetadataValue<Ascii>>,
        max_answer_bytes: usize,
    ) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let current = self.current.load(Ordering::Relaxed) % self.channels.len().max(1);
        let channel = self.channels.get(current).ok_or_else(|| Status::internal("no server is named"))?;
        let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(max_answer_bytes);
        let mut request = Request::new(message);
        if let Some(token) = token {
            request.metadata_mut().insert("token", token);
        }
        let sending = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            let codec: ProstCodec<Q, A> = ProstCodec::default();
            grpc.unary(request, PathAndQuery::from_static(path), codec).await
        };
        match tokio::time::timeout(ATTEMPT.min(self.patience), sending).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }
}

fn tls(config: &Config) -> Result<ClientTlsConfig, OpenError> {
    let read = |path: &std::path::Path| {
        let wrong = |error| OpenError::Settings { why: format!("{}: {error}", path.display()) };
        std::fs::read(path).map_err(wrong)
    };
    let mut tls = ClientTlsConfig::new();
    tls = match &config.ca_file {
        Some(file) => tls.ca_certificate(Certificate::from_pem(read(file)?)),
        None => tls.with_native_roots(),
    };
    if let Some((certificate, key)) = &config.identity {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(tls)
}

/// A series of attempts of one request.
pub(crate) struct Attempts<'c> {
    client: &'c Client,
    begun: Instant,
    pause: Duration,
}

impl Attempts<'_> {
    /// Waits before the next attempt, which goes to the next server.
    ///
    /// # Errors
    /// The one given: it is no reason for another attempt, or patience has ended.
    pub(crate) async fn again(&mut self, status: Status) -> Result<(), Status> {
        let is_passing = matches!(kind(&status), Kind::Unsent | Kind::Broken);
        if !is_passing || self.begun.elapsed() + self.pause >= self.client.patience {
            return Err(status);
        }
        self.client.current.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES[1]);
        Ok(())
    }
}
