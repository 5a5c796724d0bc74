//! Plans the exports, imports and resources of the adapter.

use super::planner::{Planner, functions};
use crate::link::error::NotLinkable;
use crate::link::function::signature;
use crate::link::handles::{self, Operation};
use crate::link::items::{Item, Space};
use crate::link::job::Part;
use crate::link::lifecycle::End;
use crate::link::module::{GlueImport, GlueModule};
use crate::link::source::Replacement;
use crate::link::trace::{Lifted, Options};
use crate::names::{InterfaceName, STORE};
use crate::types::{GET_STDERR, TypeInfo, is_stderr};
use crate::wasm::code::Body;
use wasm_encoder::{Instruction as I, ValType};
use wasmparser::{CanonicalFunction, ComponentExternalKind};
use wit_parser::abi::AbiVariant;

/// Package under which the adapter imports the host's `wasi:io`.
const HOST_IO: &str = "kvfs:host-io";

impl Planner<'_> {
    /// Finds the core functions and the resources behind the adapter's exports.
    pub(super) fn plan_adapter_exports(&mut self) -> Result<(), NotLinkable> {
        let exports: Vec<_> = self.adapter.exports().collect();
        for (name, kind, index) in exports {
            if kind != ComponentExternalKind::Instance {
                continue;
            }
            let interface = InterfaceName::parse(name).base;
            let mut inside: Vec<_> = self.adapter.exports_of(index)?.into_iter().collect();
            // Kinds are numbered in an order that does not change from run to run.
            inside.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            for (name, (kind, index)) in inside {
                let key = (interface.clone(), name);
                match kind {
                    ComponentExternalKind::Func => {
                        self.lifts.insert(key, self.adapter.lifted(index)?);
                    }
                    ComponentExternalKind::Type => {
                        let Some((definition, destructor)) = self.adapter.resource(index) else { continue };
                        let next = self.kinds.len() as u32;
                        let kind = *self.kinds.entry(definition).or_insert(next);
                        let place = self.destructors.get_mut(kind as usize);
                        *place.ok_or_else(|| {
                            NotLinkable::new("the adapter has more resources than the table")
                        })? = destructor;
                        self.kinds_by_name.insert(key, kind);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    pub(super) fn lift(&self, interface: &str, name: &str) -> Result<&Lifted, NotLinkable> {
        self.lifts
            .get(&(interface.to_owned(), name.to_owned()))
            .ok_or_else(|| NotLinkable::new(format!("the file system has no function {interface}.{name}")))
    }

    pub(super) fn core(&self, lifted: &Lifted) -> GlueImport {
        GlueImport::Item(Part::Adapter, (Space::CoreFunc, lifted.core_func))
    }

    /// Returns the functions that end a program. If the guest has standard error, a failed commit
    /// is reported there.
    pub(super) fn end(&self) -> Result<End, NotLinkable> {
        let guest = &self.job.guest;
        let info = TypeInfo { resolve: &guest.resolve };
        let interfaces = functions(&guest.resolve, guest.world, false);
        let gives = interfaces.iter().filter(|((interface, _), function)| {
            self.job.host_io.is_some() && is_stderr(interface) && info.gives_stderr(function)
        });
        let lifecycle = |name| Ok(self.core(self.lift("kvfs:adapter/lifecycle", name)?));
        // Of two versions, always the same one.
        let tell = match gives.map(|((interface, _), _)| interface).min() {
            Some(interface) => {
                Some((GlueImport::HostFunction(interface.clone(), GET_STDERR), lifecycle("explain")?))
            }
            None => None,
        };
        Ok(End { commit: lifecycle("commit")?, tell })
    }

    /// Plans the adapter's imports and resources.
    pub(super) fn plan_adapter_items(&mut self) -> Result<(), NotLinkable> {
        let resolve = &self.job.adapter.resolve;
        let info = TypeInfo { resolve };
        let imports = functions(resolve, self.job.adapter.world, false);
        let mut stubs = GlueModule::default();
        let mut stubbed = Vec::new();
        let mut store = Vec::new();
        for (index, item) in (0..).zip(self.adapter.all(Space::CoreFunc)) {
            let id = (Space::CoreFunc, index);
            let Item::Canonical(function) = item else { continue };
            let (resource, operation) = match function {
                CanonicalFunction::ResourceNew { resource } => (*resource, Operation::New),
                CanonicalFunction::ResourceRep { resource } => (*resource, Operation::Rep),
                CanonicalFunction::ResourceDrop { resource } => (*resource, Operation::Drop),
                CanonicalFunction::Lower { func_index, options } => {
                    let Some((interface, name)) = self.adapter.imported((Space::Func, *func_index)) else {
                        continue;
                    };
                    let parsed = InterfaceName::parse(interface);
                    let function =
                        imports.get(&(interface.to_owned(), name.to_owned())).ok_or_else(|| {
                            NotLinkable::new(format!("the adapter's {interface} has no {name}"))
                        })?;
                    if parsed.base == STORE && self.provider.is_some() {
                        store.push((id, name.to_owned(), Options::of(options)?));
                    } else if parsed.is_wasi02(HOST_IO) && self.job.host_io.is_none() {
                        let (params, results) = signature(info, AbiVariant::GuestImport, function);
                        let mut body = Body::new(params.len() as u32);
                        body.emit([I::Unreachable]);
                        stubs.define(&index.to_string(), &params, &results, body);
                        stubbed.push(id);
                    }
                    continue;
                }
                _ => return Err(NotLinkable::new("the adapter is built for another component model")),
            };
            let definition = self.adapter.resource(resource).map(|(definition, _)| definition);
            if let Some(kind) = definition.and_then(|definition| self.kinds.get(&definition)) {
                self.replacements.insert((Part::Adapter, id), Replacement::Handle(operation, *kind));
            } else if self.job.host_io.is_none() {
                let mut body = Body::new(1);
                body.emit([I::Unreachable]);
                stubs.define(&index.to_string(), &[ValType::I32], &[], body);
                stubbed.push(id);
            }
        }
        let number = self.planned(stubs);
        for id in stubbed {
            self.replace(Part::Adapter, id, Replacement::Glue(number, id.1.to_string()));
        }
        self.link_store(store)?;

        for (index, item) in (0..).zip(self.adapter.all(Space::Instance)) {
            let Item::Import(import) = item else { continue };
            let id = (Space::Instance, index);
            let name = import.name.name;
            let replacement = match &self.job.host_io {
                Some(names) => {
                    names.iter().find(|(from, _)| from == name).map(|(_, to)| Replacement::Rename(to.clone()))
                }
                None => InterfaceName::parse(name)
                    .is_wasi02(HOST_IO)
                    .then(|| Replacement::Answered(name.to_owned())),
            };
            if let Some(replacement) = replacement {
                self.replacements.insert((Part::Adapter, id), replacement);
            }
        }
        Ok(())
    }

    pub(super) fn operations(&mut self) -> usize {
        let mut module = GlueModule::default();
        handles::write_operations(&mut module);
        self.planned(module)
    }
}
