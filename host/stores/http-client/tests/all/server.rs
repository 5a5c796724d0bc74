//! A store server in this process, with faults on order.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use kvfs_contract::{AsyncKvStore, Secret, StoreError, block_on};
use kvfs_http_store::{Config, HttpStore, OpenError};
use kvfs_http_wire::{Call, entries, limits, nothing, refusal, values};
use kvfs_remote::testing::Memory;
use kvfs_store_rig::Blocking;

pub(crate) const TOKEN: &str = "a-secret-of-some-length";

pub(crate) type Store = Blocking<HttpStore>;

/// What the server does with one request instead of its duty.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Answers with this status, type and body.
    Says(u16, &'static str, Vec<u8>),
    /// Does its duty and closes the connection without an answer.
    LosesAnswer,
    /// Closes the connection, and did nothing.
    LosesRequest,
    /// Sends half of the answer.
    Cuts,
}

/// A server over a store in memory. Its threads end with the process.
pub(crate) struct Server {
    pub(crate) memory: Memory,
    pub(crate) address: SocketAddr,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    requests: Arc<Mutex<usize>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server =
            Self { memory: Memory::new(), address, faults: Arc::default(), requests: Arc::default() };
        let (memory, faults) = (server.memory.clone(), server.faults.clone());
        let requests = server.requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (memory, faults, requests) = (memory.clone(), faults.clone(), requests.clone());
                thread::spawn(move || serve(stream, &memory, &faults, &requests));
            }
        });
        server
    }

    /// Lets the next requests meet faults.
    pub(crate) fn order(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.faults.lock().unwrap() = faults.into_iter().collect();
    }

    /// Returns how many requests came since the last look.
    pub(crate) fn requests(&self) -> usize {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    pub(crate) fn open(&self) -> Store {
        open(at(self.address)).unwrap_or_else(|error| panic!("{error}"))
    }
}

pub(crate) fn at(address: SocketAddr) -> Config {
    let mut config = Config::from_url(&format!("http://{address}")).unwrap().token(Secret::new(TOKEN));
    config.patience = Duration::from_secs(10);
    config
}

pub(crate) fn open(config: Config) -> Result<Store, OpenError> {
    Blocking::open(kvfs_http_store::open(config))
}

fn serve(stream: TcpStream, memory: &Memory, faults: &Mutex<VecDeque<Fault>>, requests: &Mutex<usize>) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some((path, token, body)) = request(&mut reader) {
        *requests.lock().unwrap() += 1;
        let fault = faults.lock().unwrap().pop_front();
        let (mut status, mut kind) = (200, kvfs_http_wire::CONTENT_TYPE);
        let answer = match &fault {
            Some(Fault::LosesRequest) => return,
            Some(Fault::Says(other, other_kind, text)) => {
                (status, kind) = (*other, other_kind);
                text.clone()
            }
            _ if token != format!("Bearer {TOKEN}") => {
                (status, kind) = (401, "text/plain");
                b"the token is missing or wrong".to_vec()
            }
            _ => done(memory, &path, &body),
        };
        if matches!(fault, Some(Fault::LosesAnswer)) {
            return;
        }
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nlocation: http://127.0.0.1:1/\r\n\r\n",
            answer.len()
        );
        let whole = [head.as_bytes(), &answer].concat();
        let sent = if matches!(fault, Some(Fault::Cuts)) { whole.len() - 1 } else { whole.len() };
        if writer.write_all(&whole[..sent]).is_err() || sent < whole.len() {
            return;
        }
    }
}

/// Reads a request: its path, its token and its body.
fn request(reader: &mut impl BufRead) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut token, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        // A head that is cut is no request.
        reader.read_line(&mut line).ok()?;
        if !line.ends_with('\n') {
            return None;
        }
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match &name.to_ascii_lowercase()[..] {
            "authorization" => token = value.to_owned(),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, token, body))
}

fn done(memory: &Memory, path: &str, body: &[u8]) -> Vec<u8> {
    let answer: Result<Vec<u8>, StoreError> = match Call::decode(path, body).unwrap().unwrap() {
        Call::Limits => block_on(memory.limits()).map(|found| limits::encode(&found)),
        Call::Get { keys } => block_on(memory.get(&keys)).map(|found| values::encode(&found)),
        Call::Scan { start, end, max_entries, max_bytes } => {
            block_on(memory.scan(start, end, max_entries, max_bytes)).map(|page| entries::encode(&page))
        }
        Call::Apply { guards, mutations, level } => {
            block_on(memory.apply(&guards, &mutations, level)).map(|()| nothing::encode())
        }
    };
    answer.unwrap_or_else(|error| refusal(&error))
}
