//! Real servers for tests, and a proxy that cuts and delays what clients say to them.
//!
//! - [`Postgres`] and [`Redis`] start a server in a temporary directory, on a free port of
//!   127.0.0.1, and wait until it answers. They can kill it with `SIGKILL` and start it again on the
//!   same data and port. The server ends with the value, and also when the test's process is killed.
//! - [`Server`] is what they share: a new kind of server is its [`Command`](std::process::Command)
//!   and a check that it answers.
//! - [`Proxy`] lies between a client and a server: it delays, stalls, resets, refuses, cuts after a
//!   number of bytes, and counts turns.
//!
//! # Panics
//! Everything here panics when it fails, with what is missing and the command that installs it: a
//! test without its server fails.

mod port;
mod tools;

mod server;

mod postgres;
mod redis;

mod orders;

mod link;

mod proxy;

pub use orders::{Counts, Direction, How};
pub use port::Port;
pub use postgres::Postgres;
pub use proxy::Proxy;
pub use redis::Redis;
pub use server::{Server, answers};
pub use tools::{find_tool, run_to_end};
