//! Builds a crate for wasm with whatever wasm toolchain the machine has.
//!
//! Build scripts use it: the command embeds the adapter's core module, the tests their guest
//! programs. A nested cargo does the work in a target directory of its own, so that it never waits
//! for the lock of the cargo that runs the build script.
//!
//! ```no_run
//! # fn main() -> Result<(), kvfs_wasm_build::Error> {
//! let artifact = kvfs_wasm_build::Build::new("../adapter").run()?;
//! artifact.emit_rerun_if_changed();
//! println!("cargo:rustc-env=ADAPTER_WASM={}", artifact.wasm.display());
//! # Ok(())
//! # }
//! ```

mod error;

// The parts of a build: the toolchain, its environment, and the files that it read.
mod dep_info;
mod environment;
mod toolchain;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use error::Error;
pub use toolchain::{StdSource, Toolchain};

/// The default target. It has no libc, so nothing imports WASI behind the program's back.
pub const DEFAULT_TARGET: &str = "wasm32-unknown-unknown";

/// The workspace's profile for modules that ship inside the command.
pub const DEFAULT_PROFILE: &str = "wasm";

/// Names the directory the nested cargo builds in, instead of `wasm` under the outer cargo's target
/// directory.
pub const TARGET_DIR_VAR: &str = "KVFS_WASM_TARGET_DIR";

/// Describes one build: a package's `cdylib`, or its program.
#[derive(Debug, Clone)]
pub struct Build {
    package_dir: PathBuf,
    target: String,
    profile: String,
    program: bool,
    features: Vec<String>,
    rustflags: Vec<String>,
    env: Vec<(OsString, OsString)>,
    target_dir: Option<PathBuf>,
}

/// A finished build.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Artifact {
    /// The core module.
    pub wasm: PathBuf,
    /// The files it was made from, absolute: sources, manifests and the lock file, those of path
    /// dependencies too.
    pub inputs: Vec<PathBuf>,
    /// The toolchain that built it.
    pub toolchain: Toolchain,
}

impl Build {
    /// Starts a build of the package whose `Cargo.toml` is in `package_dir`. A relative path starts
    /// at the current directory: in a build script, the directory of the script's own package.
    pub fn new(package_dir: impl Into<PathBuf>) -> Self {
        Self {
            package_dir: package_dir.into(),
            target: DEFAULT_TARGET.into(),
            profile: DEFAULT_PROFILE.into(),
            program: false,
            features: Vec::new(),
            rustflags: Vec::new(),
            env: Vec::new(),
            target_dir: None,
        }
    }

    /// Sets the target triple; [`DEFAULT_TARGET`] by default.
    pub fn target(mut self, triple: impl Into<String>) -> Self {
        self.target = triple.into();
        self
    }

    /// Sets the cargo profile, which the package's workspace must define; [`DEFAULT_PROFILE`] by
    /// default.
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = name.into();
        self
    }

    /// Builds the program named like the package (`src/main.rs`) instead of its library.
    pub fn program(mut self) -> Self {
        self.program = true;
        self
    }

    /// Turns on a feature of the package.
    pub fn feature(mut self, name: impl Into<String>) -> Self {
        self.features.push(name.into());
        self
    }

    /// Adds one argument for the compiler. `RUSTFLAGS` and the user's cargo configuration are meant
    /// for the host and are ignored.
    pub fn rustflag(mut self, flag: impl Into<String>) -> Self {
        self.rustflags.push(flag.into());
        self
    }

    /// Sets a variable in the nested cargo's environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets the nested cargo's target directory. By default it is [`TARGET_DIR_VAR`], else `wasm`
    /// under the target directory that `OUT_DIR` lies in, else the package's `target/wasm`.
    pub fn target_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.target_dir = Some(dir.into());
        self
    }

    /// Builds the module, or finds it up to date.
    ///
    /// # Errors
    ///
    /// [`Error::NoToolchain`] says how to install one. [`Error::Cargo`] carries the compiler's
    /// messages.
    ///
    /// # Cost
    ///
    /// Under a second when nothing changed. The first build with a toolchain that ships `std` as
    /// sources also builds `std`, about 45 s on two cores.
    pub fn run(&self) -> Result<Artifact, Error> {
        // Without `..`, so that the inputs are named as cargo names them.
        let package_dir = self.package_dir.canonicalize().unwrap_or_else(|_| self.package_dir.clone());
        let manifest = package_dir.join("Cargo.toml");
        let name = package_name(&manifest)?;
        let toolchain = Toolchain::find(&self.target)?;
        let target_dir = self.nested_target_dir(&package_dir);

        let mut cargo = Command::new(&toolchain.cargo);
        cargo.current_dir(&package_dir);
        environment::clean(&mut cargo);
        toolchain.configure(&mut cargo, &self.target);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.encoded_rustflags());
        cargo.envs(self.env.iter().map(|(k, v)| (k, v)));
        cargo.args([
            "build",
            if self.program { "--bins" } else { "--lib" },
            "--target",
            &self.target,
            "--profile",
            &self.profile,
        ]);
        cargo.arg("--manifest-path").arg(&manifest).arg("--target-dir").arg(&target_dir);
        if toolchain.std == StdSource::Sources {
            cargo.arg("-Zbuild-std=std,panic_abort");
        }
        if !self.features.is_empty() {
            cargo.arg("--features").arg(self.features.join(","));
        }
        let output = cargo.output().map_err(|source| Error::Io {
            what: format!("starting {}", toolchain.cargo.display()),
            source,
        })?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::Cargo { package_dir, stderr });
        }

        let stem = if self.program { name.clone() } else { name.replace('-', "_") };
        let profile_dir = if self.profile == "dev" { "debug" } else { &self.profile };
        let wasm = target_dir.join(&self.target).join(profile_dir).join(format!("{stem}.wasm"));
        if let Err(source) = std::fs::metadata(&wasm) {
            let what = format!("{} (is {name} a cdylib, or a program?)", wasm.display());
            return Err(Error::Io { what, source });
        }
        let inputs = dep_info::inputs(&wasm.with_extension("d"), &package_dir)?;
        Ok(Artifact { wasm, inputs, toolchain })
    }

    fn nested_target_dir(&self, package_dir: &Path) -> PathBuf {
        if let Some(dir) = &self.target_dir {
            return dir.clone();
        }
        if let Some(dir) = env::var_os(TARGET_DIR_VAR) {
            return dir.into();
        }
        // Cargo marks its target directory; the mark is more reliable than the depth of OUT_DIR in
        // it.
        env::var_os("OUT_DIR")
            .and_then(|out| {
                let marked = |dir: &&Path| dir.join("CACHEDIR.TAG").exists();
                Path::new(&out).ancestors().find(marked).map(|dir| dir.join("wasm"))
            })
            .unwrap_or_else(|| package_dir.join("target/wasm"))
    }

    /// The flags, and the prefix that keeps this machine's paths out of the module's panic
    /// messages. Nothing here depends on the package (cargo names its own sources relatively), so
    /// packages share one build of `std`.
    fn encoded_rustflags(&self) -> String {
        let mut flags = self.rustflags.clone();
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
        if let Some(home) = cargo_home {
            flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
        }
        flags.join("\x1f")
    }
}

impl Artifact {
    /// Prints cargo's `rerun-if-changed` for every input, so that cargo reruns the build script
    /// when one changes.
    pub fn emit_rerun_if_changed(&self) {
        println!("cargo:rerun-if-env-changed={TARGET_DIR_VAR}");
        // The module too: once the nested target directory is deleted, the path that this build
        // script printed is void.
        println!("cargo:rerun-if-changed={}", self.wasm.display());
        for input in &self.inputs {
            println!("cargo:rerun-if-changed={}", input.display());
        }
    }
}

/// Reads `name` from a manifest's `[package]` table.
fn package_name(manifest: &Path) -> Result<String, Error> {
    let bad = || Error::Manifest { path: manifest.to_owned() };
    let text = std::fs::read_to_string(manifest).map_err(|_| bad())?;
    let mut in_package = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_package = line == "[package]";
        } else if let (true, Some((key, value))) = (in_package, line.split_once('='))
            && key.trim() == "name"
        {
            return Ok(value.trim().trim_matches('"').to_owned());
        }
    }
    Err(bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_name_of_this_package() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert_eq!(package_name(&manifest).unwrap(), "kvfs-wasm-build");
    }

    #[test]
    fn a_directory_without_manifest_is_named_in_the_error() {
        let error = Build::new("/nonexistent-package").run().unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent-package/Cargo.toml is not a package's manifest");
    }
}
