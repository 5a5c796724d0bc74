//! Chooses a compiler: one that has `std` for the target, else one that has `std`'s sources.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// The oldest compiler that can build the workspace: the `rust-version` of its manifest.
const OLDEST: (u32, u32) = parse_minor(env!("CARGO_PKG_RUST_VERSION"));

/// The origin of the target's `std`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StdSource {
    /// Installed with the compiler.
    Installed,
    /// Built from sources that are installed with the compiler (`-Zbuild-std`).
    Sources,
}

/// A compiler that can build for the target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Toolchain {
    /// The cargo to run.
    pub cargo: PathBuf,
    /// The compiler that belongs to it.
    pub rustc: PathBuf,
    /// The origin of the target's `std`.
    pub std: StdSource,
    /// The linker, if the compiler does not bring one.
    pub linker: Option<PathBuf>,
    /// True if it is not the toolchain that runs the build.
    pub foreign: bool,
}

impl Toolchain {
    /// Finds the toolchain that builds for `target`.
    ///
    /// Tries the toolchain that runs the build, then the system's in `/usr/bin`. Prefers an
    /// installed `std` to sources.
    ///
    /// # Errors
    ///
    /// [`Error::NoToolchain`], with what each toolchain lacks.
    pub fn find(target: &str) -> Result<Self, Error> {
        let running = Candidate {
            cargo: env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from),
            rustc: env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from),
            foreign: false,
        };
        let system =
            Candidate { cargo: "/usr/bin/cargo".into(), rustc: "/usr/bin/rustc".into(), foreign: true };
        let mut tried = Vec::new();
        let mut from_sources = None;
        for candidate in [running, system] {
            match candidate.examine(target) {
                Ok(found) if found.std == StdSource::Installed => return Ok(found),
                Ok(found) => from_sources = from_sources.or(Some(found)),
                Err(lacks) => tried.push(format!("{}: {lacks}", candidate.rustc.display())),
            }
        }
        from_sources.ok_or_else(|| Error::NoToolchain { target: target.to_owned(), tried })
    }

    /// Sets the variables that make `cargo` use this toolchain.
    pub(crate) fn configure(&self, cargo: &mut Command, target: &str) {
        cargo.env("RUSTC", &self.rustc);
        if self.std == StdSource::Sources {
            // Only this makes a released compiler take -Z options; std itself is built in the same
            // way.
            cargo.env("RUSTC_BOOTSTRAP", "1");
        }
        if let Some(linker) = &self.linker {
            let target = target.to_uppercase().replace(['-', '.'], "_");
            cargo.env(format!("CARGO_TARGET_{target}_LINKER"), linker);
        }
        if self.foreign {
            cargo.env_remove("RUSTUP_TOOLCHAIN");
            // Cargo points this at the running toolchain's own libraries.
            cargo.env_remove("LD_LIBRARY_PATH");
        }
    }
}

struct Candidate {
    cargo: PathBuf,
    rustc: PathBuf,
    foreign: bool,
}

impl Candidate {
    /// Returns how this compiler would build for `target`, or what it lacks.
    fn examine(&self, target: &str) -> Result<Toolchain, String> {
        // A call of its own: with -vV the compiler prints nothing else.
        let about = self.print(&["-vV"])?;
        let field = |name: &str| about.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let (version, host) = (field("release: "), field("host: "));
        if parse_minor(version) < OLDEST {
            return Err(format!("version {version} is older than {}.{}", OLDEST.0, OLDEST.1));
        }
        let dirs = self.print(&["--print", "sysroot", "--print", "target-libdir", "--target", target])?;
        let [sysroot, libdir] = dirs.as_slice() else {
            return Err("does not say where its libraries are".to_owned());
        };
        let sysroot = Path::new(sysroot);
        let std = if has_std(Path::new(libdir)) {
            StdSource::Installed
        } else if sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").exists() {
            StdSource::Sources
        } else {
            return Err(format!("version {version} has neither std for {target} nor std's sources"));
        };
        let brings_linker = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld").exists();
        let linker =
            if brings_linker {
                None
            } else {
                Some(newest_wasm_ld().ok_or_else(|| {
                    format!("version {version} needs wasm-ld, which is missing (package lld)")
                })?)
            };
        let (cargo, rustc) = (self.cargo.clone(), self.rustc.clone());
        Ok(Toolchain { cargo, rustc, std, linker, foreign: self.foreign })
    }

    fn print(&self, args: &[&str]) -> Result<Vec<String>, String> {
        let mut command = Command::new(&self.rustc);
        command.args(args);
        if self.foreign {
            command.env_remove("RUSTUP_TOOLCHAIN").env_remove("LD_LIBRARY_PATH");
        }
        let output = command.output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(stderr.lines().next().unwrap_or("fails without a message").to_owned());
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }
}

/// Returns true if a target's library directory holds `std`. rustup makes the directory for other
/// reasons too.
fn has_std(libdir: &Path) -> bool {
    let Ok(entries) = libdir.read_dir() else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// Finds the newest `wasm-ld` or `wasm-ld-NN` on the search path or in `/usr/bin`.
fn newest_wasm_ld() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain([PathBuf::from("/usr/bin")]);
    let version = |path: &PathBuf| -> Option<u32> {
        let name = path.file_name()?.to_str()?.strip_prefix("wasm-ld")?;
        if name.is_empty() { Some(0) } else { name.strip_prefix('-')?.parse().ok() }
    };
    let entries = dirs.filter_map(|dir| dir.read_dir().ok()).flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| version(path).is_some()).max_by_key(|path| version(path))
}

/// Reads `1.93`, `1.95.0` or `1.97.0-nightly` as `(1, 93)` and so on. Parts that are not numbers
/// count as 0.
const fn parse_minor(version: &str) -> (u32, u32) {
    let bytes = version.as_bytes();
    let mut parts = [0u32; 2];
    let (mut part, mut at) = (0, 0);
    while at < bytes.len() && part < 2 {
        match bytes[at] {
            digit @ b'0'..=b'9' => {
                parts[part] = parts[part].saturating_mul(10).saturating_add((digit - b'0') as u32)
            }
            _ => part += 1,
        }
        at += 1;
    }
    (parts[0], parts[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse_minor("1.93"), (1, 93));
        assert_eq!(parse_minor("1.100.2-nightly"), (1, 100));
        assert!(parse_minor("1.63.0") < parse_minor("1.100"));
    }

    #[test]
    fn a_target_nobody_has_is_refused_with_the_remedy() {
        let error = Toolchain::find("no-such-target").unwrap_err().to_string();
        assert!(error.contains("no-such-target") && error.contains("make setup"), "{error}");
    }
}
