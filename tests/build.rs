//! Builds the Rust guests and tells the harness where things are.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let guests = match kvfs_wasm_build::Build::new("guests").run() {
        Ok(artifact) => artifact,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    guests.emit_rerun_if_changed();
    println!("cargo:rustc-env=KVFS_GUESTS={}", guests.wasm.display());
    println!("cargo:rustc-env=KVFS_TARGET_DIR={}", target_dir().display());
    ExitCode::SUCCESS
}

/// The directory that cargo marks as its own; where what the tests build once is kept.
fn target_dir() -> PathBuf {
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    let marked = |dir: &&Path| dir.join("CACHEDIR.TAG").exists();
    Path::new(&out).ancestors().find(marked).unwrap_or(Path::new(&out)).to_owned()
}
