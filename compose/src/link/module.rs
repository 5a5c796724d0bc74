//! A core module of glue while it is written: what it imports, by where that comes from.

use super::items::ItemId;
use super::job::Part;
use crate::wasm::code::Body;
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, FunctionSection, GlobalType, ImportSection,
    MemoryType, Module, TypeSection, ValType,
};

/// Where an import of a glue module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GlueImport {
    /// An item of a part.
    Item(Part, ItemId),
    /// A core function of the guest as it would be without linking.
    Original(ItemId),
    /// A function of an imported interface that needs no memory, lowered.
    HostFunction(String, &'static str),
    /// The drop of a resource of an imported interface.
    HostDrop(String, String),
    /// An export of the handle table.
    Handles(&'static str),
    /// An export of the notes of what is lent.
    Loans(&'static str),
    /// An export of the module that takes the host's handles in.
    Mixed(&'static str),
    /// The check for UTF-8 in the memory of a part.
    Text(Part, ItemId),
}

/// Name under which all imports come, by number.
pub(super) const IMPORTS: &str = "0";

/// A core module that is being written.
#[derive(Default)]
pub(super) struct GlueModule {
    types: TypeSection,
    known_types: Vec<(Vec<ValType>, Vec<ValType>)>,
    imports: ImportSection,
    sources: Vec<(GlueImport, ExportKind)>,
    /// Index in its own space of each import.
    indices: Vec<u32>,
    imported_functions: u32,
    functions: FunctionSection,
    names: Vec<String>,
    exports: ExportSection,
    code: CodeSection,
}

impl GlueModule {
    /// Imports a function. All imports come before the first function is written, but bodies only name
    /// imports, so their order among each other does not matter.
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

    /// Adds a function of its own, exported. Exports are numbered when all imports are known.
    pub(super) fn define(&mut self, name: &str, params: &[ValType], results: &[ValType], body: Body) {
        let ty = self.type_index(params, results);
        self.functions.function(ty);
        self.code.function(&body.finish());
        self.names.push(name.to_owned());
    }

    /// Returns the module, and what it imports.
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
