//! The reasons why a build leaves no module.

use std::fmt;
use std::path::PathBuf;

/// The reason why there is no module.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No compiler on this machine can build for the target. Fields: the target, and the compilers
    /// considered.
    NoToolchain {
        /// The target triple asked for.
        target: String,
        /// One line per compiler considered, with what it lacks.
        tried: Vec<String>,
    },
    /// The nested cargo could not be started, or a file it should have left is missing.
    Io {
        /// The step or the file that failed.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The nested cargo ran and failed.
    Cargo {
        /// The package's directory.
        package_dir: PathBuf,
        /// Its standard error.
        stderr: String,
    },
    /// The package's manifest has no `name`, or the directory has no manifest.
    Manifest {
        /// The manifest looked at.
        path: PathBuf,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToolchain { target, tried } => {
                writeln!(f, "no Rust toolchain here can build for {target}:")?;
                for line in tried {
                    writeln!(f, "  {line}")?;
                }
                write!(f, "run `make setup`, or `rustup target add {target}`")
            }
            Self::Io { what, source } => write!(f, "{what}: {source}"),
            Self::Cargo { package_dir, stderr } => {
                write!(f, "cargo could not build {} for wasm:\n{}", package_dir.display(), stderr.trim_end())
            }
            Self::Manifest { path } => write!(f, "{} is not a package's manifest", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
