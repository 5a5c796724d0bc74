//! The client against a server that does what it is told. `tests/tests/servers.rs` has the real one.

mod server;

mod calls;
mod faults;
mod opening;
