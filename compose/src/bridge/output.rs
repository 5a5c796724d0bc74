//! The sections of a core module while it is written.

use crate::wasm::code::Body;
use wasm_encoder::{
    CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, FunctionSection, GlobalSection,
    GlobalType, ImportSection, MemoryType, Module, TypeSection, ValType,
};

/// The sections.
#[derive(Default)]
pub(super) struct Output {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    exports: ExportSection,
    code: CodeSection,
    pub(super) function_count: u32,
    import_count: u32,
}

impl Output {
    pub(super) fn type_index(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let index = self.types.len();
        self.types.ty().function(params.iter().copied(), results.iter().copied());
        index
    }

    pub(super) fn import_memory(&mut self) {
        let memory =
            MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
        self.imports.import("memory", "memory", memory);
        let mark = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        self.imports.import("memory", "top", mark);
        let ty = self.type_index(&[ValType::I32; 4], &[ValType::I32]);
        self.imports.import("memory", "realloc", EntityType::Function(ty));
        self.function_count += 1;
    }

    pub(super) fn import_function(&mut self, params: Vec<ValType>, results: Vec<ValType>) {
        let ty = self.type_index(&params, &results);
        self.imports.import("host", &self.import_count.to_string(), EntityType::Function(ty));
        self.import_count += 1;
        self.function_count += 1;
    }

    pub(super) fn function(&mut self, params: &[ValType], results: &[ValType], body: Body) {
        let ty = self.type_index(params, results);
        self.functions.function(ty);
        self.code.function(&body.finish());
        self.function_count += 1;
    }

    pub(super) fn exported(&mut self, params: &[ValType], results: &[ValType], body: Body, name: &str) {
        self.exports.export(name, ExportKind::Func, self.function_count);
        self.function(params, results, body);
    }

    pub(super) fn finish(self) -> Module {
        let mut globals = GlobalSection::new();
        let own = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        // REFUSED and PENDING, in this order
        globals.global(own, &ConstExpr::i32_const(0));
        globals.global(own, &ConstExpr::i32_const(0));
        let mut module = Module::new();
        module
            .section(&self.types)
            .section(&self.imports)
            .section(&self.functions)
            .section(&globals)
            .section(&self.exports)
            .section(&self.code);
        module
    }
}
