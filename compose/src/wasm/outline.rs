//! The imports and exports of a wasm file.

use crate::error::ComposeError;
use crate::names::STORE;
use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentTypeRef, Encoding, ExternalKind,
    Parser, Payload,
};

/// The imports and exports of a wasm file, at its outermost level.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) is_component: bool,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    /// Interfaces that imports state in their `implements`, under whatever names.
    implemented: Vec<String>,
    /// An import that is exported again under its own name, if any.
    pub(crate) passed_on: Option<String>,
    /// For each instance by index, the name of the import that it is; `None` for other instances.
    instances: Vec<Option<String>>,
}

impl Outline {
    /// Reads imports and exports, and checks that the file is not cut off.
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

    /// Returns the import of the store itself, in any version and spelling, if there is one.
    pub(crate) fn store_import(&self) -> Option<&str> {
        // In a core module, the mangling may precede the name.
        let interface =
            |name: &str| name.rsplit('|').next().and_then(|name| name.split('@').next()) == Some(STORE);
        let is_store = |name: &&String| interface(name);
        self.imports.iter().chain(&self.implemented).find(is_store).map(String::as_str)
    }
}
