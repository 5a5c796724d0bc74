//! A proxy between a client and its server.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::link::{Link, reset_when_dropped};
use crate::orders::{Counts, Cut, Direction, How, Shared};

/// Longest wait for the server to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Forwards connections to a server, and does to them what it is told. Everything ends with the
/// value.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    links: Arc<Links>,
}

type Links = Mutex<Vec<Weak<Link>>>;

impl Proxy {
    /// Starts a proxy in front of a server.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the proxy");
        let address = listener.local_addr().expect("the proxy's address");
        let shared = Arc::new(Shared::default());
        shared.orders().target = Some(target);
        let links = Arc::new(Links::default());
        let theirs = (shared.clone(), links.clone());
        thread::spawn(move || accept(&listener, &theirs.0, &theirs.1));
        Self { address, shared, links }
    }

    /// Returns the address that clients use instead of the server's.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forwards new connections to another server.
    pub fn set_target(&self, target: SocketAddr) {
        self.shared.orders().target = Some(target);
    }

    /// Delays each direction by so much.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.orders().delay = delay;
    }

    /// Holds all bytes in both directions, or lets them go on.
    pub fn set_stalled(&self, stalled: bool) {
        self.shared.orders().stalled = stalled;
    }

    /// Shows clients other bytes, as many, in place of some of the server's, wherever they come in one
    /// piece: to pass a server for another version.
    ///
    /// # Panics
    /// If the lengths differ, or nothing is to be replaced.
    pub fn rewrite(&self, from: &str, to: &str) {
        assert!(!from.is_empty() && from.len() == to.len(), "{from:?} and {to:?} differ in length");
        self.shared.orders().rewriting.push((from.into(), to.into()));
    }

    /// Resets new connections at once, or lets them in again.
    pub fn set_refusing(&self, refusing: bool) {
        self.shared.orders().refusing = refusing;
    }

    /// Lets so many more bytes pass in one direction, over all connections, and then cuts the
    /// connection that has the next ones. A cut happens once.
    pub fn cut_after(&self, direction: Direction, bytes: u64, how: How) {
        self.shared.orders().cut = Some(Cut { direction, left_bytes: bytes, how });
    }

    /// Returns whether a cut is still to come, and takes the order back.
    pub fn cancel_cut(&self) -> bool {
        self.shared.orders().cut.take().is_some()
    }

    /// Resets all connections.
    pub fn reset_all(&self) {
        let links = std::mem::take(&mut *self.links.lock().unwrap_or_else(PoisonError::into_inner));
        links.iter().filter_map(Weak::upgrade).for_each(|link| link.end(How::Reset));
    }

    /// Returns the counts.
    pub fn counts(&self) -> Counts {
        self.shared.orders().counts
    }

    /// Starts counting from nothing.
    pub fn reset_counts(&self) {
        let mut orders = self.shared.orders();
        orders.counts = Counts::default();
        orders.last = None;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.end();
        self.reset_all();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, links: &Links) {
    for client in listener.incoming() {
        if shared.ended() {
            return;
        }
        let Ok(client) = client else { continue };
        let (target, refusing) = {
            let mut orders = shared.orders();
            orders.counts.connections += 1;
            (orders.target.expect("a target"), orders.refusing)
        };
        // As if nothing listened here.
        let server = if refusing { None } else { TcpStream::connect_timeout(&target, CONNECT).ok() };
        let Some(server) = server else {
            reset_when_dropped(&client);
            continue;
        };
        let link = Link::start(client, server, shared);
        let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
    }
}
