//! Real servers for tests, and a proxy that cuts and delays what clients say to them.
//!
//! - [`Postgres`], [`Redis`] and [`Etcd`] start a server in a temporary directory, on a free port of
//!   127.0.0.1, and wait until it answers. They can kill it with `SIGKILL` and start it again on the
//!   same data and port. The server ends with the value, and also when the test's process is killed.
//! - `S3` (feature `s3`) is a server of S3's protocol in this program itself.
//! - [`Server`] is what they share: a new kind of server is its [`Command`](std::process::Command)
//!   and a check that it answers.
//! - [`SmallDisk`] is soon full.
//! - [`wait_until`] waits for a state, and [`SOON`] bounds a call, on a loaded machine too.
//! - [`Proxy`] lies between a client and a server: it delays, stalls, resets, refuses, cuts after a
//!   number of bytes, and counts turns.
//!
//! # Panics
//! Everything here panics when it fails, with what is missing and the command that installs it: a
//! test without its server fails.

mod port;
mod tools;
mod waits;

mod disk;
mod server;

mod etcd;
mod postgres;
mod redis;
#[cfg(feature = "s3")]
mod s3;

mod orders;

mod link;

mod proxy;

pub use disk::SmallDisk;
pub use etcd::{Etcd, EtcdCluster};
pub use orders::{Counts, Direction, How};
pub use port::Port;
pub use postgres::Postgres;
pub use proxy::Proxy;
pub use redis::Redis;
#[cfg(feature = "s3")]
pub use s3::S3;
pub use server::{Server, answers};
pub use tools::{find_tool, run_to_end};
pub use waits::{SOON, wait_until};
