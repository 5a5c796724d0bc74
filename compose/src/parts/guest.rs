//! Reads what is to be composed and makes it a component with known types.

use crate::error::{ComposeError, one_line};
use crate::names::InterfaceName;
use crate::parts;
use std::borrow::Cow;
use wasi_preview1_component_adapter_provider as preview1;
use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentTypeRef, Encoding, ExternalKind,
    Parser, Payload,
};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldId};

/// The store: an import that the adapter has, and no guest.
pub(crate) const STORE: &str = "kvfs:store/kv-store";

/// A component to be composed.
pub(crate) struct Guest<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) resolve: Resolve,
    pub(crate) world: WorldId,
    pub(crate) imports: Vec<InterfaceName>,
    pub(crate) exports: Vec<InterfaceName>,
    /// True if the input was a core module for preview1.
    pub(crate) was_core: bool,
}

/// The outermost shape of a wasm file.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) is_component: bool,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    /// Interfaces that imports of other names say they are.
    implemented: Vec<String>,
    /// An import that is exported again under its own name, if there is one.
    passed_on: Option<String>,
    /// The imports' names, by the index of the instance that each is; none for other instances.
    instances: Vec<Option<String>>,
}

impl Outline {
    /// Reads imports and exports, and sees to it that the file is whole.
    ///
    /// # Errors
    ///
    /// [`ComposeError::NotWasm`] and [`ComposeError::Invalid`].
    ///
    /// # Cost
    ///
    /// Skips over code: milliseconds for tens of megabytes.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ComposeError> {
        if !bytes.starts_with(b"\0asm") {
            return Err(ComposeError::NotWasm);
        }
        let mut out = Self::default();
        let mut depth = 0;
        let mut first = true;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|e| ComposeError::invalid(&e))?;
            match payload {
                Payload::Version { encoding, .. } if first => {
                    out.is_component = encoding == Encoding::Component;
                    first = false;
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                payload if depth == 0 => out.note(payload).map_err(|e| ComposeError::invalid(&e))?,
                _ => {}
            }
        }
        Ok(out)
    }

    fn note(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    self.imports.push(import.name.name.to_owned());
                    self.implemented.extend(import.name.implements.map(str::to_owned));
                    if matches!(import.ty, ComponentTypeRef::Instance(_)) {
                        self.instances.push(Some(import.name.name.to_owned()));
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                self.instances.extend((0..section.count()).map(|_| None));
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    let kind = ComponentExternalKind::Instance;
                    if matches!(alias?, ComponentAlias::InstanceExport { kind: found, .. } if found == kind) {
                        self.instances.push(None);
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    let name = export.name.name;
                    self.exports.push(name.to_owned());
                    if export.kind == ComponentExternalKind::Instance {
                        let import = self.instances.get(export.index as usize).cloned().flatten();
                        if import.as_deref() == Some(name) {
                            self.passed_on = import;
                        }
                        self.instances.push(None);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.imports.push(import?.module.to_owned());
                }
                self.imports.dedup();
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.exports.push(export.name.to_owned());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the import by which it asks for the store itself, in whatever version and spelling.
    pub(crate) fn store_import(&self) -> Option<&str> {
        // A core module may have the mangling before the name.
        let interface =
            |name: &str| name.rsplit('|').next().and_then(|name| name.split('@').next()) == Some(STORE);
        let is_store = |name: &&String| interface(name);
        self.imports.iter().chain(&self.implemented).find(is_store).map(String::as_str)
    }
}

impl<'a> Guest<'a> {
    /// Reads a guest.
    ///
    /// # Errors
    ///
    /// Every way in which an input can be unfit; nothing later refuses the guest as a whole.
    pub(crate) fn read(input: &'a [u8]) -> Result<Self, ComposeError> {
        let mut outline = Outline::read(input)?;
        if parts::is_marked(input) {
            return Err(ComposeError::AlreadyComposed);
        }
        refuse_store(&outline)?;
        if parts::mark_text(input).is_some() {
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

    /// Returns the name under which the guest's host provides an interface: the guest's own name if
    /// it imports it, the newest if several versions, else the interface at the version of the
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

/// Fails if a guest asks for the store itself: its imports stay what they are, so it would be given all volumes.
fn refuse_store(outline: &Outline) -> Result<(), ComposeError> {
    match outline.store_import() {
        Some(interface) => Err(ComposeError::AsksForStore { interface: interface.to_owned() }),
        None => Ok(()),
    }
}

fn encode_core(input: &[u8], outline: &Outline) -> Result<Vec<u8>, ComposeError> {
    // The encoder takes what it is given for valid, so a damaged module has to be found here.
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
