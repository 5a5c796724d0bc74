//! Checks that a result keeps the promises of composition, before it is returned.

use crate::error::ComposeError;
use crate::names::{InterfaceName, STORE};
use crate::parts::Guest;
use crate::wasm::Outline;
use wasmparser::{Validator, WasmFeatures};

/// The features that stock wasmtime 48 enables: a result that validates with them runs there.
pub(crate) fn runtime_features() -> WasmFeatures {
    WasmFeatures::default()
}

/// Who validates a result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validation {
    /// The check.
    Now,
    /// The runtime that compiles it.
    Later,
}

/// Checks a result and returns its imports.
///
/// A result is valid, which `validation` may leave to the runtime, and exports what the guest
/// exports. It imports no file system, and beside the imports of the guest only the store and the
/// wall clock. With a provider, it may have the provider's imports and does not import the store.
/// With mounted directories of the host, it may import `host_filesystem` (pairs of the adapter's
/// import and the name in the result), and `wasi:io` with it.
///
/// # Errors
///
/// [`ComposeError::Refused`] with the promise that was not kept.
pub(crate) fn check(
    result: &[u8],
    guest: &Guest<'_>,
    provider: Option<&Outline>,
    host_filesystem: &[(String, String)],
    validation: Validation,
) -> Result<Vec<String>, ComposeError> {
    let refused = |reason: String| ComposeError::Refused { reason };
    if validation == Validation::Now {
        Validator::new_with_features(runtime_features())
            .validate_all(result)
            .map_err(|e| refused(format!("it does not validate: byte {}: {}", e.offset(), e.message())))?;
    }

    let outline = Outline::read(result)?;
    let from_provider = |name: &str| provider.is_some_and(|p| p.imports.iter().any(|known| known == name));
    let has_io = !host_filesystem.is_empty() || guest.imports.iter().any(|name| name.is_wasi02("wasi:io"));
    for import in &outline.imports {
        let name = InterfaceName::parse(import);
        if from_provider(import) || host_filesystem.iter().any(|(_, known)| known == import) {
            continue;
        }
        if name.base.starts_with("wasi:filesystem/") || name.is_volume_control() {
            return Err(refused(format!("it still imports {import}")));
        }
        let allowed = guest.imports.iter().any(|known| known.pairs_with(&name))
            || (name.base == STORE && provider.is_none())
            || name.base == "wasi:clocks/wall-clock"
            || (has_io && name.is_wasi02("wasi:io"));
        if !allowed {
            return Err(refused(format!("it imports {import}, which the guest does not")));
        }
    }
    if provider.is_none() && !outline.imports.iter().any(|i| InterfaceName::parse(i).base == STORE) {
        return Err(refused(format!("it does not import {STORE}, so nothing would be stored")));
    }

    let mut expected: Vec<&str> = guest.exports.iter().map(|name| name.full.as_str()).collect();
    let mut found: Vec<&str> = outline.exports.iter().map(String::as_str).collect();
    expected.sort_unstable();
    found.sort_unstable();
    if expected != found {
        return Err(refused(format!(
            "it exports [{}], and the guest exports [{}]",
            found.join(", "),
            expected.join(", ")
        )));
    }
    Ok(outline.imports)
}
