//! Glue for one function: the guest's lowered view of it outside, the adapter's core function
//! inside.
//!
//! A lowered import and the core function of a lifted export differ little: values are in two
//! memories, handles have two meanings, and a result in memory is at an address from the caller or
//! from the callee.
//!
//! ```text
//! guest ── glue ─┬─ every handle is the host's ──> the guest's own lowering, same arguments
//!                └─ else ──> handles looked up, values copied in ──> adapter ──> values copied out
//! ```

use super::checks::{check_bounds, check_place};
use super::copy::{Copier, Handles, Side, check_carried};
use super::direct::Direct;
use super::error::NotLinkable;
use super::handles::FIRST;
use super::module::{GlueImport, GlueModule};
use crate::types::TypeInfo;
use crate::wasm::code::{Body, Slot, core_type, flat_types};
use std::collections::HashMap;
use wasm_encoder::{BlockType, Instruction as I, MemArg, ValType};
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, Handle, SizeAlign, Type, TypeDefKind, TypeId};

/// A resource in the handle table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// Its kind in the handle table.
    pub(super) kind: u32,
    /// True if the host has resources of this type too, so that a handle may be either's.
    pub(super) shared: bool,
}

/// The memory and the allocator of one side of a call, as imports of the glue.
#[derive(Clone, Debug)]
pub(super) struct SideImports {
    pub(super) memory: Option<GlueImport>,
    pub(super) realloc: Option<GlueImport>,
}

/// Glue between a caller and a callee of one function.
pub(super) struct FunctionGlue<'a> {
    pub(super) info: TypeInfo<'a>,
    pub(super) layout: &'a SizeAlign,
    pub(super) function: &'a Function,
    pub(super) caller: SideImports,
    pub(super) callee: SideImports,
    /// The callee's core function.
    pub(super) target: GlueImport,
    pub(super) post_return: Option<GlueImport>,
    /// The caller's function without linking, for calls in which every handle is the host's.
    pub(super) original: Option<GlueImport>,
    pub(super) resources: &'a HashMap<TypeId, Resource>,
    /// True if handles of the host can reach the guest.
    pub(super) host_handles: bool,
    /// Checks strings in the callee's memory, if the caller is not trusted to send UTF-8.
    pub(super) check_params: Option<GlueImport>,
    /// Checks strings in the caller's memory, if the callee is not trusted.
    pub(super) check_results: Option<GlueImport>,
    /// True if the caller's allocator is untrusted code, which must not call back.
    pub(super) guard_caller: bool,
    /// The way in which the target takes and returns lists of bytes.
    pub(super) direct: Direct,
}

/// A handle in the parameters.
#[derive(Clone, Copy)]
struct Given {
    /// The local with the handle, or with the address of a list of them.
    local: u32,
    /// The local with the length of the list.
    length: Option<u32>,
    resource: Resource,
}

/// Returns the core parameters and results of a function, as lowered or as lifted.
pub(super) fn signature(
    info: TypeInfo<'_>,
    abi: AbiVariant,
    function: &Function,
) -> (Vec<ValType>, Vec<ValType>) {
    let signature = info.resolve.wasm_signature(abi, function);
    let types = |types: &[wit_parser::abi::WasmType]| types.iter().map(|ty| core_type(*ty)).collect();
    (types(&signature.params), types(&signature.results))
}

impl FunctionGlue<'_> {
    /// Writes the glue into a module, under a name.
    pub(super) fn write(&self, module: &mut GlueModule, name: &str) -> Result<(), NotLinkable> {
        for ty in self.function.params.iter().map(|p| &p.ty).chain(&self.function.result) {
            check_carried(self.info, ty)?;
        }
        let outside = self.info.resolve.wasm_signature(AbiVariant::GuestImport, self.function);
        let (params, results) = signature(self.info, AbiVariant::GuestImport, self.function);
        let (inner_params, inner_results) = signature(self.info, AbiVariant::GuestExport, self.function);
        let inner_params = self.direct.params(self.info, self.function, inner_params);
        let slots: Vec<Slot> = (0..).zip(params.iter().copied()).collect();
        let mut body = Body::new(params.len() as u32);

        let busy = self.guard_caller.then(|| module.global(GlueImport::Handles("busy")));
        if let Some(busy) = busy {
            body.emit([I::GlobalGet(busy), I::If(BlockType::Empty), I::Unreachable, I::End]);
        }
        let given = self.given(&slots, outside.indirect_params)?;
        let sides = self.sides(module);
        if let Some(original) = &self.original {
            let original = module.function(original.clone(), &params, &results);
            self.pass_on(&mut body, &given, &slots, original, sides.0);
        }

        let borrows = Borrows::choose(&given, self.original.is_some(), self.host_handles, module);
        let mark = borrows.mark(&mut body);
        let check = |module: &mut GlueModule, import: &Option<GlueImport>| {
            import.as_ref().map(|import| module.function(import.clone(), &[ValType::I32; 2], &[]))
        };
        let carry = ParamHandles { glue: self, borrows: &borrows };
        let inward = Copier {
            info: self.info,
            layout: self.layout,
            from: sides.0,
            to: sides.1,
            handles: &carry,
            check_text: check(module, &self.check_params),
            busy: None,
            pieces: false,
        };
        let arguments = self.arguments(&mut body, &inward, &slots, &inner_params, outside.indirect_params);
        self.direct.fill(module, &mut body, &inward, (self.function, &slots), &arguments, &inner_params);

        let target = module.function(self.target.clone(), &inner_params, &inner_results);
        body.emit(arguments.into_iter().map(I::LocalGet));
        body.emit([I::Call(target)]);
        let returned = inner_results.first().map(|ty| {
            let local = body.local(*ty);
            body.emit([I::LocalSet(local)]);
            (local, *ty)
        });

        let settle = ResultHandles { glue: self, settle: borrows.settle };
        let outward = Copier {
            from: sides.1,
            to: sides.0,
            handles: &settle,
            check_text: check(module, &self.check_results),
            busy,
            pieces: matches!(self.direct, Direct::Lent),
            ..inward
        };
        let flat =
            self.result(&mut body, &outward, outside.retptr.then(|| params.len() as u32 - 1), returned);
        if let Some(post_return) = &self.post_return {
            let post_return = module.function(post_return.clone(), &inner_results, &[]);
            body.emit(returned.map(|(local, _)| I::LocalGet(local)));
            body.emit([I::Call(post_return)]);
        }
        borrows.end(&mut body, &given, mark);
        body.emit(flat.map(I::LocalGet));
        module.define(name, &params, &results, body);
        Ok(())
    }

    fn sides(&self, module: &mut GlueModule) -> (Option<Side>, Option<Side>) {
        let mut side = |side_imports: &SideImports| {
            let memory = module.memory(side_imports.memory.clone()?);
            let realloc = side_imports.realloc.clone();
            let realloc = realloc.map(|r| module.function(r, &[ValType::I32; 4], &[ValType::I32]));
            Some(Side { memory, realloc })
        };
        (side(&self.caller), side(&self.callee))
    }

    /// Finds the handles in the parameters.
    fn given(&self, slots: &[Slot], indirect: bool) -> Result<Vec<Given>, NotLinkable> {
        let mut given = Vec::new();
        let mut from = 0;
        for param in &self.function.params {
            let mentions = self.info.any(&param.ty, &mut |info, root| {
                matches!(info.resolve.types[root].kind, TypeDefKind::Handle(_))
            });
            let count = if indirect { 0 } else { flat_types(self.info.resolve, &param.ty).len() };
            if mentions {
                let strange = || {
                    let name = &self.function.name;
                    NotLinkable::new(format!("{name} takes handles in a way that linking does not know"))
                };
                let Type::Id(id) = param.ty else { return Err(strange()) };
                let (handle, is_list) = match &self.info.resolve.types[self.info.root(id)].kind {
                    TypeDefKind::Handle(handle) => (*handle, false),
                    TypeDefKind::List(Type::Id(element)) => {
                        match &self.info.resolve.types[self.info.root(*element)].kind {
                            TypeDefKind::Handle(handle) => (*handle, true),
                            _ => return Err(strange()),
                        }
                    }
                    _ => return Err(strange()),
                };
                let (Handle::Borrow(resource), false) = (handle, indirect) else { return Err(strange()) };
                let resource = self.resources.get(&self.info.root(resource)).ok_or_else(strange)?;
                let length = is_list.then(|| slots[from + 1].0);
                if is_list && !resource.shared {
                    return Err(strange());
                }
                given.push(Given { local: slots[from].0, length, resource: *resource });
            }
            from += count;
        }
        Ok(given)
    }

    /// Emits a call of the host instead, if none of the handles is the file system's.
    fn pass_on(&self, body: &mut Body, given: &[Given], slots: &[Slot], original: u32, caller: Option<Side>) {
        let ours = body.local(ValType::I32);
        for handle in given {
            let Some(length) = handle.length else {
                body.emit([I::LocalGet(handle.local), I::I32Const(FIRST), I::I32GeU]);
                body.emit([I::LocalGet(ours), I::I32Or, I::LocalSet(ours)]);
                continue;
            };
            let memory_index = caller.map_or(0, |side| side.memory);
            let (at, left) = (body.local(ValType::I32), body.local(ValType::I32));
            body.emit([I::LocalGet(handle.local), I::LocalSet(at), I::LocalGet(length), I::LocalSet(left)]);
            body.emit([I::Block(BlockType::Empty), I::Loop(BlockType::Empty)]);
            body.emit([I::LocalGet(left), I::I32Eqz, I::BrIf(1)]);
            body.emit([
                I::LocalGet(at),
                I::I32Load(MemArg { offset: 0, align: 0, memory_index }),
                I::I32Const(FIRST),
                I::I32GeU,
                I::LocalTee(ours),
                I::BrIf(1),
            ]);
            body.emit([I::LocalGet(at), I::I32Const(4), I::I32Add, I::LocalSet(at)]);
            body.emit([I::LocalGet(left), I::I32Const(1), I::I32Sub, I::LocalSet(left)]);
            body.emit([I::Br(0), I::End, I::End]);
        }
        body.emit([I::LocalGet(ours), I::I32Eqz, I::If(BlockType::Empty)]);
        body.emit(slots.iter().map(|(local, _)| I::LocalGet(*local)));
        body.emit([I::Call(original), I::Return, I::End]);
    }

    /// Copies the parameters and returns the locals with the callee's arguments.
    fn arguments(
        &self,
        body: &mut Body,
        copier: &Copier<'_>,
        slots: &[Slot],
        inner: &[ValType],
        indirect: bool,
    ) -> Vec<u32> {
        let types: Vec<Type> = self.function.params.iter().map(|p| p.ty).collect();
        let target: Vec<Slot> = inner.iter().map(|ty| (body.local(*ty), *ty)).collect();
        if indirect {
            let layout = self.layout.record(&types);
            let (size, align) = (layout.size.size_wasm32() as i32, layout.align.align_wasm32() as i32);
            body.emit([I::I32Const(0), I::I32Const(0), I::I32Const(align), I::I32Const(size)]);
            body.emit([copier.to.and_then(|side| side.realloc).map_or(I::Unreachable, I::Call)]);
            body.emit([I::LocalSet(target[0].0)]);
            check_place(body, slots[0].0, align as u32, size as u32, copier.from().memory);
            check_place(body, target[0].0, align as u32, size as u32, copier.to().memory);
            for (offset, ty) in self.layout.field_offsets(&types) {
                let offset = offset.size_wasm32() as u32;
                copier.memory(body, (slots[0].0, offset), (target[0].0, offset), ty);
            }
        } else {
            let (mut from, mut at) = (0, 0);
            for ty in &types {
                let slots = &slots[from..from + flat_types(self.info.resolve, ty).len()];
                let to = if self.direct.takes_length(self.info, ty) {
                    // `fill` moves the bytes once there is a place for them.
                    check_bounds(body, slots[0].0, slots[1].0, copier.from().memory);
                    body.emit([I::LocalGet(slots[1].0), I::LocalSet(target[at].0)]);
                    1
                } else {
                    copier.flat(body, slots, &target[at..at + slots.len()], ty);
                    slots.len()
                };
                (from, at) = (from + slots.len(), at + to);
            }
        }
        target.into_iter().map(|(local, _)| local).collect()
    }

    /// Copies the result. Returns its local if it is flat.
    fn result(
        &self,
        body: &mut Body,
        copier: &Copier<'_>,
        address: Option<u32>,
        returned: Option<Slot>,
    ) -> Option<u32> {
        let ty = self.function.result.as_ref()?;
        let returned = returned?;
        match address {
            Some(address) => {
                let (size, align) = (self.layout.size(ty), self.layout.align(ty));
                let (size, align) = (size.size_wasm32() as u32, align.align_wasm32() as u32);
                check_place(body, returned.0, align, size, copier.from().memory);
                check_place(body, address, align, size, copier.to().memory);
                copier.memory(body, (returned.0, 0), (address, 0), ty);
                None
            }
            None => {
                let local = body.local(returned.1);
                copier.flat(body, &[returned], &[(local, returned.1)], ty);
                Some(local)
            }
        }
    }
}

/// The functions that lend handles for one call.
struct Borrows {
    /// `handle, kind -> rep` of the table, for handles that can only be the file system's.
    borrow: Option<u32>,
    give_back: Option<u32>,
    /// The same for handles that may be the host's, with a note for `leave`.
    acquire: Option<u32>,
    leave: Option<u32>,
    loans: Option<u32>,
    /// `handle, kind -> handle`: replaces a handle of the adapter that only wraps one of the host's
    /// by that.
    settle: Option<u32>,
}

impl Borrows {
    fn choose(given: &[Given], dispatched: bool, host_handles: bool, module: &mut GlueModule) -> Self {
        // A single handle that is not the host's is the file system's.
        let single = dispatched && given.len() == 1 && given[0].length.is_none();
        let mixed = |g: &Given| g.length.is_some() || (g.resource.shared && host_handles && !single);
        let i32s = [ValType::I32; 2];
        let mut out =
            Self { borrow: None, give_back: None, acquire: None, leave: None, loans: None, settle: None };
        if given.iter().any(|g| !mixed(g)) {
            out.borrow = Some(module.function(GlueImport::Handles("borrow"), &i32s, &i32s[..1]));
            out.give_back = Some(module.function(GlueImport::Handles("give-back"), &i32s[..1], &[]));
        }
        if given.iter().any(mixed) {
            out.acquire = Some(module.function(GlueImport::Mixed("acquire"), &i32s, &i32s[..1]));
            out.leave = Some(module.function(GlueImport::Mixed("leave"), &i32s[..1], &[]));
            out.loans = Some(module.function(GlueImport::Loans("loans"), &[], &i32s[..1]));
            if host_handles {
                out.settle = Some(module.function(GlueImport::Mixed("settle"), &i32s, &i32s[..1]));
            }
        }
        out
    }

    /// True if handles of this resource go through `acquire`.
    fn acquires(&self, resource: Resource) -> bool {
        self.acquire.is_some() && resource.shared
    }

    fn mark(&self, body: &mut Body) -> Option<u32> {
        let loans = self.loans?;
        let mark = body.local(ValType::I32);
        body.emit([I::Call(loans), I::LocalSet(mark)]);
        Some(mark)
    }

    fn end(&self, body: &mut Body, given: &[Given], mark: Option<u32>) {
        for handle in given.iter().filter(|g| !self.acquires(g.resource)) {
            body.emit([I::LocalGet(handle.local)]);
            body.emit(self.give_back.map(I::Call));
        }
        if let (Some(leave), Some(mark)) = (self.leave, mark) {
            body.emit([I::LocalGet(mark), I::Call(leave)]);
        }
    }
}

struct ParamHandles<'j, 'a> {
    glue: &'j FunctionGlue<'a>,
    borrows: &'j Borrows,
}

impl Handles for ParamHandles<'_, '_> {
    fn carry(&self, body: &mut Body, _: &Handle, resource: TypeId) {
        let Some(resource) = self.glue.resources.get(&resource) else {
            return body.emit([I::Unreachable]);
        };
        let borrow =
            if self.borrows.acquires(*resource) { self.borrows.acquire } else { self.borrows.borrow };
        body.emit([I::I32Const(resource.kind as i32)]);
        body.emit([borrow.map_or(I::Unreachable, I::Call)]);
    }
}

struct ResultHandles<'j, 'a> {
    glue: &'j FunctionGlue<'a>,
    settle: Option<u32>,
}

impl Handles for ResultHandles<'_, '_> {
    fn carry(&self, body: &mut Body, _: &Handle, resource: TypeId) {
        // A resource that the adapter makes has its handle in the guest's table from the start.
        if let (Some(settle), Some(resource)) = (self.settle, self.glue.resources.get(&resource))
            && resource.shared
        {
            body.emit([I::I32Const(resource.kind as i32), I::Call(settle)]);
        }
    }
}
