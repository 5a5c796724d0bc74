//! Runs guests for the tests and the benchmark: the same component on a store, or on wasmtime's own
//! file system.
//!
//! - [`guests`] builds them, once per machine and source;
//! - [`engine`] compiles them, once per machine and component;
//! - [`pool`] makes engines for many instances at once;
//! - [`stock`] runs the stock `wasmtime` command, which contains no code of ours;
//! - [`Program`] runs one, with arguments, environment and input, within a time limit;
//! - [`differential`] runs one in several ways and compares all observations, with the [`Tree`] it
//!   leaves.

// Guests, the runtimes that run them, and the files that they leave.
pub mod engine;
mod faulty;
pub mod guests;
pub mod kinds;
pub mod stock;
mod tree;

// An engine for many instances.
pub mod pool;

// An instance of a guest, and the calls of it.
mod session;

pub mod carrier;
mod request;

// Whole runs, one by one and compared.
mod program;

pub mod differential;

/// The examples of the page for users of eryx-vfs, executed.
#[cfg(doctest)]
#[doc = include_str!("../../host/FROM-ERYX-VFS.md")]
struct FromEryxVfs;

use anyhow::Context;
pub use faulty::FaultyOutput;
pub use kvfs_buckets::Buckets;
pub use program::{Calling, Network, Output, Program};
pub use request::Answer;
pub use session::Session;
pub use tree::{Tree, set_times};

/// Returns cargo's target directory. The harness keeps there what it makes once.
pub fn target_dir() -> &'static std::path::Path {
    std::path::Path::new(env!("KVFS_TARGET_DIR"))
}

/// Asks set-up for a path or command: `--print-…`, and the arguments after it.
///
/// # Errors
///
/// Set-up's own message; if something is missing, it usually says to run `make setup`.
pub fn set_up(arguments: &[&str]) -> anyhow::Result<String> {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/setup");
    let output = std::process::Command::new(&script).args(arguments).output();
    let output = output.with_context(|| script.display().to_string())?;
    if !output.status.success() {
        anyhow::bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
