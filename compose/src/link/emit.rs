//! Writes items of the parts into the result, each before the first item that refers to it.
//!
//! An item is written once, after all that it refers to. A map per part and space has its index in
//! the result. An item that is not written as it stands has a [`Replacement`].

use super::error::NotLinkable;
use super::items::{Item, ItemId, Space};
use super::job::Part;
use super::linker::Linker;
use super::source::Replacement;
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasm_encoder::{
    CanonicalFunctionSection, ComponentAliasSection, ComponentExportSection, ComponentImportSection,
    ComponentInstanceSection, ComponentTypeSection, CoreTypeSection, InstanceSection,
};
use wasmparser::{CanonicalFunction, ComponentExport, ComponentImport, ExternalKind};

impl<'a> Linker<'a> {
    /// Returns the index of an item in the result, after writing it if it is not there yet.
    pub(super) fn need(&mut self, part: Part, id: ItemId) -> Result<u32, NotLinkable> {
        let source = self.source_mut(part);
        if let Some(index) = source.place(id) {
            return Ok(index);
        }
        if source.open.contains(&id) {
            return Err(NotLinkable::new("it refers to an item that comes later"));
        }
        source.open.push(id);
        let replacement = source.replacements.get(&id).cloned();
        let index = match replacement {
            Some(replacement) => self.write_replacement(part, id, replacement)?,
            None => self.write(part, id)?,
        };
        let source = self.source_mut(part);
        source.open.pop();
        source.written.insert(id, index);
        Ok(index)
    }

    fn write_replacement(
        &mut self,
        part: Part,
        id: ItemId,
        replacement: Replacement,
    ) -> Result<u32, NotLinkable> {
        match replacement {
            Replacement::Same(other, id) => self.need(other, id),
            Replacement::Glue(module, name) => {
                let instance = self.glue_instance(module)?;
                Ok(self.output.core_export(Space::CoreFunc, instance, &name))
            }
            Replacement::Handle(operation, kind) => {
                let instance = self.handles()?;
                Ok(self.output.core_export(Space::CoreFunc, instance, &operation.export(kind)))
            }
            Replacement::Wrapped(module, name) => self.write_wrapped(part, id, module, &name),
            Replacement::Rename(name) => self.write_import(part, id, Some(&name)),
            Replacement::Answered(interface) => {
                Err(NotLinkable::new(format!("{interface} is used otherwise than by calling its functions")))
            }
            Replacement::Placeholder => Ok(self.output.placeholder_resource()),
        }
    }

    /// Writes an item as it stands, with the indices in it mapped.
    pub(super) fn write(&mut self, part: Part, id: ItemId) -> Result<u32, NotLinkable> {
        let items = self.source(part).items.clone();
        let space = id.0;
        match items.get(id)? {
            Item::Bytes(bytes) => Ok(self.output.raw(space, bytes)),
            Item::CoreType(ty) => {
                let mut section = CoreTypeSection::new();
                let ty = ty.clone();
                self.reencode(part, |r| r.parse_component_core_type(section.ty(), ty))?;
                Ok(self.output.add(space, &section))
            }
            Item::CoreInstance(instance) => {
                let mut section = InstanceSection::new();
                self.reencode(part, |r| r.parse_instance(&mut section, instance.clone()))?;
                Ok(self.output.add(space, &section))
            }
            Item::Alias(alias) => {
                let mut section = ComponentAliasSection::new();
                let alias = alias.clone();
                self.reencode(part, |r| {
                    section.alias(r.component_alias(alias)?);
                    Ok(())
                })?;
                Ok(self.output.add(space, &section))
            }
            Item::Canonical(function) => {
                let mut section = CanonicalFunctionSection::new();
                self.reencode(part, |r| r.parse_component_canonical(&mut section, function.clone()))?;
                Ok(self.output.add(space, &section))
            }
            Item::Type(ty) => {
                let mut section = ComponentTypeSection::new();
                let ty = ty.clone();
                self.reencode(part, |r| r.parse_component_type(section.ty(), ty))?;
                Ok(self.output.add(space, &section))
            }
            Item::Instance(instance) => {
                let mut section = ComponentInstanceSection::new();
                self.reencode(part, |r| r.parse_component_instance(&mut section, instance.clone()))?;
                Ok(self.output.add(space, &section))
            }
            Item::Import(_) => self.write_import(part, id, None),
            Item::Export(export) => {
                let mut section = ComponentExportSection::new();
                let export: ComponentExport<'_> = export.clone();
                self.reencode(part, |r| r.parse_component_export(&mut section, export))?;
                Ok(self.output.add(space, &section))
            }
        }
    }

    /// Writes a lifted function with another core function.
    fn write_wrapped(
        &mut self,
        part: Part,
        id: ItemId,
        module: usize,
        name: &str,
    ) -> Result<u32, NotLinkable> {
        let items = self.source(part).items.clone();
        let Item::Canonical(CanonicalFunction::Lift { type_index, options, .. }) = items.get(id)? else {
            return Err(NotLinkable::new("an export is wrapped that is not lifted"));
        };
        let instance = self.glue_instance(module)?;
        let core_func = self.output.core_export(Space::CoreFunc, instance, name);
        let mut mapped = Vec::new();
        let mut ty = 0;
        self.reencode(part, |r| {
            ty = r.component_type_index(*type_index);
            for option in options {
                mapped.push(r.canonical_option(*option)?);
            }
            Ok(())
        })?;
        let mut section = CanonicalFunctionSection::new();
        section.lift(core_func, ty, mapped);
        Ok(self.output.add(Space::Func, &section))
    }

    /// Writes an import, unless another part has imported the same name already.
    fn write_import(&mut self, part: Part, id: ItemId, name: Option<&str>) -> Result<u32, NotLinkable> {
        let items = self.source(part).items.clone();
        let Item::Import(import) = items.get(id)? else {
            return Err(NotLinkable::new("an item that is no import is renamed"));
        };
        let import: ComponentImport<'_> = *import;
        let name = name.unwrap_or(import.name.name);
        if let Some(index) = self.imports.get(&(id.0, name.to_owned())) {
            return Ok(*index);
        }
        let mut section = ComponentImportSection::new();
        let mut external = import.name;
        external.name = name;
        self.reencode(part, |r| {
            section.import(external, r.component_type_ref(import.ty)?);
            Ok(())
        })?;
        let index = self.output.add(id.0, &section);
        self.imports.insert((id.0, name.to_owned()), index);
        Ok(index)
    }

    fn reencode(
        &mut self,
        part: Part,
        encode: impl FnOnce(&mut Encoder<'_, 'a>) -> Result<(), Error<NotLinkable>>,
    ) -> Result<(), NotLinkable> {
        let mut encoder = Encoder { linker: self, part, depth: 0, failed: None };
        let outcome = encode(&mut encoder);
        if let Some(why) = encoder.failed {
            return Err(why);
        }
        outcome.map_err(|error| match error {
            Error::UserError(why) => why,
            other => NotLinkable::new(format!("it cannot be written again: {other}")),
        })
    }

    /// Writes the custom section with the names of items, for those that were written.
    pub(super) fn write_names(&mut self, reader: wasmparser::ComponentNameSectionReader<'a>) {
        // Names are for people only, so names that cannot be read are left out.
        let mut section = wasm_encoder::ComponentNameSection::new();
        for subsection in reader {
            let Ok(subsection) = subsection else { break };
            self.write_name_map(&mut section, subsection);
        }
        self.output.section(&section);
    }

    fn write_name_map(
        &self,
        section: &mut wasm_encoder::ComponentNameSection,
        names: wasmparser::ComponentName<'a>,
    ) {
        use wasmparser::ComponentName as N;
        let source = self.source(Part::Guest);
        let map = |space: Space, names: wasmparser::NameMap<'_>| {
            let mut found: Vec<_> = names
                .into_iter()
                .map_while(Result::ok)
                .filter_map(|naming| Some((source.place((space, naming.index))?, naming.name)))
                .collect();
            found.sort_unstable();
            found.dedup_by_key(|(index, _)| *index);
            let mut out = wasm_encoder::NameMap::new();
            found.iter().for_each(|(index, name)| out.append(*index, name));
            out
        };
        match names {
            N::Component { name, .. } => section.component(name),
            N::CoreFuncs(names) => section.core_funcs(&map(Space::CoreFunc, names)),
            N::CoreGlobals(names) => section.core_globals(&map(Space::CoreGlobal, names)),
            N::CoreMemories(names) => section.core_memories(&map(Space::CoreMemory, names)),
            N::CoreTables(names) => section.core_tables(&map(Space::CoreTable, names)),
            N::CoreModules(names) => section.core_modules(&map(Space::CoreModule, names)),
            N::CoreInstances(names) => section.core_instances(&map(Space::CoreInstance, names)),
            N::CoreTypes(names) => section.core_types(&map(Space::CoreType, names)),
            N::Types(names) => section.types(&map(Space::Type, names)),
            N::Instances(names) => section.instances(&map(Space::Instance, names)),
            N::Components(names) => section.components(&map(Space::Component, names)),
            N::Funcs(names) => section.funcs(&map(Space::Func, names)),
            // Linkable components have no values and tags, and unknown names cannot be mapped.
            N::Values(_) | N::CoreTags(_) | N::Unknown { .. } => {}
        }
    }
}

/// Maps the indices in one item of a part.
struct Encoder<'l, 'a> {
    linker: &'l mut Linker<'a>,
    part: Part,
    /// Number of types around the item being encoded. Only at depth 0 do indices mean items of the
    /// component.
    depth: u32,
    failed: Option<NotLinkable>,
}

impl Encoder<'_, '_> {
    fn index(&mut self, space: Space, index: u32) -> u32 {
        if self.depth > 0 {
            return index;
        }
        self.outermost(space, index)
    }

    fn outer(&mut self, space: Space, count: u32, index: u32) -> u32 {
        if count != self.depth {
            return index;
        }
        self.outermost(space, index)
    }

    fn outermost(&mut self, space: Space, index: u32) -> u32 {
        match self.linker.need(self.part, (space, index)) {
            Ok(index) => index,
            Err(why) => {
                self.failed.get_or_insert(why);
                0
            }
        }
    }
}

impl Reencode for Encoder<'_, '_> {
    type Error = NotLinkable;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<NotLinkable>> {
        Ok(self.index(Space::CoreFunc, index))
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<NotLinkable>> {
        Ok(self.index(Space::CoreMemory, index))
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<NotLinkable>> {
        Ok(self.index(Space::CoreTable, index))
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<NotLinkable>> {
        Ok(self.index(Space::CoreGlobal, index))
    }

    fn tag_index(&mut self, index: u32) -> Result<u32, Error<NotLinkable>> {
        Ok(self.index(Space::CoreTag, index))
    }

    fn type_index(&mut self, index: u32) -> Result<u32, Error<NotLinkable>> {
        Ok(self.index(Space::CoreType, index))
    }

    fn external_index(&mut self, kind: ExternalKind, index: u32) -> Result<u32, Error<NotLinkable>> {
        Ok(self.index(Space::of_core(kind), index))
    }
}

impl ReencodeComponent for Encoder<'_, '_> {
    fn component_type_index(&mut self, index: u32) -> u32 {
        self.index(Space::Type, index)
    }

    fn component_instance_index(&mut self, index: u32) -> u32 {
        self.index(Space::Instance, index)
    }

    fn component_func_index(&mut self, index: u32) -> u32 {
        self.index(Space::Func, index)
    }

    fn component_index(&mut self, index: u32) -> u32 {
        self.index(Space::Component, index)
    }

    fn module_index(&mut self, index: u32) -> u32 {
        self.index(Space::CoreModule, index)
    }

    fn instance_index(&mut self, index: u32) -> u32 {
        self.index(Space::CoreInstance, index)
    }

    fn component_value_index(&mut self, index: u32) -> u32 {
        self.index(Space::Value, index)
    }

    fn outer_type_index(&mut self, count: u32, index: u32) -> Result<u32, Error<NotLinkable>> {
        Ok(self.outer(Space::CoreType, count, index))
    }

    fn outer_component_type_index(&mut self, count: u32, index: u32) -> u32 {
        self.outer(Space::Type, count, index)
    }

    fn outer_component_index(&mut self, count: u32, index: u32) -> u32 {
        self.outer(Space::Component, count, index)
    }

    fn outer_module_index(&mut self, count: u32, index: u32) -> u32 {
        self.outer(Space::CoreModule, count, index)
    }

    fn push_depth(&mut self) {
        self.depth += 1;
    }

    fn pop_depth(&mut self) {
        self.depth -= 1;
    }
}
