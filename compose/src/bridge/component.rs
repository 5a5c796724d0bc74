//! Puts a generated component together: imports, core modules, and one nested component for each
//! interface it exports. The imports that do not depend on the guest are in
//! [`imports`](super::imports).

use super::generator::Generator;
use super::imports::instance_type;
use super::job::{Io, Item, Job, Wrap};
use super::memory;
use super::names::{COMMIT, IO_FUNCTIONS};
use super::nested::Nested;
use super::shim::{self, CoreImport, Shim, Shims};
use super::write::{Names, TopScope, TypeWriter};
use crate::error::ComposeError;
use crate::types::{TypeInfo, Unbridgeable};
use indexmap::IndexMap;
use std::collections::HashMap;
use wasm_encoder::{
    CanonicalOption, ComponentBuilder, ComponentExportKind, ComponentTypeRef, ExportKind, ModuleArg,
};
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, InterfaceId, SizeAlign, TypeOwner};

/// Writes the component for a job.
///
/// It imports
///
/// - the sources of the wraps;
/// - [`virtual_import`](super::virtual_import)s, [`BRIDGE_IMPORT`](super::BRIDGE_IMPORT) and the
///   host's `wasi:io`, if handles of `wasi:io` are converted;
/// - [`COMMIT`], if anything commits;
/// - the interfaces that the wrapped ones take types from, with these types only.
///
/// It exports the targets and, if it has the host's standard error, a [`COMMIT`] that reports its
/// failure there.
///
/// # Errors
///
/// [`ComposeError::CannotBridge`] names the interface, the type and the reason.
pub(crate) fn generate(job: &Job<'_>) -> Result<Vec<u8>, ComposeError> {
    let info = TypeInfo { resolve: job.resolve };
    let mut layout = SizeAlign::default();
    layout.fill(job.resolve);
    let mut generator = Generator {
        job,
        info,
        writer: TypeWriter { info },
        builder: ComponentBuilder::default(),
        callee: Names::new(),
        caller: Names::new(),
        io: None,
        commit: None,
        explain: None,
        instances: HashMap::new(),
        functions: HashMap::new(),
        needed: IndexMap::new(),
    };
    generator.import_io()?;
    generator.import_lifecycle();
    generator.find_needed()?;
    for (number, wrap) in job.wraps.iter().enumerate() {
        generator.import_wrap(number, wrap)?;
    }
    let lifted = generator.core(&layout)?;
    for (number, wrap) in job.wraps.iter().enumerate() {
        generator.export_wrap(number, wrap, &lifted)?;
    }
    Ok(generator.builder.finish())
}

/// Component function indices of the shims, by wrap and function name.
type Lifted = HashMap<(usize, String), u32>;

impl<'a> Generator<'a, '_> {
    /// Finds the types that wrapped items take from interfaces that are not wrapped here.
    fn find_needed(&mut self) -> Result<(), ComposeError> {
        for wrap in &self.job.wraps {
            let types = match &wrap.item {
                Item::Interface(id) => self.info.interface_types(*id),
                Item::Function(f) => f.params.iter().map(|p| p.ty).chain(f.result).collect(),
            };
            for root in self.info.reach(&types) {
                let owner = match self.info.resolve.types[root].owner {
                    TypeOwner::Interface(owner) => owner,
                    TypeOwner::World(_) => {
                        let reason = "a type of the guest's world, outside of any interface; put it into one";
                        let found = Unbridgeable::new(self.info.describe(root), reason);
                        return Err(found.at(&wrap.target, None));
                    }
                    TypeOwner::None => continue,
                };
                if self.is_wrapped(owner) || self.callee.contains_key(&root) {
                    continue;
                }
                if self.info.mentions_io(&wit_parser::Type::Id(root)) {
                    let reason = "it holds a type of wasi:io and comes from an interface that stays the \
                                  host's; define it in the interface that uses it";
                    let found = Unbridgeable::new(self.info.describe(root), reason);
                    return Err(found.at(&wrap.target, None));
                }
                self.needed.entry(owner).or_default().insert(root);
            }
        }
        Ok(())
    }

    fn is_wrapped(&self, interface: InterfaceId) -> bool {
        self.job.wraps.iter().any(|wrap| matches!(wrap.item, Item::Interface(id) if id == interface))
    }

    fn import_wrap(&mut self, number: usize, wrap: &Wrap) -> Result<(), ComposeError> {
        match &wrap.item {
            Item::Interface(id) => self.import_interface(*id).map_err(|e| e.at(&wrap.target, None)),
            Item::Function(function) => {
                let types: Vec<_> = function.params.iter().map(|p| p.ty).chain(function.result).collect();
                let imported = self.import_owners(&types).and_then(|()| {
                    let mut scope = TopScope { builder: &mut self.builder, names: &mut self.callee };
                    self.writer.function(&mut scope, function)
                });
                let ty = imported.map_err(|e| e.at(&wrap.target, None))?;
                let index = self.builder.import(wrap.source.as_str(), ComponentTypeRef::Func(ty));
                self.functions.insert(number, index);
                Ok(())
            }
        }
    }

    /// Imports the interfaces that define the types reached from `types`.
    fn import_owners(&mut self, types: &[wit_parser::Type]) -> Result<(), Unbridgeable> {
        for root in self.info.reach(types) {
            if let Some(owner) = self.info.owner(root).filter(|_| !self.callee.contains_key(&root)) {
                self.import_interface(owner)?;
            }
        }
        Ok(())
    }

    /// Imports an interface, after all those it takes types from. A wrapped interface is imported
    /// whole under the name of its source, any other with the needed types only under its own name.
    fn import_interface(&mut self, id: InterfaceId) -> Result<(), Unbridgeable> {
        if self.instances.contains_key(&id) {
            return Ok(());
        }
        let wrap = self.job.wraps.iter().find(|w| matches!(w.item, Item::Interface(i) if i == id));
        let types = match wrap {
            Some(_) => self.info.interface_types(id),
            None => self.needed.get(&id).into_iter().flatten().map(|t| wit_parser::Type::Id(*t)).collect(),
        };
        for root in self.info.reach(&types) {
            let owner = self.info.owner(root).filter(|owner| *owner != id);
            if let Some(owner) = owner.filter(|_| !self.callee.contains_key(&root)) {
                self.import_interface(owner)?;
            }
        }

        let only = if wrap.is_some() { None } else { self.needed.get(&id) };
        let ty = instance_type(self.info, id, &self.callee, only)?;
        let ty = self.builder.type_instance(None, &ty);
        let name = match wrap {
            Some(wrap) => wrap.source.clone(),
            None => self.info.resolve.id_of(id).unwrap_or_default(),
        };
        let instance = self.builder.import(name.as_str(), ComponentTypeRef::Instance(ty));
        self.instances.insert(id, instance);

        for (name, ty) in &self.info.resolve.interfaces[id].types {
            let root = self.info.root(*ty);
            let known = self.callee.contains_key(&root) || !self.info.is_nominal(root);
            if known || only.is_some_and(|only| !only.contains(&root)) {
                continue;
            }
            let index = self.builder.alias_export(instance, name, ComponentExportKind::Type);
            self.callee.insert(root, index);
            // A type with `wasi:io` inside differs for the caller; it is written when exported.
            if !self.info.mentions_io(&wit_parser::Type::Id(root)) {
                self.caller.insert(root, index);
            }
        }
        Ok(())
    }

    // ---- core

    /// Writes and instantiates the core modules, and lifts the shims.
    fn core(&mut self, layout: &SizeAlign) -> Result<Lifted, ComposeError> {
        let job = self.job;
        let mut planned: Vec<(usize, &Function)> = Vec::new();
        let mut functions = Vec::new();
        for (number, wrap) in job.wraps.iter().enumerate() {
            for function in wrap.functions(job.resolve).filter(|f| wrap.needs_shim(self.info, f)) {
                planned.push((number, function));
                functions.push(Shim { function, lifecycle: wrap.lifecycle });
            }
        }
        if planned.is_empty() {
            return Ok(Lifted::new());
        }
        let gives = |(wrap, f): &(usize, &Function)| Some(*wrap) == job.stderr() && self.info.gives_stderr(f);
        let stderr = planned.iter().position(gives).filter(|_| self.explain.is_some());
        let shims = Shims {
            info: self.info,
            layout,
            callee: job.callee,
            io: self.io.is_some(),
            commit: self.commit.is_some(),
            stderr,
            functions,
        };

        let memory_module = self.builder.core_module(None, &memory::module());
        let memory_args: [(&str, ModuleArg); 0] = [];
        let memory_instance = self.builder.core_instantiate(None, memory_module, memory_args);
        let memory = self.builder.core_alias_export(None, memory_instance, "memory", ExportKind::Memory);
        let realloc = self.builder.core_alias_export(None, memory_instance, "realloc", ExportKind::Func);
        let options =
            [CanonicalOption::UTF8, CanonicalOption::Memory(memory), CanonicalOption::Realloc(realloc)];

        let mut exports = Vec::new();
        for (name, import) in shims.imports().into_iter().enumerate() {
            let index = match import {
                CoreImport::Callee(shim) => {
                    let (wrap, function) = planned[shim];
                    let function = self.source_function(wrap, function);
                    self.builder.lower_func(None, function, options)
                }
                CoreImport::Io(function, io) => {
                    let name = format!("{}-{}", IO_FUNCTIONS[function], io.name());
                    let bridge = self.io.as_ref().map(|io| io.bridge).unwrap_or_default();
                    let function = self.builder.alias_export(bridge, &name, ComponentExportKind::Func);
                    self.builder.lower_func(None, function, options)
                }
                CoreImport::DropIo(side, resource) => {
                    let types = self.io.as_ref().map(|io| match side {
                        Io::Host => &io.host,
                        Io::Virtual => &io.virtual_,
                    });
                    let ty = types.map(|types| types.resources[&resource]).unwrap_or_default();
                    self.builder.resource_drop(ty)
                }
                CoreImport::Drop(root) => {
                    let mut scope = TopScope { builder: &mut self.builder, names: &mut self.callee };
                    let ty = self.writer.index(&mut scope, root);
                    let ty = ty.map_err(|e| e.at(&job.wraps[planned[0].0].target, None))?;
                    self.builder.resource_drop(ty)
                }
                CoreImport::Commit => self.builder.lower_func(None, self.commit.unwrap_or_default(), options),
                CoreImport::Explain => {
                    self.builder.lower_func(None, self.explain.unwrap_or_default(), options)
                }
            };
            exports.push((name.to_string(), ExportKind::Func, index));
        }
        let exports = exports.iter().map(|(name, kind, index)| (name.as_str(), *kind, *index));
        let host = self.builder.core_instantiate_exports(None, exports);
        let module = self.builder.core_module(None, &shims.module());
        let args = [("memory", ModuleArg::Instance(memory_instance)), ("host", ModuleArg::Instance(host))];
        let instance = self.builder.core_instantiate(None, module, args);

        let post_return = self.builder.core_alias_export(None, instance, shim::POST_RETURN, ExportKind::Func);
        let mut lifted = Lifted::new();
        for (number, (wrap, function)) in planned.into_iter().enumerate() {
            let mut scope = TopScope { builder: &mut self.builder, names: &mut self.caller };
            let ty = self.writer.function(&mut scope, function);
            let ty = ty.map_err(|e| e.at(&job.wraps[wrap].target, Some(&function.name)))?;
            let name = shim::shim_name(number);
            let core = self.builder.core_alias_export(None, instance, &name, ExportKind::Func);
            let mut options = options.to_vec();
            if job.resolve.wasm_signature(AbiVariant::GuestExport, function).retptr {
                options.push(CanonicalOption::PostReturn(post_return));
            }
            let index = self.builder.lift_func(None, core, ty, options);
            lifted.insert((wrap, function.name.clone()), index);
        }
        if shims.stderr.is_some() {
            let ty = self.commit_type();
            let core = self.builder.core_alias_export(None, instance, COMMIT, ExportKind::Func);
            let none: [CanonicalOption; 0] = [];
            let commit = self.builder.lift_func(None, core, ty, none);
            self.builder.export(COMMIT, ComponentExportKind::Func, commit, None);
        }
        Ok(lifted)
    }

    fn source_function(&mut self, wrap: usize, function: &Function) -> u32 {
        match &self.job.wraps[wrap].item {
            Item::Interface(id) => {
                let instance = self.instances[id];
                self.builder.alias_export(instance, &function.name, ComponentExportKind::Func)
            }
            Item::Function(_) => self.functions[&wrap],
        }
    }

    // ---- exports

    fn export_wrap(&mut self, number: usize, wrap: &Wrap, lifted: &Lifted) -> Result<(), ComposeError> {
        match &wrap.item {
            Item::Function(function) => {
                let index = lifted[&(number, function.name.clone())];
                self.builder.export(wrap.target.as_str(), ComponentExportKind::Func, index, None);
                Ok(())
            }
            Item::Interface(id) => {
                self.export_interface(number, wrap, *id, lifted).map_err(|e| e.at(&wrap.target, None))
            }
        }
    }

    fn export_interface(
        &mut self,
        number: usize,
        wrap: &Wrap,
        id: InterfaceId,
        lifted: &Lifted,
    ) -> Result<(), Unbridgeable> {
        let interface = &self.info.resolve.interfaces[id];
        let mut nested = Nested::new(self.writer);
        let mut args: Vec<(String, ComponentExportKind, u32)> = Vec::new();

        for root in self.info.reach(&self.info.interface_types(id)) {
            let name = nested.import_type(root)?;
            let mut scope = TopScope { builder: &mut self.builder, names: &mut self.caller };
            args.push((name, ComponentExportKind::Type, self.writer.index(&mut scope, root)?));
        }
        let mut functions = Vec::new();
        for function in interface.functions.values() {
            let index = match lifted.get(&(number, function.name.clone())) {
                Some(index) => *index,
                None => self.source_function(number, function),
            };
            let (name, nested_index) = nested.import_function(function)?;
            args.push((name, ComponentExportKind::Func, index));
            functions.push((function, nested_index));
        }
        for (name, ty) in &interface.types {
            let root = self.info.root(*ty);
            nested.export_type(name, root, self.info.owner(root) == Some(id))?;
        }
        for (function, index) in functions {
            nested.export_function(function, index)?;
        }

        let component = self.builder.component(None, nested.builder);
        let args = args.iter().map(|(name, kind, index)| (name.as_str(), *kind, *index));
        let instance = self.builder.instantiate(None, component, args);
        let exported =
            self.builder.export(wrap.target.as_str(), ComponentExportKind::Instance, instance, None);

        // Later interfaces must use a type by the name it was exported under, unless the host's own
        // name stays valid.
        for (name, ty) in &interface.types {
            let root = self.info.root(*ty);
            // An alias names a type that has a name already.
            let own = self.info.owner(root) == Some(id) && self.info.is_nominal(root) && root == *ty;
            let ours = self.job.callee == Io::Virtual || self.info.mentions_io(&wit_parser::Type::Id(root));
            if own && ours {
                let index = self.builder.alias_export(exported, name, ComponentExportKind::Type);
                self.caller.insert(root, index);
            }
        }
        Ok(())
    }
}
