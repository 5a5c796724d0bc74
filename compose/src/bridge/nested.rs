//! The nested components through which interfaces are exported.

use super::write::{Names, TopScope, TypeWriter};
use crate::types::Unbridgeable;
use wasm_encoder::{ComponentBuilder, ComponentExportKind, ComponentTypeRef, TypeBounds};
use wit_parser::{Function, TypeId};

/// A component without code: it imports types and functions one by one and exports them as one
/// interface. An inline instance would not do, since its functions' types would name resources that
/// it does not export.
pub(super) struct Nested<'a> {
    writer: TypeWriter<'a>,
    pub(super) builder: ComponentBuilder,
    imported: Names,
    exported: Names,
    functions: u32,
}

impl<'a> Nested<'a> {
    pub(super) fn new(writer: TypeWriter<'a>) -> Self {
        let builder = ComponentBuilder::default();
        Self { writer, builder, imported: Names::new(), exported: Names::new(), functions: 0 }
    }

    /// Imports a nominal type and returns the import's name.
    pub(super) fn import_type(&mut self, root: TypeId) -> Result<String, Unbridgeable> {
        let name = format!("t{}", self.exported.len());
        let bound = if self.writer.info.is_resource(root) {
            TypeBounds::SubResource
        } else {
            let mut scope = TopScope { builder: &mut self.builder, names: &mut self.imported };
            TypeBounds::Eq(self.writer.define(&mut scope, root)?)
        };
        let index = self.builder.import(name.as_str(), ComponentTypeRef::Type(bound));
        self.imported.insert(root, index);
        // Functions name a type by its import until it is exported.
        self.exported.insert(root, index);
        Ok(name)
    }

    pub(super) fn import_function(&mut self, function: &Function) -> Result<(String, u32), Unbridgeable> {
        let mut scope = TopScope { builder: &mut self.builder, names: &mut self.imported };
        let ty = self.writer.function(&mut scope, function)?;
        let name = format!("f{}", self.functions);
        self.functions += 1;
        let index = self.builder.import(name.as_str(), ComponentTypeRef::Func(ty));
        Ok((name, index))
    }

    /// Exports a type. A type of the interface itself is written again over the types exported so
    /// far: its import has parts that only the outer component has names for.
    pub(super) fn export_type(&mut self, name: &str, root: TypeId, own: bool) -> Result<(), Unbridgeable> {
        let info = self.writer.info;
        // A resource's functions carry its first name, not that of an alias.
        let first = self.exported.get(&root) == self.imported.get(&root);
        let mut scope = TopScope { builder: &mut self.builder, names: &mut self.exported };
        let index = if own && first && info.is_nominal(root) && !info.is_resource(root) {
            self.writer.define(&mut scope, root)?
        } else {
            self.writer.index(&mut scope, root)?
        };
        let index = self.builder.export(name, ComponentExportKind::Type, index, None);
        if first {
            self.exported.insert(root, index);
        }
        Ok(())
    }

    pub(super) fn export_function(&mut self, function: &Function, index: u32) -> Result<(), Unbridgeable> {
        let mut scope = TopScope { builder: &mut self.builder, names: &mut self.exported };
        let ty = self.writer.function(&mut scope, function)?;
        let ty = Some(ComponentTypeRef::Func(ty));
        self.builder.export(function.name.as_str(), ComponentExportKind::Func, index, ty);
        Ok(())
    }
}
