//! A guest in JavaScript: componentize-js makes a component with SpiderMonkey.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::target_dir;

/// Returns the program, and builds it if its sources have changed.
///
/// # Errors
///
/// The build's own message; without componentize-js it says to run `make setup`.
///
/// # Cost
///
/// Half a minute the first time.
pub fn javascript() -> anyhow::Result<Vec<u8>> {
    let dir = target_dir().join("kvfs-tests");
    std::fs::create_dir_all(&dir)?;
    // Tests run in several threads and processes; one of them builds.
    let lock = File::create(dir.join("javascript.lock"))?;
    lock.lock()?;
    let path = dir.join("javascript.wasm");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/javascript/build");
    let output = Command::new(&script).arg(&path).output().with_context(|| script.display().to_string())?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("tests/guests/javascript/build failed:\n{out}{err}");
    }
    std::fs::read(&path).with_context(|| path.display().to_string())
}
