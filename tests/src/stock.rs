//! The stock `wasmtime` command: a host that knows nothing of stores.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, bail};

use crate::target_dir;

/// Returns where the command is, of the version that set-up installs.
///
/// # Errors
///
/// Set-up's own words; without the command these are to run `make setup`.
pub fn wasmtime() -> anyhow::Result<&'static Path> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/setup");
    let output = Command::new(&script).arg("--print-wasmtime").output();
    let output = output.with_context(|| script.display().to_string())?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let path = String::from_utf8(output.stdout)?.trim_end().into();
    Ok(FOUND.get_or_init(|| path))
}

/// Returns `wasmtime run`, to which options, the component and its arguments are still to be added. What it
/// compiles it keeps with the tests' own files.
pub fn run() -> anyhow::Result<Command> {
    let mut command = Command::new(wasmtime()?);
    command.args(["run", "-C"]).arg(format!("cache-config={}", cache_config()?.display()));
    command.env_remove("RUST_BACKTRACE");
    Ok(command)
}

fn cache_config() -> anyhow::Result<&'static Path> {
    static WRITTEN: OnceLock<PathBuf> = OnceLock::new();
    if let Some(written) = WRITTEN.get() {
        return Ok(written);
    }
    let dir = target_dir().join("kvfs-tests");
    std::fs::create_dir_all(&dir)?;
    let path = dir.join("wasmtime-cache.toml");
    // Tests run in several processes; each finds a whole file, and always the same.
    let text = format!("[cache]\ndirectory = {:?}\n", dir.join("wasmtime-cache"));
    let new = tempfile::NamedTempFile::new_in(&dir)?;
    std::fs::write(new.path(), text)?;
    new.persist(&path)?;
    Ok(WRITTEN.get_or_init(|| path))
}
