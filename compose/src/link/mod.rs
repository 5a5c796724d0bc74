//! Links the adapter's core module with the guest's, so that a file call is a core-wasm call.
//!
//! The result is the guest's component with the adapter's core modules in it. Everything the guest has
//! stays; where it lowered a function of `wasi:filesystem` or `wasi:io`, it now gets a function of a
//! generated *glue* module that calls the adapter's core function. `LINKING.md` of this crate tells
//! the whole story; the steps are files:
//!
//! | step | file |
//! |---|---|
//! | take components apart, follow items to their origin | `items`, `trace` |
//! | decide for every item of the parts what becomes of it | `plan` |
//! | see to it that both sides mean the same by a function | `shape` |
//! | write items into the result, each before the first that needs it | `emit`, `output` |
//! | the table of handles | `handles`, `handles.wat` |
//! | glue: one function, its values, its handles of both kinds, its strings | `function`, `copy`, `mixed`, `text.wat` |
//! | bytes of files: from where they lie to where they go | `direct` |
//! | commit at exit and when an export returns | `lifecycle` |

mod copy;
mod direct;
mod emit;
mod function;
mod handles;
mod items;
mod lifecycle;
mod mixed;
mod module;
mod output;
mod plan;
mod refusal;
mod shape;
mod trace;

#[cfg(test)]
mod tests;

use crate::adapter::AdapterComponent;
use crate::code::Body;
use crate::guest::Guest;
use emit::Source;
use items::{ItemId, Space};
use module::{GlueModule, IMPORTS, Wanted};
use output::Output;
pub(crate) use shape::same_function;
use std::collections::HashMap;
use wasm_encoder::{ExportKind, ValType};

/// The check for UTF-8, built from `text.wat`.
static TEXT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/text.wasm"));

/// Why parts cannot be linked, as the end of a sentence. They can be composed all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Cannot {
    reason: String,
}

impl Cannot {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// All that is linked.
pub(crate) struct Job<'a> {
    pub(crate) guest: &'a Guest<'a>,
    pub(crate) adapter: &'a AdapterComponent,
    /// Names of the host's `wasi:io` in the result, by the adapter's import. None if no handle of the
    /// host can reach the guest.
    pub(crate) host_io: Option<Vec<(String, String)>>,
    /// A component that exports the store.
    pub(crate) provider: Option<&'a [u8]>,
}

/// One of the components that go into the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Guest,
    Adapter,
    Provider,
}

/// The result being made.
struct Linker<'a> {
    output: Output,
    guest: Source<'a>,
    adapter: Source<'a>,
    provider: Option<Source<'a>>,
    /// Imports of the result, by space and name.
    imports: HashMap<(Space, String), u32>,
    glue: Vec<Glue>,
    /// Number of the glue module with the table's operations by kind, and of the one for mixed calls.
    operations: usize,
    mixed: Option<usize>,
    /// The destructors of the adapter's resources, by kind: core functions of the adapter.
    destructors: Vec<Option<u32>>,
    table: Option<u32>,
    loans: Option<u32>,
    text: HashMap<(Part, ItemId), u32>,
}

/// A glue module: planned, and placed when the first function of it is needed.
enum Glue {
    Planned(Vec<u8>, Vec<(Wanted, ExportKind)>),
    Placed(u32),
}

/// Links the parts. The result is not validated.
pub(crate) fn link(job: &Job<'_>) -> Result<Vec<u8>, Cannot> {
    let mut linker = plan::plan(job)?;
    linker.provider_and_adapter()?;
    linker.guest()?;
    Ok(linker.output.finish())
}

impl<'a> Linker<'a> {
    fn source(&self, part: Part) -> &Source<'a> {
        match (part, &self.provider) {
            (Part::Adapter, _) => &self.adapter,
            (Part::Provider, Some(provider)) => provider,
            (Part::Guest | Part::Provider, _) => &self.guest,
        }
    }

    fn source_mut(&mut self, part: Part) -> &mut Source<'a> {
        match (part, &mut self.provider) {
            (Part::Adapter, _) => &mut self.adapter,
            (Part::Provider, Some(provider)) => provider,
            (Part::Guest | Part::Provider, _) => &mut self.guest,
        }
    }

    /// Writes the core instances of the parts that serve: their modules, what those import, and what
    /// runs when they start. What they export is not needed, nor its types.
    fn provider_and_adapter(&mut self) -> Result<(), Cannot> {
        let parts = [self.provider.as_ref().map(|_| Part::Provider), Some(Part::Adapter)];
        for part in parts.into_iter().flatten() {
            let instances = self.source(part).items.all(Space::CoreInstance).len();
            for index in 0..instances as u32 {
                self.need(part, (Space::CoreInstance, index))?;
            }
        }
        Ok(())
    }

    /// Writes the guest in its order. Types and names of functions follow when they are needed: many
    /// only served the calls that are gone.
    fn guest(&mut self) -> Result<(), Cannot> {
        let items = self.guest.items.clone();
        for step in &items.steps {
            match step {
                items::Step::Item(id) => {
                    let on_demand = match (id.0, items.get(*id)?) {
                        (Space::Type | Space::Func, items::Item::Alias(_) | items::Item::Type(_)) => true,
                        _ => matches!(
                            self.guest.fates.get(id),
                            Some(emit::Fate::Answered(_) | emit::Fate::Placeholder)
                        ),
                    };
                    if !on_demand {
                        self.need(Part::Guest, *id)?;
                    }
                }
                items::Step::Custom(section) => match section.as_known() {
                    wasmparser::KnownCustom::ComponentName(names) => self.write_names(names),
                    _ => {
                        let section = wasm_encoder::CustomSection {
                            name: section.name().into(),
                            data: section.data().into(),
                        };
                        self.output.section(&section);
                    }
                },
            }
        }
        Ok(())
    }

    /// Places a planned glue module and returns its instance.
    fn glue_instance(&mut self, number: usize) -> Result<u32, Cannot> {
        let (bytes, wanted) = match &self.glue[number] {
            Glue::Placed(instance) => return Ok(*instance),
            Glue::Planned(bytes, wanted) => (bytes.clone(), wanted.clone()),
        };
        let mut exports = Vec::new();
        for (at, (wanted, kind)) in wanted.into_iter().enumerate() {
            exports.push((at.to_string(), kind, self.provide(wanted, kind)?));
        }
        // What it imports may have needed the module itself: then it is placed by now.
        if let Glue::Placed(instance) = self.glue[number] {
            return Ok(instance);
        }
        let bundle = self.output.core_bundle(&exports);
        let module = self.output.raw(Space::CoreModule, &bytes);
        let instance = self.output.instantiate(module, &[(IMPORTS, bundle)]);
        self.glue[number] = Glue::Placed(instance);
        Ok(instance)
    }

    fn provide(&mut self, wanted: Wanted, kind: ExportKind) -> Result<u32, Cannot> {
        let space = match kind {
            ExportKind::Memory => Space::CoreMemory,
            ExportKind::Global => Space::CoreGlobal,
            _ => Space::CoreFunc,
        };
        match wanted {
            Wanted::Item(part, id) => self.need(part, id),
            Wanted::Original(id) => self.write(Part::Guest, id),
            Wanted::HostFunction(interface, name) => {
                let instance = self.imports.get(&(Space::Instance, interface.clone())).copied();
                let instance = instance.ok_or_else(|| Cannot::new(format!("{interface} is not imported")))?;
                let function = self.output.export(Space::Func, instance, name);
                Ok(self.output.lower(function, &[]))
            }
            Wanted::HostDrop(interface, name) => {
                let instance = self.imports.get(&(Space::Instance, interface.clone())).copied();
                let instance = instance.ok_or_else(|| Cannot::new(format!("{interface} is not imported")))?;
                let resource = self.output.export(Space::Type, instance, &name);
                Ok(self.output.resource_drop(resource))
            }
            Wanted::Handles(name) => {
                let instance = self.handle_table()?;
                Ok(self.output.core_export(space, instance, name))
            }
            Wanted::Loans(name) => {
                let instance = self.loans.unwrap_or_else(|| {
                    let module = self.output.raw(Space::CoreModule, handles::LOANS);
                    self.output.instantiate(module, &[])
                });
                self.loans = Some(instance);
                Ok(self.output.core_export(space, instance, name))
            }
            Wanted::Mixed(name) => {
                let number = self.mixed.ok_or_else(|| Cannot::new("a call takes handles of two kinds"))?;
                let instance = self.glue_instance(number)?;
                Ok(self.output.core_export(space, instance, name))
            }
            Wanted::Text(part, memory) => {
                let instance = self.text(part, memory)?;
                Ok(self.output.core_export(space, instance, "check"))
            }
        }
    }

    /// Places the table of handles and returns its instance.
    fn handle_table(&mut self) -> Result<u32, Cannot> {
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

    fn handles(&mut self) -> Result<u32, Cannot> {
        self.glue_instance(self.operations)
    }

    fn text(&mut self, part: Part, memory: ItemId) -> Result<u32, Cannot> {
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
