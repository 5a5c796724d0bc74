//! Puts a generated component together: imports, core modules, and one nested component for each
//! interface it exports.

use super::shim::{self, CoreImport, IO_FUNCTIONS, Shim, Shims};
use super::types::{InstanceScope, IoResource, Names, Scope, Special, TopScope, TypeInfo, TypeWriter};
use super::{Io, Item, Job, Lifecycle, Unbridgeable, Wrap, memory};
use crate::error::ComposeError;
use indexmap::{IndexMap, IndexSet};
use std::collections::HashMap;
use wasm_encoder::{
    CanonicalOption, ComponentBuilder, ComponentExportKind, ComponentTypeRef, ComponentValType, ExportKind,
    InstanceType, ModuleArg, TypeBounds,
};
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, InterfaceId, SizeAlign, TypeId, TypeOwner};

/// Import of the adapter's `wasi:io/INTERFACE`, under a name that no guest imports.
pub(crate) fn virtual_import(interface: &str) -> String {
    format!("virtual-{interface}")
}

/// Import of the adapter's `kvfs:adapter/bridge`.
pub(crate) const BRIDGE_IMPORT: &str = "bridge";

/// Import of the adapter's `kvfs:adapter/lifecycle`.
pub(crate) const LIFECYCLE_IMPORT: &str = "lifecycle";

/// Writes the component for a job.
///
/// It imports the sources of the wraps; [`virtual_import`]s and [`BRIDGE_IMPORT`] if `wasi:io` is
/// converted, together with the host's; [`LIFECYCLE_IMPORT`] if anything commits; and, with their
/// types only, the interfaces that the wrapped ones take types from. It exports the targets.
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

/// Type indices of `wasi:io`, one side's.
#[derive(Default)]
struct IoTypes {
    resources: HashMap<IoResource, u32>,
    stream_error: Option<u32>,
}

/// What is imported for the conversion of handles.
struct IoImports {
    host: IoTypes,
    virtual_: IoTypes,
    bridge: u32,
}

/// Component function indices of the shims, by wrap and function name.
type Lifted = HashMap<(usize, String), u32>;

struct Generator<'a, 'j> {
    job: &'j Job<'a>,
    info: TypeInfo<'a>,
    writer: TypeWriter<'a>,
    builder: ComponentBuilder,
    /// The guest's types as the wrapped items have them.
    callee: Names,
    /// The guest's types as whoever calls the wrapped items has them.
    caller: Names,
    io: Option<IoImports>,
    /// The instance that has `commit`.
    commit: Option<u32>,
    /// Imported instances.
    instances: HashMap<InterfaceId, u32>,
    /// Imported functions that belong to no interface, by wrap.
    functions: HashMap<usize, u32>,
    /// Types that come from interfaces which are not wrapped here, by interface.
    needed: IndexMap<InterfaceId, IndexSet<TypeId>>,
}

impl<'a> Generator<'a, '_> {
    // ---- imports

    fn import_io(&mut self) -> Result<(), ComposeError> {
        if !self.job.converts_io() {
            return Ok(());
        }
        let host = self.import_host_io().map_err(|e| e.at("wasi:io", None))?;
        let virtual_ = self.import_virtual_io();
        let bridge = self.import_bridge(&host, &virtual_);
        let (callee, caller) = match self.job.callee {
            Io::Host => (&host, &virtual_),
            Io::Virtual => (&virtual_, &host),
        };
        for (root, _) in self.info.resolve.types.iter() {
            let pick = |types: &IoTypes| match self.info.special(root) {
                Some(Special::Io(io)) => types.resources.get(&io).copied(),
                Some(Special::StreamError) => types.stream_error,
                _ => None,
            };
            if self.info.root(root) != root {
                continue;
            }
            self.callee.extend(pick(callee).map(|index| (root, index)));
            self.caller.extend(pick(caller).map(|index| (root, index)));
        }
        self.io = Some(IoImports { host, virtual_, bridge });
        Ok(())
    }

    /// Imports the host's `wasi:io`, whole: the adapter is fed from the same imports.
    fn import_host_io(&mut self) -> Result<IoTypes, Unbridgeable> {
        let info = TypeInfo { resolve: self.job.host_io.resolve };
        let mut names = Names::new();
        let mut out = IoTypes::default();
        for (id, name) in &self.job.host_io.interfaces {
            let ty = instance_type(info, *id, &names, None)?;
            let ty = self.builder.type_instance(None, &ty);
            let instance = self.builder.import(name.as_str(), ComponentTypeRef::Instance(ty));
            for (name, ty) in &info.resolve.interfaces[*id].types {
                let root = info.root(*ty);
                if names.contains_key(&root) {
                    continue;
                }
                let index = self.builder.alias_export(instance, name, ComponentExportKind::Type);
                names.insert(root, index);
                match IoResource::ALL.into_iter().find(|io| io.name() == name) {
                    Some(io) => drop(out.resources.insert(io, index)),
                    None if name == "stream-error" => out.stream_error = Some(index),
                    None => {}
                }
            }
        }
        match IoResource::ALL.into_iter().find(|io| !out.resources.contains_key(io)) {
            Some(io) => Err(Unbridgeable::new(io.name(), "the adapter does not import it from the host")),
            None => Ok(out),
        }
    }

    /// Imports the file system's `wasi:io`: only its types.
    fn import_virtual_io(&mut self) -> IoTypes {
        let mut out = IoTypes::default();
        for interface in ["error", "poll", "streams"] {
            let mut ty = InstanceType::new();
            let resources = IoResource::ALL.into_iter().filter(|io| io.interface() == interface);
            for io in resources.clone() {
                ty.export(io.name(), ComponentTypeRef::Type(TypeBounds::SubResource));
            }
            if interface == "streams" {
                let error = ty.type_count();
                ty.alias(outer(out.resources[&IoResource::Error]));
                ty.ty().defined_type().own(error);
                let cases =
                    [("last-operation-failed", Some(ComponentValType::Type(error + 1))), ("closed", None)];
                ty.ty().defined_type().variant(cases);
                ty.export("stream-error", ComponentTypeRef::Type(TypeBounds::Eq(error + 2)));
            }
            let ty = self.builder.type_instance(None, &ty);
            let name = virtual_import(interface);
            let instance = self.builder.import(name.as_str(), ComponentTypeRef::Instance(ty));
            for io in resources {
                let index = self.builder.alias_export(instance, io.name(), ComponentExportKind::Type);
                out.resources.insert(io, index);
            }
            if interface == "streams" {
                let kind = ComponentExportKind::Type;
                out.stream_error = Some(self.builder.alias_export(instance, "stream-error", kind));
            }
        }
        out
    }

    fn import_bridge(&mut self, host: &IoTypes, virtual_: &IoTypes) -> u32 {
        let mut ty = InstanceType::new();
        for io in IoResource::ALL {
            let host_type = ty.type_count();
            ty.alias(outer(host.resources[&io]));
            ty.ty().defined_type().own(host_type);
            let own_host = ComponentValType::Type(host_type + 1);
            ty.ty().defined_type().option(own_host);
            let option_host = ComponentValType::Type(host_type + 2);
            let virtual_type = ty.type_count();
            ty.alias(outer(virtual_.resources[&io]));
            ty.ty().defined_type().own(virtual_type);
            let own_virtual = ComponentValType::Type(virtual_type + 1);
            ty.ty().defined_type().borrow(virtual_type);
            let borrow_virtual = ComponentValType::Type(virtual_type + 2);
            for function in IO_FUNCTIONS {
                let index = ty.type_count();
                let mut encoder = ty.ty().function();
                match function {
                    "wrap" => encoder.params([("handle", own_host)]).result(Some(own_virtual)),
                    "unwrap" => encoder.params([("handle", own_virtual)]).result(Some(option_host)),
                    "lend" => encoder.params([("handle", borrow_virtual)]).result(Some(option_host)),
                    _ => encoder.params([("to", borrow_virtual), ("handle", own_host)]).result(None),
                };
                ty.export(format!("{function}-{}", io.name()).as_str(), ComponentTypeRef::Func(index));
            }
        }
        let ty = self.builder.type_instance(None, &ty);
        self.builder.import(BRIDGE_IMPORT, ComponentTypeRef::Instance(ty))
    }

    fn import_lifecycle(&mut self) {
        if self.job.wraps.iter().all(|wrap| wrap.lifecycle == Lifecycle::Untouched) {
            return;
        }
        let mut ty = InstanceType::new();
        ty.ty().defined_type().result(None, None);
        ty.ty()
            .function()
            .params([] as [(&str, ComponentValType); 0])
            .result(Some(ComponentValType::Type(0)));
        ty.export("commit", ComponentTypeRef::Func(1));
        let ty = self.builder.type_instance(None, &ty);
        self.commit = Some(self.builder.import(LIFECYCLE_IMPORT, ComponentTypeRef::Instance(ty)));
    }

    /// Finds the types that wrapped items take from interfaces which are not wrapped here.
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

    /// Imports an interface, after all those it takes types from: whole and under the name of its
    /// source if it is wrapped, else with the needed types only and under its own name.
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
            // With `wasi:io` inside, the caller's type is another one; it is written when exported.
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
        let shims = Shims {
            info: self.info,
            layout,
            callee: job.callee,
            io: self.io.is_some(),
            commit: self.commit.is_some(),
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
                CoreImport::Commit => {
                    let instance = self.commit.unwrap_or_default();
                    let function = self.builder.alias_export(instance, "commit", ComponentExportKind::Func);
                    self.builder.lower_func(None, function, options)
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

        // Interfaces that follow must use a type by the name it was exported under, unless the host
        // gives it a name that lasts.
        for (name, ty) in &interface.types {
            let root = self.info.root(*ty);
            let own = self.info.owner(root) == Some(id) && self.info.is_nominal(root);
            let ours = self.job.callee == Io::Virtual || self.info.mentions_io(&wit_parser::Type::Id(root));
            if own && ours {
                let index = self.builder.alias_export(exported, name, ComponentExportKind::Type);
                self.caller.insert(root, index);
            }
        }
        Ok(())
    }
}

/// A component that only gives names: it imports types and functions one by one and exports them as
/// one interface. An instance made inline does not do, as its functions' types would name resources
/// that it does not export.
struct Nested<'a> {
    writer: TypeWriter<'a>,
    builder: ComponentBuilder,
    imported: Names,
    exported: Names,
    functions: u32,
}

impl<'a> Nested<'a> {
    fn new(writer: TypeWriter<'a>) -> Self {
        let builder = ComponentBuilder::default();
        Self { writer, builder, imported: Names::new(), exported: Names::new(), functions: 0 }
    }

    /// Imports a nominal type and returns the import's name.
    fn import_type(&mut self, root: TypeId) -> Result<String, Unbridgeable> {
        let name = format!("t{}", self.exported.len());
        let bound = if self.writer.info.is_resource(root) {
            TypeBounds::SubResource
        } else {
            let mut scope = TopScope { builder: &mut self.builder, names: &mut self.imported };
            TypeBounds::Eq(self.writer.define(&mut scope, root)?)
        };
        let index = self.builder.import(name.as_str(), ComponentTypeRef::Type(bound));
        self.imported.insert(root, index);
        // Until a type is exported, or if it never is, functions know it by its import.
        self.exported.insert(root, index);
        Ok(name)
    }

    fn import_function(&mut self, function: &Function) -> Result<(String, u32), Unbridgeable> {
        let mut scope = TopScope { builder: &mut self.builder, names: &mut self.imported };
        let ty = self.writer.function(&mut scope, function)?;
        let name = format!("f{}", self.functions);
        self.functions += 1;
        let index = self.builder.import(name.as_str(), ComponentTypeRef::Func(ty));
        Ok((name, index))
    }

    /// Exports a type. One of the interface's own is written again over the types exported so far:
    /// its import has parts that only the component around has names for.
    fn export_type(&mut self, name: &str, root: TypeId, own: bool) -> Result<(), Unbridgeable> {
        let info = self.writer.info;
        let first = self.exported.get(&root) == self.imported.get(&root);
        let mut scope = TopScope { builder: &mut self.builder, names: &mut self.exported };
        let index = if own && first && info.is_nominal(root) && !info.is_resource(root) {
            self.writer.define(&mut scope, root)?
        } else {
            self.writer.index(&mut scope, root)?
        };
        let index = self.builder.export(name, ComponentExportKind::Type, index, None);
        self.exported.insert(root, index);
        Ok(())
    }

    fn export_function(&mut self, function: &Function, index: u32) -> Result<(), Unbridgeable> {
        let mut scope = TopScope { builder: &mut self.builder, names: &mut self.exported };
        let ty = self.writer.function(&mut scope, function)?;
        let ty = Some(ComponentTypeRef::Func(ty));
        self.builder.export(function.name.as_str(), ComponentExportKind::Func, index, ty);
        Ok(())
    }
}

fn outer(index: u32) -> wasm_encoder::Alias<'static> {
    wasm_encoder::Alias::Outer { kind: wasm_encoder::ComponentOuterAliasKind::Type, count: 1, index }
}

/// Writes an interface as the type of an instance: all of it, or only the types in `only`.
fn instance_type(
    info: TypeInfo<'_>,
    id: InterfaceId,
    outer: &Names,
    only: Option<&IndexSet<TypeId>>,
) -> Result<InstanceType, Unbridgeable> {
    let interface = &info.resolve.interfaces[id];
    let writer = TypeWriter { info };
    let mut scope = InstanceScope { ty: InstanceType::new(), names: Names::new(), outer };
    for (name, ty) in &interface.types {
        let root = info.root(*ty);
        let own = info.owner(root) == Some(id);
        if only.is_some_and(|only| !own || !only.contains(&root)) {
            continue;
        }
        let bound = if own && info.is_resource(root) && !scope.names.contains_key(&root) {
            TypeBounds::SubResource
        } else {
            TypeBounds::Eq(writer.index(&mut scope, root)?)
        };
        let index = scope.ty.type_count();
        scope.ty.export(name.as_str(), ComponentTypeRef::Type(bound));
        scope.learn(root, index);
    }
    if only.is_none() {
        for function in interface.functions.values() {
            let ty = writer.function(&mut scope, function)?;
            scope.ty.export(function.name.as_str(), ComponentTypeRef::Func(ty));
        }
    }
    Ok(scope.ty)
}
