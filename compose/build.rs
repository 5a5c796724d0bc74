//! Builds the core modules that the library embeds: the adapter and the providers.
//!
//! A variable per module names one that is built already, for machines without a wasm toolchain.

use std::path::PathBuf;
use std::process::ExitCode;

/// A module: the variable by which the library finds it, the one that names a prebuilt one, its crate.
const MODULES: [(&str, &str, &str); 3] = [
    ("KVFS_ADAPTER_CORE", "KVFS_ADAPTER_WASM", "../adapter"),
    ("KVFS_PROVIDER_FILE_CORE", "KVFS_PROVIDER_FILE_WASM", "providers/file"),
    ("KVFS_PROVIDER_MEMORY_CORE", "KVFS_PROVIDER_MEMORY_WASM", "providers/memory"),
];

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    // Bindings are generated from these, unseen by the nested builds' lists of inputs.
    println!("cargo:rerun-if-changed=../wit");
    if let Err(message) = text_modules() {
        eprintln!("{message}");
        return ExitCode::FAILURE;
    }
    for (variable, prebuilt, package) in MODULES {
        println!("cargo:rerun-if-env-changed={prebuilt}");
        match module(prebuilt, package) {
            Ok(path) => println!("cargo:rustc-env={variable}={}", path.display()),
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Assembles the core modules that linking puts into its results.
fn text_modules() -> Result<(), String> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    for name in ["handles", "loans", "text"] {
        let source = format!("src/link/{name}.wat");
        println!("cargo:rerun-if-changed={source}");
        let bytes = wat::parse_file(&source).map_err(|e| e.to_string())?;
        let target = out.join(name).with_extension("wasm");
        std::fs::write(&target, bytes).map_err(|e| format!("{}: {e}", target.display()))?;
    }
    Ok(())
}

fn module(prebuilt: &str, package: &str) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(prebuilt) {
        let path = PathBuf::from(path);
        println!("cargo:rerun-if-changed={}", path.display());
        return path.canonicalize().map_err(|e| format!("{prebuilt}: {}: {e}", path.display()));
    }
    let artifact = kvfs_wasm_build::Build::new(package).run().map_err(|e| e.to_string())?;
    artifact.emit_rerun_if_changed();
    Ok(artifact.wasm)
}
