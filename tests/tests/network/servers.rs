//! Servers on 127.0.0.1 for guests. They end when the value that holds them is dropped.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TRAILER};
use hyper::{Request, Response, StatusCode, service::service_fn};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Runtime;
use wasmtime_wasi_http::io::TokioIo;

type Body = BoxBody<Bytes, Infallible>;

/// Servers, which run while this value lives. Its methods start them and return their addresses.
pub(super) struct Servers {
    runtime: Option<Runtime>,
    /// A listening socket whose queue is full, and the connections that fill it.
    full: Vec<Socket>,
}

/// The behaviour of a server without http, once it has received a request.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// Says this and closes the connection.
    Say(&'static str),
    /// Says this and keeps the connection open, in silence.
    Stall(&'static str),
}

impl Servers {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { runtime: Some(runtime.unwrap()), full: Vec::new() }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("only drop takes the runtime")
    }

    fn listener(&self) -> (TcpListener, String) {
        let listener = self.runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    /// Starts an http server; see [`respond`].
    pub(super) fn http(&self) -> String {
        let (listener, address) = self.listener();
        self.runtime().spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service_fn(respond));
                tokio::spawn(serving);
            }
        });
        address
    }

    /// Starts a server that says the same to every client.
    pub(super) fn raw(&self, then: Then) -> String {
        let (listener, address) = self.listener();
        self.runtime().spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(say(connection, then));
            }
        });
        address
    }

    /// Returns an address that accepts no connection: its queue of one is full.
    pub(super) fn full(&mut self) -> String {
        let socket = |domain| Socket::new(domain, Type::STREAM, None).unwrap();
        let listening = socket(Domain::IPV4);
        listening.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listening.listen(0).unwrap();
        let address = listening.local_addr().unwrap();
        // Linux takes one more connection than the backlog says.
        for _ in 0..4 {
            let waiting = socket(Domain::IPV4);
            waiting.set_nonblocking(true).unwrap();
            let _ = waiting.connect(&address);
            self.full.push(waiting);
        }
        self.full.push(listening);
        address.as_socket().unwrap().to_string()
    }

    /// Returns an address where nobody listens.
    pub(super) fn nobody() -> String {
        // Bound and closed again.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    }

    /// Starts a server that answers each datagram in capitals.
    pub(super) fn udp(&self) -> String {
        let socket = self.runtime().block_on(UdpSocket::bind("127.0.0.1:0")).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        self.runtime().spawn(async move {
            let mut datagram = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut datagram).await.unwrap();
                socket.send_to(&datagram[..length].to_ascii_uppercase(), from).await.unwrap();
            }
        });
        address
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn say(mut connection: TcpStream, then: Then) -> std::io::Result<()> {
    let mut heard = Vec::new();
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        if connection.read_buf(&mut heard).await? == 0 {
            return Ok(());
        }
    }
    let (Then::Say(words) | Then::Stall(words)) = then;
    connection.write_all(words.as_bytes()).await?;
    if let Then::Stall(_) = then {
        // Until the client closes the connection.
        while connection.read_buf(&mut heard).await? > 0 {}
    }
    Ok(())
}

/// Answers a request: `/large` is a body of many pieces with trailers, `/echo` returns the body and
/// the trailers, and `/drops` is a slow body.
async fn respond(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let response =
        Response::builder().header(CONTENT_TYPE, "test/plain").header(TRAILER, "x-count, x-missing");
    let path = request.uri().path().to_owned();
    let body = match path.as_str() {
        "/large" => {
            let size = request.uri().query().and_then(|query| query.strip_prefix("size=")?.parse().ok());
            large(size.unwrap_or(1000))
        }
        "/echo" => {
            // A request that breaks off would break off the response.
            request.into_body().map_frame(|frame| frame).map_err(|_| unreachable_here()).boxed()
        }
        "/drops" => drops(),
        _ => {
            let body = http_body_util::Full::from("no such thing").boxed();
            return Ok(Response::builder().status(StatusCode::NOT_FOUND).body(body).unwrap());
        }
    };
    Ok(response.body(body).unwrap())
}

/// The guests of these tests send their requests in full.
fn unreachable_here() -> Infallible {
    panic!("a request broke off")
}

/// Returns bytes that differ from position to position.
pub(super) fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 253) as u8).collect()
}

fn frames(frames: Vec<(Duration, Frame<Bytes>)>) -> Body {
    let frames = futures_util::stream::unfold(frames.into_iter(), |mut frames| async move {
        let (pause, frame) = frames.next()?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Some((Ok(frame), frames))
    });
    BodyExt::boxed(StreamBody::new(frames))
}

fn large(size: usize) -> Body {
    let bytes = bytes(size);
    let pieces = bytes.chunks(9999).map(|piece| Frame::data(Bytes::copy_from_slice(piece)));
    let mut trailers = HeaderMap::new();
    trailers.insert("x-count", HeaderValue::from(size));
    let last = Frame::trailers(trailers);
    frames(pieces.chain([last]).map(|frame| (Duration::ZERO, frame)).collect())
}

fn drops() -> Body {
    let drops = (0..5).map(|number| Frame::data(Bytes::from(format!("drop {number}\n"))));
    frames(drops.map(|frame| (Duration::from_millis(20), frame)).collect())
}
