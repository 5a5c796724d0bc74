//! Ports that no other server takes.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

/// Ports below those that systems give to outgoing connections, so that no client sits on a port
/// while its server is down.
const FIRST: u16 = 10_000;
const COUNT: u64 = 20_000;

/// A port of 127.0.0.1 that no other test takes while this value lives, running server or not.
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Chooses a free port.
    pub fn choose() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let mut random = u64::from(process::id()) ^ (now.as_nanos() as u64);
        for _ in 0..1000 {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            if let Some(port) = Self::take(FIRST + ((random >> 33) % COUNT) as u16) {
                return port;
            }
        }
        panic!("no free port among 1,000 that were tried from {FIRST} on");
    }

    /// Takes a port that nothing listens on and no other test holds: a lock on a file says so.
    fn take(number: u16) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("kvfs-test-port-{number}"));
        let lock = File::options().create(true).truncate(false).write(true).open(path).ok()?;
        lock.try_lock().ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _lock: lock })
    }

    /// Returns its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}
