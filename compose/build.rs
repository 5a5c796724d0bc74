//! Builds the core modules that the library embeds: the adapter and the providers.
//!
//! For each module, a variable may name a prebuilt one, for machines without a wasm toolchain.

use std::path::PathBuf;
use std::process::ExitCode;

/// A module.
struct Module {
    /// The variable by which the library finds it.
    variable: &'static str,
    /// The variable that names a prebuilt one.
    prebuilt: &'static str,
    /// Its crate.
    package: &'static str,
    /// The features of the crate for this module.
    features: &'static [&'static str],
}

const MODULES: [Module; 10] = [
    Module {
        variable: "KVFS_ADAPTER_CORE",
        prebuilt: "KVFS_ADAPTER_WASM",
        package: "../adapter",
        features: &[],
    },
    // Modules of their own: a composition carries no code for what it does not use.
    Module {
        variable: "KVFS_ADAPTER_WITH_AUDIT_CORE",
        prebuilt: "KVFS_ADAPTER_WITH_AUDIT_WASM",
        package: "../adapter",
        features: &["audit"],
    },
    Module {
        variable: "KVFS_ADAPTER_WITH_HOST_CORE",
        prebuilt: "KVFS_ADAPTER_WITH_HOST_WASM",
        package: "../adapter",
        features: &["host-mounts"],
    },
    Module {
        variable: "KVFS_ADAPTER_WITH_HOST_AND_AUDIT_CORE",
        prebuilt: "KVFS_ADAPTER_WITH_HOST_AND_AUDIT_WASM",
        package: "../adapter",
        features: &["host-mounts", "audit"],
    },
    // Control of volumes is rare: these have the log too, instead of being four.
    Module {
        variable: "KVFS_ADAPTER_WITH_CONTROL_CORE",
        prebuilt: "KVFS_ADAPTER_WITH_CONTROL_WASM",
        package: "../adapter",
        features: &["volume-control", "audit"],
    },
    Module {
        variable: "KVFS_ADAPTER_WITH_HOST_AND_CONTROL_CORE",
        prebuilt: "KVFS_ADAPTER_WITH_HOST_AND_CONTROL_WASM",
        package: "../adapter",
        features: &["host-mounts", "volume-control", "audit"],
    },
    Module {
        variable: "KVFS_PROVIDER_FILE_CORE",
        prebuilt: "KVFS_PROVIDER_FILE_WASM",
        package: "providers/file",
        features: &[],
    },
    Module {
        variable: "KVFS_PROVIDER_HTTP_CORE",
        prebuilt: "KVFS_PROVIDER_HTTP_WASM",
        package: "providers/http",
        features: &[],
    },
    Module {
        variable: "KVFS_PROVIDER_KEYVALUE_CORE",
        prebuilt: "KVFS_PROVIDER_KEYVALUE_WASM",
        package: "providers/keyvalue",
        features: &[],
    },
    Module {
        variable: "KVFS_PROVIDER_MEMORY_CORE",
        prebuilt: "KVFS_PROVIDER_MEMORY_WASM",
        package: "providers/memory",
        features: &[],
    },
];

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    // Bindings are generated from these, and the nested builds do not list them as inputs.
    println!("cargo:rerun-if-changed=../wit");
    if let Err(message) = text_modules() {
        eprintln!("{message}");
        return ExitCode::FAILURE;
    }
    for module in MODULES {
        println!("cargo:rerun-if-env-changed={}", module.prebuilt);
        match module.find() {
            Ok(path) => println!("cargo:rustc-env={}={}", module.variable, path.display()),
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Assembles the modules in text that linking puts into its results.
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

impl Module {
    fn find(&self) -> Result<PathBuf, String> {
        if let Some(path) = std::env::var_os(self.prebuilt) {
            let path = PathBuf::from(path);
            println!("cargo:rerun-if-changed={}", path.display());
            return path.canonicalize().map_err(|e| format!("{}: {}: {e}", self.prebuilt, path.display()));
        }
        let build = kvfs_wasm_build::Build::new(self.package);
        let build = self.features.iter().fold(build, |build, feature| build.feature(*feature));
        let artifact = build.run().map_err(|e| e.to_string())?;
        artifact.emit_rerun_if_changed();
        // The next build of the same crate with other features would overwrite it.
        let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
        let kept = out.join(self.variable.to_lowercase()).with_extension("wasm");
        std::fs::copy(&artifact.wasm, &kept).map_err(|e| format!("{}: {e}", kept.display()))?;
        Ok(kept)
    }
}
