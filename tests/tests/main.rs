//! All integration tests, in one binary.

mod behaviour;
#[cfg(unix)]
mod kill;
mod providers;
mod python;
