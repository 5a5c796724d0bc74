//! Puts glue modules, and the modules that they use, into the result.

use super::error::NotLinkable;
use super::handles;
use super::items::{ItemId, Space};
use super::job::Part;
use super::linker::{Glue, Linker};
use super::module::{GlueImport, GlueModule, IMPORTS};
use crate::wasm::code::Body;
use wasm_encoder::{ExportKind, ValType};

/// The check for UTF-8, built from `text.wat`.
pub(super) static TEXT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/text.wasm"));

impl Linker<'_> {
    /// Returns the instance of a glue module, after placing it if it is only planned.
    pub(super) fn glue_instance(&mut self, number: usize) -> Result<u32, NotLinkable> {
        let (bytes, imports) = match &self.glue[number] {
            Glue::Placed(instance) => return Ok(*instance),
            Glue::Planned(bytes, imports) => (bytes.clone(), imports.clone()),
        };
        let mut exports = Vec::new();
        for (at, (import, kind)) in imports.into_iter().enumerate() {
            exports.push((at.to_string(), kind, self.provide(import, kind)?));
        }
        // Its imports may have needed the module itself, and placed it.
        if let Glue::Placed(instance) = self.glue[number] {
            return Ok(instance);
        }
        let bundle = self.output.core_bundle(&exports);
        let module = self.output.raw(Space::CoreModule, &bytes);
        let instance = self.output.instantiate(module, &[(IMPORTS, bundle)]);
        self.glue[number] = Glue::Placed(instance);
        Ok(instance)
    }

    fn provide(&mut self, import: GlueImport, kind: ExportKind) -> Result<u32, NotLinkable> {
        let space = match kind {
            ExportKind::Memory => Space::CoreMemory,
            ExportKind::Global => Space::CoreGlobal,
            _ => Space::CoreFunc,
        };
        match import {
            GlueImport::Item(part, id) => self.need(part, id),
            GlueImport::Original(id) => self.write(Part::Guest, id),
            GlueImport::HostFunction(interface, name) => {
                let instance = self.imports.get(&(Space::Instance, interface.clone())).copied();
                let instance =
                    instance.ok_or_else(|| NotLinkable::new(format!("{interface} is not imported")))?;
                let function = self.output.export(Space::Func, instance, name);
                Ok(self.output.lower(function, &[]))
            }
            GlueImport::HostDrop(interface, name) => {
                let instance = self.imports.get(&(Space::Instance, interface.clone())).copied();
                let instance =
                    instance.ok_or_else(|| NotLinkable::new(format!("{interface} is not imported")))?;
                let resource = self.output.export(Space::Type, instance, &name);
                Ok(self.output.resource_drop(resource))
            }
            GlueImport::Handles(name) => {
                let instance = self.handle_table()?;
                Ok(self.output.core_export(space, instance, name))
            }
            GlueImport::Loans(name) => {
                let instance = self.loans.unwrap_or_else(|| {
                    let module = self.output.raw(Space::CoreModule, handles::LOANS);
                    self.output.instantiate(module, &[])
                });
                self.loans = Some(instance);
                Ok(self.output.core_export(space, instance, name))
            }
            GlueImport::Mixed(name) => {
                let number =
                    self.mixed.ok_or_else(|| NotLinkable::new("a call takes handles of two kinds"))?;
                let instance = self.glue_instance(number)?;
                Ok(self.output.core_export(space, instance, name))
            }
            GlueImport::Text(part, memory) => {
                let instance = self.text(part, memory)?;
                Ok(self.output.core_export(space, instance, "check"))
            }
        }
    }

    /// Returns the instance of the table of handles, after placing it if needed.
    fn handle_table(&mut self) -> Result<u32, NotLinkable> {
        if let Some(instance) = self.table {
            return Ok(instance);
        }
        let mut exports = Vec::new();
        for (kind, destructor) in self.destructors.clone().into_iter().enumerate() {
            let function = match destructor {
                Some(function) => self.need(Part::Adapter, (Space::CoreFunc, function))?,
                None => self.nothing(),
            };
            exports.push((kind.to_string(), ExportKind::Func, function));
        }
        let bundle = self.output.core_bundle(&exports);
        let module = self.output.raw(Space::CoreModule, handles::TABLE);
        let instance = self.output.instantiate(module, &[("destructors", bundle)]);
        self.table = Some(instance);
        Ok(instance)
    }

    pub(super) fn handles(&mut self) -> Result<u32, NotLinkable> {
        self.glue_instance(self.operations)
    }

    fn text(&mut self, part: Part, memory: ItemId) -> Result<u32, NotLinkable> {
        if let Some(instance) = self.text.get(&(part, memory)) {
            return Ok(*instance);
        }
        let index = self.need(part, memory)?;
        let bundle = self.output.core_bundle(&[("memory".into(), ExportKind::Memory, index)]);
        let module = self.output.raw(Space::CoreModule, TEXT);
        let instance = self.output.instantiate(module, &[("memory", bundle)]);
        self.text.insert((part, memory), instance);
        Ok(instance)
    }

    /// Places a destructor that does nothing.
    fn nothing(&mut self) -> u32 {
        let mut module = GlueModule::default();
        module.define("f", &[ValType::I32], &[], Body::new(1));
        let (bytes, _) = module.finish();
        let module = self.output.raw(Space::CoreModule, &bytes);
        let instance = self.output.instantiate(module, &[]);
        self.output.core_export(Space::CoreFunc, instance, "f")
    }
}
