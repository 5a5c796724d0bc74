//! The items of a component, by index space.
//!
//! Only the outermost level is parsed. Core modules and inner components are copied as ranges of
//! the input; code is never read.

use super::error::NotLinkable;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentExternalKind, ComponentImport,
    ComponentInstance, ComponentType, ComponentTypeRef, CoreType, CustomSectionReader, ExternalKind,
    Instance, Parser, Payload,
};

/// An index space of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Space {
    CoreModule,
    CoreType,
    CoreInstance,
    CoreFunc,
    CoreTable,
    CoreMemory,
    CoreGlobal,
    CoreTag,
    Component,
    Type,
    Instance,
    Func,
    Value,
}

impl Space {
    pub(super) const COUNT: usize = 13;

    pub(super) fn of_core(kind: ExternalKind) -> Self {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::CoreFunc,
            ExternalKind::Table => Self::CoreTable,
            ExternalKind::Memory => Self::CoreMemory,
            ExternalKind::Global => Self::CoreGlobal,
            ExternalKind::Tag => Self::CoreTag,
        }
    }

    pub(super) fn of(kind: ComponentExternalKind) -> Self {
        match kind {
            ComponentExternalKind::Module => Self::CoreModule,
            ComponentExternalKind::Func => Self::Func,
            ComponentExternalKind::Value => Self::Value,
            ComponentExternalKind::Type => Self::Type,
            ComponentExternalKind::Instance => Self::Instance,
            ComponentExternalKind::Component => Self::Component,
        }
    }
}

/// An item by its space and its index there.
pub(super) type ItemId = (Space, u32);

/// The definition of an item.
#[derive(Clone, Debug)]
pub(super) enum Item<'a> {
    /// A core module or an inner component: its bytes.
    Bytes(&'a [u8]),
    CoreType(CoreType<'a>),
    CoreInstance(Instance<'a>),
    Alias(ComponentAlias<'a>),
    Canonical(CanonicalFunction),
    Type(ComponentType<'a>),
    Instance(ComponentInstance<'a>),
    Import(ComponentImport<'a>),
    /// An export is an item too: another index for the item that it exports.
    Export(ComponentExport<'a>),
}

/// A step of the file, in its order.
#[derive(Clone, Debug)]
pub(super) enum Step<'a> {
    Item(ItemId),
    Custom(CustomSectionReader<'a>),
}

/// The items of a component.
pub(super) struct Items<'a> {
    spaces: [Vec<Item<'a>>; Space::COUNT],
    pub(super) steps: Vec<Step<'a>>,
}

impl<'a> Items<'a> {
    /// Reads a component that is not cut off.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, NotLinkable> {
        let mut items = Self { spaces: Default::default(), steps: Vec::new() };
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(damaged)?;
            match payload {
                Payload::ModuleSection { unchecked_range, .. } => {
                    if depth == 0 {
                        items.add(Space::CoreModule, Item::Bytes(slice(bytes, unchecked_range)?));
                    }
                    depth += 1;
                }
                Payload::ComponentSection { unchecked_range, .. } => {
                    if depth == 0 {
                        let inner = slice(bytes, unchecked_range)?;
                        if reaches_out(inner)? {
                            return Err(NotLinkable::new("an inner component uses types of the outer one"));
                        }
                        items.add(Space::Component, Item::Bytes(inner));
                    }
                    depth += 1;
                }
                Payload::End(_) => depth -= 1,
                payload if depth == 0 => items.payload(payload)?,
                _ => {}
            }
        }
        Ok(items)
    }

    fn payload(&mut self, payload: Payload<'a>) -> Result<(), NotLinkable> {
        match payload {
            Payload::Version { .. } => {}
            Payload::CoreTypeSection(section) => {
                for ty in section {
                    self.add(Space::CoreType, Item::CoreType(ty.map_err(damaged)?));
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.add(Space::CoreInstance, Item::CoreInstance(instance.map_err(damaged)?));
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    let alias = alias.map_err(damaged)?;
                    let space = match &alias {
                        ComponentAlias::InstanceExport { kind, .. } => Space::of(*kind),
                        ComponentAlias::CoreInstanceExport { kind, .. } => Space::of_core(*kind),
                        ComponentAlias::Outer { .. } => {
                            return Err(NotLinkable::new("an alias leaves the outermost component"));
                        }
                    };
                    self.add(space, Item::Alias(alias));
                }
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    self.add(Space::Type, Item::Type(ty.map_err(damaged)?));
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for canonical in section {
                    let canonical = canonical.map_err(damaged)?;
                    let space = match canonical {
                        CanonicalFunction::Lift { .. } => Space::Func,
                        _ => Space::CoreFunc,
                    };
                    self.add(space, Item::Canonical(canonical));
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    self.add(Space::Instance, Item::Instance(instance.map_err(damaged)?));
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(damaged)?;
                    let space = match import.ty {
                        ComponentTypeRef::Module(_) => Space::CoreModule,
                        ComponentTypeRef::Func(_) => Space::Func,
                        ComponentTypeRef::Value(_) => Space::Value,
                        ComponentTypeRef::Type(_) => Space::Type,
                        ComponentTypeRef::Instance(_) => Space::Instance,
                        ComponentTypeRef::Component(_) => Space::Component,
                    };
                    self.add(space, Item::Import(import));
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(damaged)?;
                    self.add(Space::of(export.kind), Item::Export(export));
                }
            }
            Payload::ComponentStartSection { .. } => {
                return Err(NotLinkable::new("it has a component start function"));
            }
            Payload::CustomSection(section) => self.steps.push(Step::Custom(section)),
            other => return Err(NotLinkable::new(format!("it has an unknown section: {other:?}"))),
        }
        Ok(())
    }

    fn add(&mut self, space: Space, item: Item<'a>) {
        let all = &mut self.spaces[space as usize];
        self.steps.push(Step::Item((space, all.len() as u32)));
        all.push(item);
    }

    /// Returns an item. The index comes from the component, so it may be out of range.
    pub(super) fn get(&self, (space, index): ItemId) -> Result<&Item<'a>, NotLinkable> {
        let item = self.spaces[space as usize].get(index as usize);
        item.ok_or_else(|| NotLinkable::new(format!("index {index} is out of bounds in {space:?}")))
    }

    /// Lists the items of a space.
    pub(super) fn all(&self, space: Space) -> &[Item<'a>] {
        &self.spaces[space as usize]
    }
}

pub(super) fn damaged(error: wasmparser::BinaryReaderError) -> NotLinkable {
    NotLinkable::new(format!("it cannot be read: byte {}: {}", error.offset(), error.message()))
}

fn slice(bytes: &[u8], range: std::ops::Range<u64>) -> Result<&[u8], NotLinkable> {
    let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    range.and_then(|(start, end)| bytes.get(start..end)).ok_or_else(|| NotLinkable::new("it is cut off"))
}

/// Returns true if an inner component aliases an item of the component around it.
fn reaches_out(inner: &[u8]) -> Result<bool, NotLinkable> {
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(inner) {
        match payload.map_err(damaged)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if let ComponentAlias::Outer { count, .. } = alias.map_err(damaged)?
                        && count >= depth
                    {
                        return Ok(true);
                    }
                }
            }
            // In a type, the component is one level further out.
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    if type_reaches_out(&ty.map_err(damaged)?, depth) {
                        return Ok(true);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

fn type_reaches_out(ty: &ComponentType<'_>, depth: u32) -> bool {
    use wasmparser::{ComponentTypeDeclaration as C, InstanceTypeDeclaration as I};
    let alias =
        |alias: &ComponentAlias<'_>| matches!(alias, ComponentAlias::Outer { count, .. } if *count > depth);
    match ty {
        ComponentType::Component(declarations) => declarations.iter().any(|d| match d {
            C::Alias(found) => alias(found),
            C::Type(inner) => type_reaches_out(inner, depth + 1),
            _ => false,
        }),
        ComponentType::Instance(declarations) => declarations.iter().any(|d| match d {
            I::Alias(found) => alias(found),
            I::Type(inner) => type_reaches_out(inner, depth + 1),
            _ => false,
        }),
        _ => false,
    }
}
