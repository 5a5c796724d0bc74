//! Who may ask: the holder of the token, from an address of this machine.

use super::answer::Refused;
use crate::same_bytes::same_bytes;
use anyhow::{Result, anyhow};
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};

/// Bytes of chance in a token.
const TOKEN_BYTES: usize = 24;

/// Most bytes of a request's target: the names of two volumes and two paths, each byte escaped.
const MAX_TARGET_BYTES: usize = 32 << 10;

/// The secret part of the page's address, and the names by which it may be asked for.
pub(super) struct Guard {
    token: String,
    hosts: [String; 2],
}

impl Guard {
    /// Makes a token for a page at a port of this machine.
    pub(super) fn new(port: u16) -> Result<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
        let token = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { token, hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")] })
    }

    /// The page's address.
    pub(super) fn address(&self) -> String {
        format!("http://{}/{}/", self.hosts[0], self.token)
    }

    /// Returns the page and the query that a request asks for.
    ///
    /// A page elsewhere can make a browser send requests here, under a name of its own that leads to this
    /// machine. It has no token, and its name is not one of ours.
    pub(super) fn admit<'r>(&self, request: &'r Request<Incoming>) -> Result<(&'r str, &'r str), Refused> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = hosts.next().map(|host| host.as_bytes()).unwrap_or_default();
        let is_ours = self.hosts.iter().any(|ours| host.eq_ignore_ascii_case(ours.as_bytes()));
        if !is_ours || hosts.next().is_some() || request.uri().authority().is_some() {
            return Err(Refused::new(
                StatusCode::MISDIRECTED_REQUEST,
                "this is no address of the page; use the one that `kvfs serve` has printed",
            ));
        }
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let (token, page) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        if !same_bytes(token.as_bytes(), self.token.as_bytes()) {
            return Err(Refused::new(
                StatusCode::FORBIDDEN,
                "the token in the address is missing or wrong; use the address that `kvfs serve` has printed",
            ));
        }
        if path.len() + query.len() > MAX_TARGET_BYTES {
            return Err(Refused::new(StatusCode::URI_TOO_LONG, "the address is too long"));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "the page is read-only: it takes GET"));
        }
        Ok((page, query))
    }
}
