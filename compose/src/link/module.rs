//! A core module of glue while it is written, with the sources of its imports.

use super::items::ItemId;
use super::job::Part;
use crate::wasm::code::Body;
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, FunctionSection, GlobalType, ImportSection,
    MemoryType, Module, TypeSection, ValType,
};

/// The source of an import of a glue module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GlueImport {
    /// An item of a part.
    Item(Part, ItemId),
    /// A core function of the guest, as without linking.
    Original(ItemId),
    /// A function of an imported interface, lowered without a memory.
    HostFunction(String, &'static str),
    /// The drop of a resource of an imported interface.
    HostDrop(String, String),
    /// An export of the handle table.
    Handles(&'static str),
    /// An export of the notes of lent handles.
    Loans(&'static str),
    /// An export of the module that wraps the host's handles.
    Mixed(&'static str),
    /// The check for UTF-8 in the memory of a part.
    Text(Part, ItemId),
}

/// Module name of all imports. Their names are numbers.
pub(super) const IMPORTS: &str = "0";

/// A core module of glue.
#[derive(Default)]
pub(super) struct GlueModule {
    types: TypeSection,
    known_types: Vec<(Vec<ValType>, Vec<ValType>)>,
    imports: ImportSection,
    sources: Vec<(GlueImport, ExportKind)>,
    /// The index of each import in its own space.
    indices: Vec<u32>,
    imported_functions: u32,
    functions: FunctionSection,
    names: Vec<String>,
    exports: ExportSection,
    code: CodeSection,
}

impl GlueModule {
    /// Imports a function. Imports and functions may come in any order: bodies refer only to
    /// imports, whose indices come first.
    pub(super) fn function(&mut self, import: GlueImport, params: &[ValType], results: &[ValType]) -> u32 {
        let ty = self.type_index(params, results);
        self.import(import, ExportKind::Func, EntityType::Function(ty))
    }

    pub(super) fn memory(&mut self, import: GlueImport) -> u32 {
        let any =
            MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
        self.import(import, ExportKind::Memory, any.into())
    }

    pub(super) fn global(&mut self, import: GlueImport) -> u32 {
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        self.import(import, ExportKind::Global, ty.into())
    }

    fn import(&mut self, import: GlueImport, kind: ExportKind, ty: EntityType) -> u32 {
        let known = self.sources.iter().position(|known| *known == (import.clone(), kind));
        if let Some(number) = known {
            return self.indices[number];
        }
        let index = self.sources.iter().filter(|(_, other)| *other == kind).count() as u32;
        self.imports.import(IMPORTS, &self.sources.len().to_string(), ty);
        self.sources.push((import, kind));
        self.indices.push(index);
        if kind == ExportKind::Func {
            self.imported_functions += 1;
        }
        index
    }

    fn type_index(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let key = (params.to_vec(), results.to_vec());
        if let Some(index) = self.known_types.iter().position(|known| *known == key) {
            return index as u32;
        }
        self.types.ty().function(params.iter().copied(), results.iter().copied());
        self.known_types.push(key);
        self.known_types.len() as u32 - 1
    }

    /// Defines an exported function. `finish` numbers the exports, when all imports are known.
    pub(super) fn define(&mut self, name: &str, params: &[ValType], results: &[ValType], body: Body) {
        let ty = self.type_index(params, results);
        self.functions.function(ty);
        self.code.function(&body.finish());
        self.names.push(name.to_owned());
    }

    /// Returns the module and its imports.
    pub(super) fn finish(mut self) -> (Vec<u8>, Vec<(GlueImport, ExportKind)>) {
        for (number, name) in self.names.iter().enumerate() {
            self.exports.export(name, ExportKind::Func, self.imported_functions + number as u32);
        }
        let mut module = Module::new();
        module
            .section(&self.types)
            .section(&self.imports)
            .section(&self.functions)
            .section(&self.exports)
            .section(&self.code);
        (module.finish(), self.sources)
    }
}
