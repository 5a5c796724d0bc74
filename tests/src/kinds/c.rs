//! Guests in C, core modules for preview1.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use wit_component::StringEncoding;
use wit_parser::Resolve;

use crate::target_dir;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/c");

/// Returns a command, and builds it if its sources have changed.
///
/// # Errors
///
/// The compiler's own message; without a compiler it says to run `make setup`.
///
/// # Cost
///
/// SQLite: a minute the first time.
pub fn c_command(name: &str) -> anyhow::Result<Vec<u8>> {
    let dir = target_dir().join("kvfs-tests");
    std::fs::create_dir_all(&dir)?;
    // Tests run in several threads and processes; one of them builds.
    let lock = File::create(dir.join("c.lock"))?;
    lock.lock()?;
    let path = dir.join(format!("{name}.wasm"));
    let script = Path::new(SOURCES).join("build");
    let output =
        Command::new(&script).arg(name).arg(&path).output().with_context(|| script.display().to_string())?;
    if !output.status.success() {
        bail!("tests/guests/c/build {name} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::read(&path).with_context(|| path.display().to_string())
}

/// Returns the reactor: a core module for preview1 that carries the component type of its exports.
///
/// # Errors
///
/// As [`c_command`].
pub fn c_reactor() -> anyhow::Result<Vec<u8>> {
    let mut module = c_command("notes")?;
    let mut resolve = Resolve::default();
    let wit = Path::new(SOURCES).join("notes.wit");
    let package = resolve.push_str(&wit, &std::fs::read_to_string(&wit)?)?;
    let world = resolve.select_world(&[package], None)?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}
