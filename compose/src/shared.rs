//! Refuses packages that guest and provider would share.
//!
//! A provider keeps the store behind one of its imports. A guest with the same import could read
//! and change the store past the file system.

use crate::error::{ComposeError, MountError};
use crate::mounts::{Mount, MountSource};
use crate::names::InterfaceName;
use crate::parts::Guest;
use crate::provider::{DEFAULT_FILE_PATH, Provider};
use crate::wasm::Outline;
use std::collections::HashSet;

/// Packages of WASI 0.2 without state that a guest could find again. A network leads to a store
/// only with its address and its secrets.
const KEEP_NOTHING: [&str; 6] =
    ["wasi:io", "wasi:clocks", "wasi:random", "wasi:cli", "wasi:sockets", "wasi:http"];

/// A guest calls the file system under this name, and reaches the host's only by a mount.
const FILESYSTEM: &str = "wasi:filesystem";

/// Checks the names of packages to share. The name of a function without a package passes too.
pub(crate) fn check_names(packages: &[String]) -> Result<(), ComposeError> {
    let is_label = |label: &str| {
        label.starts_with(|c: char| c.is_ascii_alphabetic())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    match packages.iter().find(|package| !package.split(':').all(is_label)) {
        Some(package) => Err(ComposeError::BadShare { package: package.clone() }),
        None => Ok(()),
    }
}

/// Fails if guest and provider import the same package and the caller has not allowed it.
pub(crate) fn check(
    guest: &Guest<'_>,
    provider: &Provider,
    outline: &Outline,
    mounts_host: bool,
    allowed: &[String],
) -> Result<(), ComposeError> {
    let refused =
        |package: &str, uses| Err(ComposeError::SharedWithProvider { package: package.to_owned(), uses });
    // A recomposed result chooses the lengths of these lists: sets keep the check linear.
    let allowed: HashSet<&str> = allowed.iter().map(String::as_str).collect();
    let of_guest: HashSet<&str> = guest.imports.iter().map(self::package).collect();
    for import in &outline.imports {
        let name = InterfaceName::parse(import);
        let package = package(&name);
        if KEEP_NOTHING.contains(&package) || allowed.contains(package) {
            continue;
        }
        if package == FILESYSTEM {
            // The provider `file` uses one known directory: see `check_store_directory`.
            if mounts_host && provider.is_of_its_own() {
                return refused(package, "has a mount of the host's");
            }
        } else if of_guest.contains(package) {
            return refused(package, "imports");
        }
    }
    Ok(())
}

/// Returns the package of an interface without its version, or the name of a function without a
/// package.
fn package(name: &InterfaceName) -> &str {
    let base = name.base.split('@').next().unwrap_or(&name.base);
    base.split('/').next().unwrap_or(base)
}

/// Fails if a mounted directory is the store of the provider `file`.
pub(crate) fn check_store_directory(provider: &Provider, mounts: &[Mount]) -> Result<(), MountError> {
    let host = |mount: &Mount| match &mount.source {
        MountSource::Host { preopen, .. } => Some((mount.path.clone(), preopen.clone())),
        _ => None,
    };
    check_directories(provider, mounts.iter().filter_map(host))
}

/// As [`check_store_directory`], for pairs of a guest's path and the preopen mounted there.
pub(crate) fn check_directories(
    provider: &Provider,
    mut mounted: impl Iterator<Item = (String, String)>,
) -> Result<(), MountError> {
    let Provider::File { path, .. } = provider else { return Ok(()) };
    let store = path.as_deref().unwrap_or(DEFAULT_FILE_PATH);
    let over = mounted.find(|(_, preopen)| preopen == store);
    over.map_or(Ok(()), |(path, preopen)| Err(MountError::OverStore { path, preopen }))
}
