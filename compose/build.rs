//! Builds the adapter's core module, which the library embeds.
//!
//! `KVFS_ADAPTER_WASM` names one that is built already, for machines without a wasm toolchain.

use std::path::PathBuf;
use std::process::ExitCode;

const PREBUILT_VAR: &str = "KVFS_ADAPTER_WASM";

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={PREBUILT_VAR}");
    // The adapter's bindings are generated from these, unseen by the nested build's list of inputs.
    println!("cargo:rerun-if-changed=../wit");
    if let Err(message) = text_modules() {
        eprintln!("{message}");
        return ExitCode::FAILURE;
    }
    match adapter() {
        Ok(path) => {
            println!("cargo:rustc-env=KVFS_ADAPTER_CORE={}", path.display());
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Assembles the core modules that linking puts into its results.
fn text_modules() -> Result<(), String> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    for name in ["handles", "text"] {
        let source = format!("src/link/{name}.wat");
        println!("cargo:rerun-if-changed={source}");
        let bytes = wat::parse_file(&source).map_err(|e| e.to_string())?;
        let target = out.join(name).with_extension("wasm");
        std::fs::write(&target, bytes).map_err(|e| format!("{}: {e}", target.display()))?;
    }
    Ok(())
}

fn adapter() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(PREBUILT_VAR) {
        let path = PathBuf::from(path);
        println!("cargo:rerun-if-changed={}", path.display());
        return path.canonicalize().map_err(|e| format!("{PREBUILT_VAR}: {}: {e}", path.display()));
    }
    let artifact = kvfs_wasm_build::Build::new("../adapter").run().map_err(|e| e.to_string())?;
    artifact.emit_rerun_if_changed();
    Ok(artifact.wasm)
}
