//! Follows items of a component to their origin.

use super::error::NotLinkable;
use super::items::{Item, ItemId, Items, Space, damaged};
use std::collections::HashMap;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentType, ExternalKind, Instance, MemoryType, Parser, Payload, TypeRef,
};

/// A lifted function: its core function and its options.
#[derive(Clone, Debug)]
pub(super) struct Lifted {
    /// The item that lifts it.
    pub(super) item: ItemId,
    pub(super) core_func: u32,
    pub(super) options: Options,
}

/// The options of a lifted or lowered function that linking knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Options {
    pub(super) memory: Option<u32>,
    pub(super) realloc: Option<u32>,
    pub(super) post_return: Option<u32>,
}

impl Options {
    /// Reads options.
    ///
    /// # Errors
    ///
    /// Strings that are not UTF-8, asynchronous functions, and garbage-collected types are not
    /// supported.
    pub(super) fn of(options: &[CanonicalOption]) -> Result<Self, NotLinkable> {
        let mut found = Self::default();
        for option in options {
            match option {
                CanonicalOption::UTF8 => {}
                CanonicalOption::UTF16 | CanonicalOption::CompactUTF16 => {
                    return Err(NotLinkable::new("it has strings that are not UTF-8"));
                }
                CanonicalOption::Memory(index) => found.memory = Some(*index),
                CanonicalOption::Realloc(index) => found.realloc = Some(*index),
                CanonicalOption::PostReturn(index) => found.post_return = Some(*index),
                CanonicalOption::Async | CanonicalOption::Callback(_) => {
                    return Err(NotLinkable::new("it calls asynchronously"));
                }
                CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                    return Err(NotLinkable::new("it passes garbage-collected values"));
                }
            }
        }
        Ok(found)
    }
}

/// The items of an exported instance, by name.
pub(super) type Exports = HashMap<String, (ComponentExternalKind, u32)>;

impl<'a> Items<'a> {
    /// Returns the name of the import that an instance is, if it is one.
    pub(super) fn import_of_instance(&self, index: u32) -> Option<&'a str> {
        match self.get((Space::Instance, index)).ok()? {
            Item::Import(import) => Some(import.name.name),
            _ => None,
        }
    }

    /// Returns interface and name of a function or type of an imported instance.
    pub(super) fn imported(&self, id: ItemId) -> Option<(&'a str, &'a str)> {
        match self.get(id).ok()? {
            Item::Alias(ComponentAlias::InstanceExport { instance_index, name, .. }) => {
                Some((self.import_of_instance(*instance_index)?, name))
            }
            Item::Export(export) => self.imported((Space::of(export.kind), export.index)),
            _ => None,
        }
    }

    /// Lists the exports of the component with their items.
    pub(super) fn exports(&self) -> impl Iterator<Item = (&'a str, ComponentExternalKind, u32)> {
        [Space::Instance, Space::Func].into_iter().flat_map(|space| {
            self.all(space).iter().filter_map(|item| match item {
                Item::Export(export) => Some((export.name.name, export.kind, export.index)),
                _ => None,
            })
        })
    }

    /// Lists the items of an exported instance by name, as items of this component.
    pub(super) fn exports_of(&self, instance: u32) -> Result<Exports, NotLinkable> {
        match self.get((Space::Instance, instance))? {
            Item::Export(export) => self.exports_of(export.index),
            Item::Instance(ComponentInstance::FromExports(exports)) => {
                Ok(exports.iter().map(|e| (e.name.name.to_owned(), (e.kind, e.index))).collect())
            }
            Item::Instance(ComponentInstance::Instantiate { component_index, args }) => {
                let Item::Bytes(bytes) = self.get((Space::Component, *component_index))? else {
                    return Err(NotLinkable::new("it instantiates a component that is not its own"));
                };
                let inner = Items::read(bytes)?;
                let mut found = Exports::new();
                for space in [Space::Func, Space::Type] {
                    for item in inner.all(space) {
                        let Item::Export(export) = item else { continue };
                        let Some(argument) = inner.import_behind((space, export.index)) else { continue };
                        if let Some(arg) = args.iter().find(|arg| arg.name == argument) {
                            found.insert(export.name.name.to_owned(), (arg.kind, arg.index));
                        }
                    }
                }
                Ok(found)
            }
            _ => Err(NotLinkable::new("it exports an instance that it does not make itself")),
        }
    }

    fn import_behind(&self, id: ItemId) -> Option<&'a str> {
        match self.get(id).ok()? {
            Item::Import(import) => Some(import.name.name),
            Item::Export(export) => self.import_behind((id.0, export.index)),
            _ => None,
        }
    }

    /// Returns the lifted function behind a function.
    pub(super) fn lifted(&self, function: u32) -> Result<Lifted, NotLinkable> {
        let item = (Space::Func, function);
        match self.get(item)? {
            Item::Export(export) => self.lifted(export.index),
            Item::Canonical(CanonicalFunction::Lift { core_func_index, options, .. }) => {
                Ok(Lifted { item, core_func: *core_func_index, options: Options::of(options)? })
            }
            _ => Err(NotLinkable::new("it exports a function of an inner component")),
        }
    }

    /// Returns the index of the definition of a resource type, with its destructor.
    pub(super) fn resource(&self, ty: u32) -> Option<(u32, Option<u32>)> {
        match self.get((Space::Type, ty)).ok()? {
            Item::Export(export) => self.resource(export.index),
            Item::Type(ComponentType::Resource { dtor, .. }) => Some((ty, *dtor)),
            _ => None,
        }
    }

    /// Returns the type of a core memory.
    pub(super) fn memory_type(&self, memory: u32) -> Result<MemoryType, NotLinkable> {
        match self.get((Space::CoreMemory, memory))? {
            Item::Alias(ComponentAlias::CoreInstanceExport { instance_index, name, .. }) => {
                self.exported_memory(*instance_index, name, 0)
            }
            _ => Err(NotLinkable::new("it has a memory of unknown origin")),
        }
    }

    fn exported_memory(&self, instance: u32, name: &str, hops: u32) -> Result<MemoryType, NotLinkable> {
        let lost = || NotLinkable::new(format!("the memory {name} cannot be found"));
        if hops > 64 {
            return Err(lost());
        }
        match self.get((Space::CoreInstance, instance))? {
            Item::CoreInstance(Instance::FromExports(exports)) => {
                let export = exports.iter().find(|e| e.name == name && e.kind == ExternalKind::Memory);
                self.memory_type(export.ok_or_else(lost)?.index)
            }
            Item::CoreInstance(Instance::Instantiate { module_index, args }) => {
                let Item::Bytes(bytes) = self.get((Space::CoreModule, *module_index))? else {
                    return Err(lost());
                };
                match memory_of_module(bytes, name)?.ok_or_else(lost)? {
                    MemoryOf::Own(ty) => Ok(ty),
                    MemoryOf::Import(module, name) => {
                        let arg = args.iter().find(|arg| arg.name == module).ok_or_else(lost)?;
                        self.exported_memory(arg.index, name, hops + 1)
                    }
                }
            }
            _ => Err(lost()),
        }
    }
}

enum MemoryOf<'a> {
    Own(MemoryType),
    Import(&'a str, &'a str),
}

/// Finds an exported memory of a core module.
fn memory_of_module<'a>(module: &'a [u8], name: &str) -> Result<Option<MemoryOf<'a>>, NotLinkable> {
    let mut imported = Vec::new();
    let mut own = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(damaged)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(damaged)?;
                    if let TypeRef::Memory(_) = import.ty {
                        imported.push((import.module, import.name));
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    own.push(memory.map_err(damaged)?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(damaged)?;
                    if export.kind == ExternalKind::Memory && export.name == name {
                        let index = export.index as usize;
                        return Ok(match imported.get(index) {
                            Some((module, name)) => Some(MemoryOf::Import(module, name)),
                            None => own.get(index - imported.len()).copied().map(MemoryOf::Own),
                        });
                    }
                }
            }
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    Ok(None)
}
