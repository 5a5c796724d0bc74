//! Orders to a proxy, and what it counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A direction, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// How a connection is cut. The server sees the end of the client's bytes either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The client's connection is reset.
    Reset,
    /// The client sees an orderly end of the server's bytes.
    Close,
    /// Nothing moves any more in either direction, and nobody is told.
    Stall,
}

/// Counts since the start, or since [`Proxy::reset_counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections of clients.
    pub connections: u64,
    /// Bytes from clients to the server.
    pub up_bytes: u64,
    /// Bytes from the server to clients.
    pub down_bytes: u64,
    /// Times that a client sent something after the server had sent something, or at first:
    /// dependent rounds. A client that sends a lot may get a first answer meanwhile: count with a
    /// delay.
    pub turns: u64,
}

/// What the threads of a proxy share.
#[derive(Default)]
pub(crate) struct Shared {
    orders: Mutex<Orders>,
    ended: AtomicBool,
}

#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) target: Option<SocketAddr>,
    pub(crate) delay: Duration,
    pub(crate) stalled: bool,
    pub(crate) refusing: bool,
    pub(crate) cut: Option<Cut>,
    pub(crate) rewriting: Vec<Rewriting>,
    pub(crate) counts: Counts,
    /// The direction of the last bytes.
    pub(crate) last: Option<Direction>,
}

/// Bytes of the server that clients see as others, as many.
pub(crate) type Rewriting = (Vec<u8>, Vec<u8>);

/// A cut behind the next bytes of a direction.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) direction: Direction,
    pub(crate) left_bytes: u64,
    pub(crate) how: How,
}

impl Shared {
    pub(crate) fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl Orders {
    /// Changes bytes of the server as ordered.
    pub(crate) fn rewrite(&self, direction: Direction, bytes: &mut [u8]) {
        if direction == Direction::Up {
            return;
        }
        for (from, to) in &self.rewriting {
            for at in 0..bytes.len().saturating_sub(from.len() - 1) {
                if bytes[at..].starts_with(from) {
                    bytes[at..at + to.len()].copy_from_slice(to);
                }
            }
        }
    }

    /// Takes note of bytes that are about to pass, and returns how many of them may, and the cut
    /// that comes behind those.
    pub(crate) fn pass(&mut self, direction: Direction, bytes: usize) -> (usize, Option<How>) {
        let mut passing = bytes;
        let mut how = None;
        if let Some(cut) = &mut self.cut
            && cut.direction == direction
        {
            if cut.left_bytes < bytes as u64 {
                passing = cut.left_bytes as usize;
                how = Some(cut.how);
                self.cut = None;
            } else {
                cut.left_bytes -= bytes as u64;
            }
        }
        if direction == Direction::Up && self.last != Some(Direction::Up) {
            self.counts.turns += 1;
        }
        self.last = Some(direction);
        match direction {
            Direction::Up => self.counts.up_bytes += passing as u64,
            Direction::Down => self.counts.down_bytes += passing as u64,
        }
        (passing, how)
    }
}
