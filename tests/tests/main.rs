//! All integration tests, in one binary.

// The tests of CPython are compiled once for each way to join it with the file system.
#![allow(clippy::duplicate_mod)]

mod behaviour;
mod control;
#[cfg(unix)]
mod ends;
mod handles;
mod instances;
#[cfg(unix)]
mod kill;
#[cfg(unix)]
mod mounts;
mod network;
#[cfg(target_os = "linux")]
mod paths;
mod providers;
mod python;
#[cfg(unix)]
mod servers;
