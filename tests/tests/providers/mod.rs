//! Compositions that bring their own store, in the stock `wasmtime` command.

mod example;
mod file;
#[cfg(unix)]
mod file_kills;
mod file_snapshots;
pub(crate) mod http;
mod keyvalue;
mod memory;
mod runtimes;
mod sealed;

use std::path::{Path, PathBuf};
use std::process::Output;

use kvfs_compose::{Compose, Provider};
use kvfs_tests::{guests, stock};

/// Composes a guest with a provider, and writes it to a file in a directory.
fn composed(dir: &Path, guest: &[u8], provider: Provider) -> PathBuf {
    let composed = Compose::new(guest).provider(provider).build().expect("composing");
    let path = dir.join("composed.wasm");
    std::fs::write(&path, composed.bytes).expect("writing the composition");
    path
}

fn python(dir: &Path, provider: Provider) -> PathBuf {
    let guest = std::fs::read(guests::python().expect("the CPython guest")).expect("reading it");
    composed(dir, &guest, provider)
}

/// Runs a composition to its end, with options of `wasmtime run` before it.
fn run(options: &[&str], component: &Path, args: &[&str]) -> Output {
    let mut command = stock::run().expect("the wasmtime command");
    command.args(options).arg(component).args(args).output().expect("starting wasmtime")
}

/// Returns standard output if the program ended with code 0.
#[track_caller]
fn success(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
