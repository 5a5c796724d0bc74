//! Connections through a proxy: threads that read and write.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::orders::{Direction, How, Shared};

/// Pause after which a thread that waits for bytes, or for room, looks at the orders again.
const LOOK: Duration = Duration::from_millis(20);

/// Most chunks that wait in one direction of a connection.
const MAX_WAITING_CHUNKS: usize = 256;

/// Most bytes that are read at once.
const MAX_CHUNK_BYTES: usize = 64 << 10;

/// Makes the end of a connection a reset.
pub(crate) fn reset_when_dropped(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// A client's connection and the one to the server that goes with it.
pub(crate) struct Link {
    client: TcpStream,
    server: TcpStream,
    cut: AtomicBool,
    /// Stalled for ever, as [`How::Stall`] says.
    stuck: AtomicBool,
}

impl Link {
    /// Starts to forward between two connections, until one of them ends.
    pub(crate) fn start(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) -> Arc<Self> {
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
            let _ = stream.set_read_timeout(Some(LOOK));
            let _ = stream.set_write_timeout(Some(LOOK));
        }
        let (cut, stuck) = (AtomicBool::new(false), AtomicBool::new(false));
        let link = Arc::new(Self { client, server, cut, stuck });
        for direction in [Direction::Up, Direction::Down] {
            let (waiting, changed) = (Mutex::default(), Condvar::new());
            let pipe =
                Arc::new(Pipe { shared: shared.clone(), link: link.clone(), direction, waiting, changed });
            let reading = pipe.clone();
            thread::spawn(move || reading.read());
            thread::spawn(move || pipe.write());
        }
        link
    }

    /// Cuts the connection. A reset happens when the last thread lets go of it.
    pub(crate) fn end(&self, how: How) {
        if how == How::Stall {
            self.stuck.store(true, Ordering::Release);
            return;
        }
        // First, or the end that the server answers with would be forwarded before the reset.
        self.cut.store(true, Ordering::Release);
        match how {
            How::Close => drop(self.client.shutdown(Shutdown::Write)),
            _ => reset_when_dropped(&self.client),
        }
        let _ = self.server.shutdown(Shutdown::Write);
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Acquire)
    }
}

/// One direction of a connection: a thread that reads, one that writes, and between them the bytes
/// that wait for their time.
struct Pipe {
    shared: Arc<Shared>,
    link: Arc<Link>,
    direction: Direction,
    waiting: Mutex<VecDeque<Chunk>>,
    changed: Condvar,
}

/// Bytes with the moment at which they came; no bytes are the end.
struct Chunk {
    came: Instant,
    bytes: Vec<u8>,
}

impl Pipe {
    fn gone(&self) -> bool {
        self.link.is_cut() || self.shared.ended()
    }

    /// Reads from one side until it ends.
    fn read(&self) {
        let mut from = match self.direction {
            Direction::Up => &self.link.client,
            Direction::Down => &self.link.server,
        };
        let mut buffer = vec![0; MAX_CHUNK_BYTES];
        while !self.gone() {
            let length = match from.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if is_timeout(error.kind()) => continue,
                // The other side resets too.
                Err(_) => return self.link.end(How::Reset),
            };
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while waiting.len() >= MAX_WAITING_CHUNKS && !self.gone() {
                waiting = self.changed.wait_timeout(waiting, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            }
            waiting.push_back(Chunk { came: Instant::now(), bytes: buffer[..length].to_vec() });
            self.changed.notify_all();
            if length == 0 {
                return;
            }
        }
    }

    /// Writes to the other side what was read, when it is time.
    fn write(&self) {
        while !self.gone() {
            let Some(mut chunk) = self.next() else { continue };
            if chunk.bytes.is_empty() && !self.gone() {
                let to = match self.direction {
                    Direction::Up => &self.link.server,
                    Direction::Down => &self.link.client,
                };
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            let (passing, how) = {
                let mut orders = self.shared.orders();
                orders.rewrite(self.direction, &mut chunk.bytes);
                orders.pass(self.direction, chunk.bytes.len())
            };
            self.write_all(&chunk.bytes[..passing]);
            if let Some(how) = how {
                self.link.end(how);
            }
        }
    }

    /// Waits for the next chunk and its time. None: look at the orders again.
    fn next(&self) -> Option<Chunk> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            waiting = self.changed.wait_timeout(waiting, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        let came = waiting.front()?.came;
        // Looked at when there is a chunk: an order holds for all that is sent after it.
        let (delay, stalled) = {
            let orders = self.shared.orders();
            (orders.delay, orders.stalled || self.link.is_stuck())
        };
        let early = (came + delay).saturating_duration_since(Instant::now());
        let pause = if stalled { LOOK } else { early.min(LOOK) };
        if !pause.is_zero() {
            drop(waiting);
            thread::sleep(pause);
            return None;
        }
        let chunk = waiting.pop_front();
        self.changed.notify_all();
        chunk
    }

    fn write_all(&self, mut bytes: &[u8]) {
        let mut to = match self.direction {
            Direction::Up => &self.link.server,
            Direction::Down => &self.link.client,
        };
        while !bytes.is_empty() && !self.gone() {
            match to.write(bytes) {
                Ok(0) => return self.link.end(How::Reset),
                Ok(length) => bytes = &bytes[length..],
                Err(error) if is_timeout(error.kind()) => {}
                Err(_) => return self.link.end(How::Reset),
            }
        }
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
