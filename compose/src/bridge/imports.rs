//! The imports of a generated component that do not depend on the guest: both sides' `wasi:io`, and
//! the adapter's functions.

use super::generator::{Generator, IoImports, IoTypes};
use super::job::{Io, Lifecycle};
use super::names::{BRIDGE_IMPORT, COMMIT, EXPLAIN, IO_FUNCTIONS, virtual_import};
use super::write::{InstanceScope, Names, Scope, TypeWriter};
use crate::error::ComposeError;
use crate::types::{IoResource, Special, TypeInfo, Unbridgeable};
use indexmap::IndexSet;
use std::collections::HashSet;
use wasm_encoder::{ComponentExportKind, ComponentTypeRef, ComponentValType, InstanceType, TypeBounds};
use wit_parser::{InterfaceId, TypeId};

impl Generator<'_, '_> {
    pub(super) fn import_io(&mut self) -> Result<(), ComposeError> {
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

    /// Imports the host's `wasi:io` whole: the adapter gets the same imports.
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

    /// Imports the types of the file system's `wasi:io`.
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

    /// Imports `commit` if anything commits, and `explain` if a failure can be reported.
    pub(super) fn import_lifecycle(&mut self) {
        let tells = self.job.stderr().is_some();
        if tells || self.job.wraps.iter().any(|wrap| wrap.lifecycle != Lifecycle::Untouched) {
            let ty = self.commit_type();
            self.commit = Some(self.builder.import(COMMIT, ComponentTypeRef::Func(ty)));
        }
        let stream = self.io.as_ref().map(|io| io.host.resources[&IoResource::OutputStream]);
        if let Some(stream) = stream.filter(|_| tells) {
            let (own, encoder) = self.builder.type_defined(None);
            encoder.own(stream);
            let (ty, mut encoder) = self.builder.type_function(None);
            encoder.params([("to", ComponentValType::Type(own))]).result(None);
            self.explain = Some(self.builder.import(EXPLAIN, ComponentTypeRef::Func(ty)));
        }
    }

    /// Writes the type of `commit`.
    pub(super) fn commit_type(&mut self) -> u32 {
        let (result, encoder) = self.builder.type_defined(None);
        encoder.result(None, None);
        let (ty, mut encoder) = self.builder.type_function(None);
        let none: [(&str, ComponentValType); 0] = [];
        encoder.params(none).result(Some(ComponentValType::Type(result)));
        ty
    }
}

fn outer(index: u32) -> wasm_encoder::Alias<'static> {
    wasm_encoder::Alias::Outer { kind: wasm_encoder::ComponentOuterAliasKind::Type, count: 1, index }
}

/// Writes an interface as the type of an instance, whole or with only the types in `only`.
pub(super) fn instance_type(
    info: TypeInfo<'_>,
    id: InterfaceId,
    outer: &Names,
    only: Option<&IndexSet<TypeId>>,
) -> Result<InstanceType, Unbridgeable> {
    let interface = &info.resolve.interfaces[id];
    let writer = TypeWriter { info };
    let mut scope = InstanceScope { ty: InstanceType::new(), names: Names::new(), outer };
    let mut exported = HashSet::new();
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
        // A resource's functions carry its first name, not that of an alias.
        if exported.insert(root) {
            scope.learn(root, index);
        }
    }
    if only.is_none() {
        for function in interface.functions.values() {
            let ty = writer.function(&mut scope, function)?;
            scope.ty.export(function.name.as_str(), ComponentTypeRef::Func(ty));
        }
    }
    Ok(scope.ty)
}
