//! Guests that need more than a build: other versions of WASI, C, JavaScript, a standard library,
//! guests made of guests.

mod c;
mod javascript;
mod nested;
mod versions;

pub use c::{c_command, c_reactor};
pub use javascript::javascript;
pub use nested::nested;
pub use versions::{VERSIONS, caller_at, notes_at, programs_at};

use anyhow::Context;

use crate::guests;

/// Returns the component whose programs speak http, TCP and UDP.
///
/// # Errors
///
/// Its module cannot be read or made a component, which is a fault of the harness.
pub fn network() -> anyhow::Result<Vec<u8>> {
    raw(env!("KVFS_NETWORK"))
}

/// Returns the component that exports `wasi:http/incoming-handler`.
///
/// # Errors
///
/// As [`network`].
pub fn server() -> anyhow::Result<Vec<u8>> {
    raw(env!("KVFS_SERVER"))
}

/// Returns the component on a non-standard interface; [`crate::carrier`] is its host.
///
/// # Errors
///
/// As [`network`].
pub fn carrier() -> anyhow::Result<Vec<u8>> {
    raw(env!("KVFS_CARRIER"))
}

fn raw(module: &str) -> anyhow::Result<Vec<u8>> {
    let module = std::fs::read(module).with_context(|| module.to_owned())?;
    guests::encoded(&module)
}

/// Returns the program on Rust's standard library twice: a core module for preview1
/// (`wasm32-wasip1`), and a component (`wasm32-wasip2`).
#[cfg(not(no_std_guests))]
pub fn std_guests() -> anyhow::Result<[(&'static str, Vec<u8>); 2]> {
    let read = |path: &str| std::fs::read(path).with_context(|| path.to_owned());
    Ok([("wasm32-wasip1", read(env!("KVFS_STD_WASIP1"))?), ("wasm32-wasip2", read(env!("KVFS_STD_WASIP2"))?)])
}
