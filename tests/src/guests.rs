//! The guests, as components and composed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, bail};
use kvfs_compose::{Compose, Link};
use wasi_preview1_component_adapter_provider as preview1;

use crate::target_dir;

/// Returns the component with the Rust guests. The first argument names the program to run.
pub fn rust() -> anyhow::Result<&'static [u8]> {
    static COMPONENT: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(done) = COMPONENT.get() {
        return Ok(done);
    }
    let module = std::fs::read(env!("KVFS_GUESTS")).context(env!("KVFS_GUESTS"))?;
    let component = encoded(&module)?;
    Ok(COMPONENT.get_or_init(|| component))
}

/// Makes a component of a core module that carries its world.
pub(crate) fn encoded(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    wit_component::ComponentEncoder::default().validate(true).module(module)?.encode().context("encoding")
}

/// Returns the file of the CPython guest, and builds it if its sources have changed.
///
/// # Errors
///
/// The build's own message; without componentize-py it says to run `make setup`.
pub fn python() -> anyhow::Result<&'static Path> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(done) = BUILT.get() {
        return Ok(done);
    }
    let path = python_guest("python", &[])?;
    Ok(BUILT.get_or_init(|| path))
}

/// Returns the CPython guest that exports `wasi:http/incoming-handler`.
///
/// # Errors
///
/// As [`python`].
pub fn python_server() -> anyhow::Result<Vec<u8>> {
    let path = python_guest("python-server", &["server"])?;
    std::fs::read(&path).with_context(|| path.display().to_string())
}

/// Returns the interpreter whose programs may make snapshots of their volumes (`import kvfs_control`).
///
/// # Errors
///
/// As [`python`].
pub fn python_with_control() -> anyhow::Result<Vec<u8>> {
    let path = python_guest("python-control", &["control"])?;
    std::fs::read(&path).with_context(|| path.display().to_string())
}

/// Returns the Rust guest that makes snapshots of its volumes.
pub fn control() -> anyhow::Result<Vec<u8>> {
    encoded(&std::fs::read(env!("KVFS_CONTROL")).context(env!("KVFS_CONTROL"))?)
}

fn python_guest(name: &str, which: &[&str]) -> anyhow::Result<PathBuf> {
    let dir = target_dir().join("kvfs-tests");
    std::fs::create_dir_all(&dir)?;
    // Tests run in several threads and processes; one of them builds.
    let lock = File::create(dir.join(format!("{name}.lock")))?;
    lock.lock()?;
    let path = dir.join(format!("{name}.wasm"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/build");
    let output = Command::new(&script)
        .arg(&path)
        .args(which)
        .output()
        .with_context(|| script.display().to_string())?;
    if !output.status.success() {
        bail!("tests/python/build failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(path)
}

/// Returns a guest as a component. A core module gets wasmtime's adapter for preview1.
pub fn component(guest: &[u8]) -> anyhow::Result<Vec<u8>> {
    if wasmparser::Parser::is_component(guest) {
        return Ok(guest.to_vec());
    }
    let adapter = if exports_start(guest)? {
        preview1::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
    } else {
        preview1::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    };
    let name = preview1::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder
        .validate(true)
        .module(guest)?
        .adapter(name, adapter)?
        .encode()
        .context("making a component of a core module")
}

fn exports_start(module: &[u8]) -> anyhow::Result<bool> {
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::ExportSection(exports) = payload? {
            return Ok(exports.into_iter().flatten().any(|export| export.name == "_start"));
        }
    }
    Ok(false)
}

/// Composes a guest with the file system; the host provides the store.
pub fn composed(guest: &[u8]) -> anyhow::Result<Vec<u8>> {
    joined(guest, Link::Component)
}

/// Joins a guest with the file system in one of the two ways; the host provides the store.
///
/// # Errors
///
/// Fails also if the guest should have been linked and could only be composed.
pub fn joined(guest: &[u8], link: Link) -> anyhow::Result<Vec<u8>> {
    let composed = Compose::new(guest).link(link).build().context("composing the guest")?;
    match composed.report.not_linked {
        Some(reason) => bail!("the guest is not linked: {reason}"),
        None => Ok(composed.bytes),
    }
}
