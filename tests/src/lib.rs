//! Runs guests for the tests and the benchmark: the same component on a store, or on wasmtime's own file system.
//!
//! - [`guests`] builds them, once per machine and source;
//! - [`engine`] compiles them, once per machine and component;
//! - [`stock`] is the `wasmtime` command, which has nothing of ours;
//! - [`Program`] runs one, with arguments, environment and input, within a time limit;
//! - [`differential`] runs one in several ways and compares all that is seen of it, the [`Tree`] it leaves included.

pub mod carrier;
pub mod differential;
pub mod engine;
/// The command's own: what it reads volumes with is what the tests read them with.
#[path = "../../compose/cli/src/engine_store.rs"]
mod engine_store;
mod faulty;
pub mod guests;
pub mod kinds;
mod program;
pub mod stock;
mod tree;

use anyhow::Context;
pub use faulty::FaultyOutput;
pub use tree::Tree;

pub use kvfs_buckets::Buckets;
pub use program::{Answer, Calling, Network, Output, Program, Session};

/// Makes a store of the host one that the engine takes.
pub fn engine_store(store: kvfs_host::AnyStore) -> impl kvfs::KvStore {
    engine_store::EngineStore(store)
}

/// The directory of cargo's own files; what the harness makes once is kept under it.
pub fn target_dir() -> &'static std::path::Path {
    std::path::Path::new(env!("KVFS_TARGET_DIR"))
}

/// Asks set-up where something is: `--print-…`, and what follows.
///
/// # Errors
///
/// Set-up's own words; where it is nowhere these are mostly to run `make setup`.
pub fn set_up(arguments: &[&str]) -> anyhow::Result<String> {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/setup");
    let output = std::process::Command::new(&script).args(arguments).output();
    let output = output.with_context(|| script.display().to_string())?;
    if !output.status.success() {
        anyhow::bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
