//! Reads a guest as a component with known types.

use super::claim;
use crate::error::{ComposeError, one_line};
use crate::names::InterfaceName;
use crate::wasm::Outline;
use std::borrow::Cow;
use wasi_preview1_component_adapter_provider as preview1;
use wasmparser::BinaryReaderError;
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldId};

/// A component to compose.
pub(crate) struct Guest<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) resolve: Resolve,
    pub(crate) world: WorldId,
    pub(crate) imports: Vec<InterfaceName>,
    pub(crate) exports: Vec<InterfaceName>,
    /// True if the input was a core module for preview1.
    pub(crate) was_core: bool,
}

impl<'a> Guest<'a> {
    /// Reads a guest.
    ///
    /// # Errors
    ///
    /// Every error about the guest as a whole: no later step refuses it.
    pub(crate) fn read(input: &'a [u8]) -> Result<Self, ComposeError> {
        let mut outline = Outline::read(input)?;
        if claim::is_marked(input) {
            return Err(ComposeError::AlreadyComposed);
        }
        refuse_store(&outline)?;
        if claim::mark_text(input).is_some() {
            return Err(ComposeError::UnknownParts);
        }
        let was_core = !outline.is_component;
        let mut functions = Vec::new();
        let bytes = if was_core {
            let component = encode_core(input, &outline)?;
            functions = std::mem::replace(&mut outline, Outline::read(&component)?).exports;
            // A core module has more than one way to write the name of an interface.
            refuse_store(&outline)?;
            Cow::Owned(component)
        } else {
            Cow::Borrowed(input)
        };

        let imports: Vec<_> = outline.imports.iter().map(|name| InterfaceName::parse(name)).collect();
        let file_system = |name: &&InterfaceName| name.base.starts_with("wasi:filesystem/");
        match imports.iter().find(file_system) {
            None => return Err(ComposeError::NothingToVirtualize),
            Some(_) => {
                let other = imports.iter().filter(file_system).find(|n| !n.is_wasi02("wasi:filesystem"));
                if let Some(name) = other {
                    return Err(ComposeError::UnsupportedVersion { interface: name.full.clone() });
                }
            }
        }

        if let Some(interface) = outline.passed_on {
            return Err(ComposeError::PassedOn { interface });
        }
        if outline.exports.is_empty() {
            return Err(match functions.is_empty() {
                true => ComposeError::NothingToRun,
                false => ComposeError::ExportsWithoutTypes { functions },
            });
        }

        let (resolve, world) = match wit_component::decode(&bytes) {
            Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
            Ok(DecodedWasm::WitPackage(..)) => return Err(ComposeError::NothingToVirtualize),
            Err(error) => {
                return Err(match error.downcast_ref::<BinaryReaderError>() {
                    Some(error) => ComposeError::invalid(error),
                    None => ComposeError::Undecodable { reason: one_line(&format!("{error:#}")) },
                });
            }
        };
        let exports = outline.exports.iter().map(|name| InterfaceName::parse(name)).collect();
        Ok(Self { bytes, resolve, world, imports, exports, was_core })
    }

    /// Returns the name under which the guest's host provides an interface. If the guest imports
    /// it, that is the newest of the guest's names, else the interface at the version of the
    /// guest's file system.
    pub(crate) fn host_name(&self, base: &str) -> String {
        let newest = |matches: &dyn Fn(&InterfaceName) -> bool| {
            self.imports.iter().filter(|n| matches(n)).max_by(|a, b| a.version().cmp(&b.version()))
        };
        let package = base.split('/').next().unwrap_or(base);
        if let Some(name) = newest(&|n| n.base == base && n.is_wasi02(package)) {
            return name.full.clone();
        }
        let file_system = newest(&|n| n.is_wasi02("wasi:filesystem")).and_then(|n| n.version());
        match file_system {
            Some(version) => format!("{base}@{version}"),
            None => base.to_owned(),
        }
    }
}

/// Fails if a guest imports the store itself: composing would keep that import, and give it all
/// volumes.
fn refuse_store(outline: &Outline) -> Result<(), ComposeError> {
    match outline.store_import() {
        Some(interface) => Err(ComposeError::AsksForStore { interface: interface.to_owned() }),
        None => Ok(()),
    }
}

fn encode_core(input: &[u8], outline: &Outline) -> Result<Vec<u8>, ComposeError> {
    // The encoder expects a valid module, so this has to find a damaged one.
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
        .validate_all(input)
        .map_err(|e| ComposeError::invalid(&e))?;
    let name = preview1::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
    let adapter = if outline.exports.iter().any(|export| export == "_start") {
        preview1::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
    } else {
        preview1::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    };
    let uses_preview1 = outline.imports.iter().any(|import| import == name);
    let encode = || {
        let mut encoder = ComponentEncoder::default();
        encoder.module(input)?;
        if uses_preview1 {
            encoder.adapter(name, adapter)?;
        }
        encoder.encode()
    };
    encode().map_err(|e: anyhow::Error| ComposeError::CoreModule { reason: one_line(&format!("{e:#}")) })
}
