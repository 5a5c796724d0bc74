//! Glue for functions of the host that take handles of `wasi:io` and return an option. For a handle
//! of the file system, which the host does not know, it returns none.
//!
//! Handles that the call gives away are dropped then, as if the host had answered.

use super::error::NotLinkable;
use super::function::{Resource, signature};
use super::handles::{FIRST, write_busy};
use super::module::{GlueImport, GlueModule};
use crate::types::TypeInfo;
use crate::wasm::code::{Body, at, flat_types};
use std::collections::HashMap;
use wasm_encoder::{BlockType, Instruction as I, MemArg, ValType};
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, Handle, Type, TypeDefKind, TypeId};

/// One such function.
pub(super) struct Refusal<'a> {
    pub(super) info: TypeInfo<'a>,
    pub(super) function: &'a Function,
    /// The guest's memory, for results that are not flat.
    pub(super) memory: Option<GlueImport>,
    /// The function as the guest lowered it.
    pub(super) original: GlueImport,
    /// The resources that may be the file system's.
    pub(super) resources: &'a HashMap<TypeId, Resource>,
}

/// A handle among the parameters.
struct Given {
    local: u32,
    /// Its resource in the table, if it may be the file system's.
    resource: Option<Resource>,
    /// The host's drop, if the call gives the handle away.
    drop: Option<GlueImport>,
}

impl Refusal<'_> {
    /// Writes the glue into a module, under a name.
    ///
    /// # Errors
    ///
    /// Handles inside of other values are not supported.
    pub(super) fn write(&self, module: &mut GlueModule, name: &str) -> Result<(), NotLinkable> {
        let outside = self.info.resolve.wasm_signature(AbiVariant::GuestImport, self.function);
        let (params, results) = signature(self.info, AbiVariant::GuestImport, self.function);
        let given = self.given(outside.indirect_params)?;
        let mut body = Body::new(params.len() as u32);
        write_busy(module, &mut body);

        body.emit([I::I32Const(0)]);
        for handle in given.iter().filter(|handle| handle.resource.is_some()) {
            body.emit([I::LocalGet(handle.local), I::I32Const(FIRST), I::I32GeU, I::I32Or]);
        }
        body.emit([I::If(BlockType::Empty)]);
        self.check_lent(module, &mut body, &given);
        self.drop_given(module, &mut body, given);
        let memory = self.memory.clone().map(|memory| module.memory(memory));
        match (outside.retptr, memory) {
            (true, Some(memory_index)) => {
                let none = MemArg { memory_index, ..at(0, 0) };
                let address = params.len() as u32 - 1;
                body.emit([I::LocalGet(address), I::I32Const(0), I::I32Store8(none), I::Return]);
            }
            (false, _) => body.emit([I::I32Const(0), I::Return]),
            (true, None) => body.emit([I::Unreachable]),
        }
        body.emit([I::End]);

        let original = module.function(self.original.clone(), &params, &results);
        body.emit((0..params.len() as u32).map(I::LocalGet));
        body.emit([I::Call(original)]);
        module.define(name, &params, &results, body);
        Ok(())
    }

    /// Emits a trap if a lent handle of the file system is not valid.
    fn check_lent(&self, module: &mut GlueModule, body: &mut Body, given: &[Given]) {
        for handle in given.iter().filter(|handle| handle.drop.is_none()) {
            let Some(resource) = handle.resource else { continue };
            let borrow = module.function(GlueImport::Handles("borrow"), &[ValType::I32; 2], &[ValType::I32]);
            let give_back = module.function(GlueImport::Handles("give-back"), &[ValType::I32], &[]);
            body.emit([I::LocalGet(handle.local), I::I32Const(FIRST), I::I32GeU, I::If(BlockType::Empty)]);
            body.emit([I::LocalGet(handle.local), I::I32Const(resource.kind as i32), I::Call(borrow)]);
            body.emit([I::Drop, I::LocalGet(handle.local), I::Call(give_back), I::End]);
        }
    }

    /// Drops the handles that the call gives away, the file system's and the host's.
    fn drop_given(&self, module: &mut GlueModule, body: &mut Body, given: Vec<Given>) {
        for Given { local, resource, drop } in given {
            let Some(drop) = drop else { continue };
            let drop = module.function(drop, &[ValType::I32], &[]);
            let hosts = [I::LocalGet(local), I::Call(drop)];
            let Some(resource) = resource else {
                body.emit(hosts);
                continue;
            };
            let ours = module.function(GlueImport::Handles("drop"), &[ValType::I32; 2], &[]);
            body.emit([I::LocalGet(local), I::I32Const(FIRST), I::I32GeU, I::If(BlockType::Empty)]);
            body.emit([I::LocalGet(local), I::I32Const(resource.kind as i32), I::Call(ours), I::Else]);
            body.emit(hosts);
            body.emit([I::End]);
        }
    }

    fn given(&self, indirect: bool) -> Result<Vec<Given>, NotLinkable> {
        let mut given = Vec::new();
        let mut local = 0;
        for param in &self.function.params {
            let strange = || {
                let name = &self.function.name;
                NotLinkable::new(format!("{name} takes a handle of wasi:io inside a value"))
            };
            match self.handle(&param.ty) {
                Some(_) if indirect => return Err(strange()),
                Some(handle) => {
                    let (Handle::Own(resource) | Handle::Borrow(resource)) = handle;
                    let root = self.info.root(resource);
                    let known = self.resources.get(&root).copied();
                    if known.is_none() && self.info.mentions_io(&Type::Id(root)) {
                        return Err(strange());
                    }
                    let drop = match handle {
                        Handle::Own(_) => Some(self.drop_of(root)?),
                        Handle::Borrow(_) => None,
                    };
                    given.push(Given { local, resource: known, drop });
                }
                None if self.info.mentions_io(&param.ty) => return Err(strange()),
                None if self.gives_away(&param.ty) => {
                    let name = &self.function.name;
                    return Err(NotLinkable::new(format!("{name} gives a handle away inside a value")));
                }
                None => {}
            }
            local += if indirect { 0 } else { flat_types(self.info.resolve, &param.ty).len() as u32 };
        }
        Ok(given)
    }

    fn handle(&self, ty: &Type) -> Option<Handle> {
        let Type::Id(id) = ty else { return None };
        match &self.info.resolve.types[self.info.root(*id)].kind {
            TypeDefKind::Handle(handle) => Some(*handle),
            _ => None,
        }
    }

    fn gives_away(&self, ty: &Type) -> bool {
        self.info.any(ty, &mut |info, root| {
            matches!(info.resolve.types[root].kind, TypeDefKind::Handle(Handle::Own(_)))
        })
    }

    fn drop_of(&self, resource: TypeId) -> Result<GlueImport, NotLinkable> {
        let interface = self.info.owner(resource).and_then(|owner| self.info.resolve.id_of(owner));
        match (interface, &self.info.resolve.types[resource].name) {
            (Some(interface), Some(name)) => Ok(GlueImport::HostDrop(interface, name.clone())),
            _ => Err(NotLinkable::new(format!("{} takes a resource of no interface", self.function.name))),
        }
    }
}
