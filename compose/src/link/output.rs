//! The result while it is written: one item after the other, each with its index.

use super::items::Space;
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection, ComponentExportKind,
    ComponentSection, ComponentTypeSection, ExportKind, InstanceSection, ModuleArg, RawSection, ValType,
};

/// Identifiers of the sections that are copied byte for byte.
const CORE_MODULE_SECTION: u8 = 1;
const COMPONENT_SECTION: u8 = 4;

/// The component while it is written. Every item gets a section of its own: sections may come in
/// any number and order, so an item can be put right before the first one that refers to it.
#[derive(Default)]
pub(super) struct Output {
    component: Component,
    counts: [u32; Space::COUNT],
}

impl Output {
    /// Appends a section that adds one item, and returns the item's index.
    pub(super) fn add(&mut self, space: Space, section: &impl ComponentSection) -> u32 {
        self.component.section(section);
        self.count(space)
    }

    /// Appends a section that adds no item.
    pub(super) fn section(&mut self, section: &impl ComponentSection) {
        self.component.section(section);
    }

    /// Appends a core module or an inner component as it is.
    pub(super) fn raw(&mut self, space: Space, bytes: &[u8]) -> u32 {
        let id = if space == Space::Component { COMPONENT_SECTION } else { CORE_MODULE_SECTION };
        self.component.section(&RawSection { id, data: bytes });
        self.count(space)
    }

    fn count(&mut self, space: Space) -> u32 {
        let count = &mut self.counts[space as usize];
        *count += 1;
        *count - 1
    }

    /// Makes a core instance of items that exist.
    pub(super) fn core_bundle(&mut self, exports: &[(String, ExportKind, u32)]) -> u32 {
        let mut section = InstanceSection::new();
        section.export_items(exports.iter().map(|(name, kind, index)| (name.as_str(), *kind, *index)));
        self.add(Space::CoreInstance, &section)
    }

    /// Instantiates a core module.
    pub(super) fn instantiate(&mut self, module: u32, arguments: &[(&str, u32)]) -> u32 {
        let mut section = InstanceSection::new();
        let arguments = arguments.iter().map(|(name, index)| (*name, ModuleArg::Instance(*index)));
        section.instantiate(module, arguments);
        self.add(Space::CoreInstance, &section)
    }

    /// Aliases an export of a core instance.
    pub(super) fn core_export(&mut self, space: Space, instance: u32, name: &str) -> u32 {
        let kind = match space {
            Space::CoreMemory => ExportKind::Memory,
            Space::CoreGlobal => ExportKind::Global,
            Space::CoreTable => ExportKind::Table,
            _ => ExportKind::Func,
        };
        self.alias(space, Alias::CoreInstanceExport { instance, kind, name })
    }

    /// Aliases an export of a component instance.
    pub(super) fn export(&mut self, space: Space, instance: u32, name: &str) -> u32 {
        let kind = match space {
            Space::Type => ComponentExportKind::Type,
            _ => ComponentExportKind::Func,
        };
        self.alias(space, Alias::InstanceExport { instance, kind, name })
    }

    fn alias(&mut self, space: Space, alias: Alias<'_>) -> u32 {
        let mut section = ComponentAliasSection::new();
        section.alias(alias);
        self.add(space, &section)
    }

    /// Lowers a function.
    pub(super) fn lower(&mut self, function: u32, options: &[CanonicalOption]) -> u32 {
        let mut section = CanonicalFunctionSection::new();
        section.lower(function, options.iter().copied());
        self.add(Space::CoreFunc, &section)
    }

    /// Adds the function that drops a handle of a resource.
    pub(super) fn resource_drop(&mut self, resource: u32) -> u32 {
        let mut section = CanonicalFunctionSection::new();
        section.resource_drop(resource);
        self.add(Space::CoreFunc, &section)
    }

    /// Defines a resource without instances, to keep types valid that mention it.
    pub(super) fn placeholder_resource(&mut self) -> u32 {
        let mut section = ComponentTypeSection::new();
        section.resource(ValType::I32, None);
        self.add(Space::Type, &section)
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.component.finish()
    }
}
