//! The core module of a generated component: one shim for each function that needs code.
//!
//! A shim has the signature of the function that it replaces. When it runs, lifting has put strings
//! and lists into the component's memory, so it passes its parameters on as they are, except
//! handles of `wasi:io`. It notes borrowed handles in a list. After the call, `finish` walks the
//! list, gives back lent handles and drops the borrows, as the component model requires.
//!
//! A handle of the file system's own has no host handle inside, so it cannot be passed to the host.
//! A function that returns an `option` then returns none, without calling the host; any other
//! traps.

use super::handles::*;
use super::job::{Io, Lifecycle};
use super::memory::HEAP;
use super::names::{COMMIT, IO_FUNCTIONS};
use super::output::Output;
use super::walk::{Action, Actions, Walker};
use crate::types::{IoResource, Special, TypeInfo};
use crate::wasm::code::{
    Body, Slot, at, core_type, explain_failure, flat_types, report_failure, settle_status,
};
use wasm_encoder::{BlockType, Instruction as I, Module, ValType};
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, Handle, SizeAlign, Type, TypeDefKind, TypeId};

/// One function that needs code.
pub(super) struct Shim<'a> {
    pub(super) function: &'a Function,
    pub(super) lifecycle: Lifecycle,
}

/// The inputs of one core module.
pub(super) struct Shims<'a> {
    pub(super) info: TypeInfo<'a>,
    pub(super) layout: &'a SizeAlign,
    /// The side whose `wasi:io` the called functions use.
    pub(super) callee: Io,
    /// True if handles of `wasi:io` are converted.
    pub(super) io: bool,
    pub(super) commit: bool,
    /// The number of the shim whose callee gives the host's standard error, for reports of a failed
    /// commit.
    pub(super) stderr: Option<usize>,
    pub(super) functions: Vec<Shim<'a>>,
}

/// Export that frees a call's memory after its result was read.
pub(super) const POST_RETURN: &str = "post-return";

/// Returns the name of an exported shim.
pub(super) fn shim_name(number: usize) -> String {
    format!("s{number}")
}

/// A core import of the module.
pub(super) enum CoreImport {
    /// The function that shim number N calls.
    Callee(usize),
    /// `IO_FUNCTIONS[n]` of a resource.
    Io(usize, IoResource),
    /// Drops a handle of a resource of the `wasi:io` of one side.
    DropIo(Io, IoResource),
    /// Drops a handle of another resource.
    Drop(TypeId),
    /// `commit` of the adapter.
    Commit,
    /// `explain` of the adapter.
    Explain,
}

/// `commit()`: commits, and reports a failure on standard error.
fn end(at: &Indices, stderr: usize) -> Body {
    let mut body = Body::new(0);
    body.emit([I::Call(at.commit)]);
    explain_failure(&mut body, at.callees + stderr as u32, at.explain);
    body
}

impl<'a> Shims<'a> {
    /// Lists the imports of the module in order: module `host`, names `0`, `1`, ….
    pub(super) fn imports(&self) -> Vec<CoreImport> {
        let mut imports: Vec<_> = (0..self.functions.len()).map(CoreImport::Callee).collect();
        if self.io {
            for function in 0..IO_FUNCTIONS.len() {
                imports.extend(IoResource::ALL.map(|io| CoreImport::Io(function, io)));
            }
            imports.extend(IoResource::ALL.map(|io| CoreImport::DropIo(Io::Virtual, io)));
            imports.extend(IoResource::ALL.map(|io| CoreImport::DropIo(Io::Host, io)));
        }
        imports.extend(self.dropped().into_iter().map(CoreImport::Drop));
        if self.commit {
            imports.push(CoreImport::Commit);
        }
        if self.stderr.is_some() {
            imports.push(CoreImport::Explain);
        }
        imports
    }

    /// Lists the resources outside of `wasi:io` whose handles shims may have to drop.
    fn dropped(&self) -> Vec<TypeId> {
        let mut out = Vec::new();
        for shim in &self.functions {
            let refusable = self.refusable(shim.function);
            for param in &shim.function.params {
                self.info.any(&param.ty, &mut |info, root| {
                    let resource = match &info.resolve.types[root].kind {
                        TypeDefKind::Handle(Handle::Borrow(resource)) => *resource,
                        TypeDefKind::Handle(Handle::Own(resource)) if refusable => *resource,
                        _ => return false,
                    };
                    let resource = info.root(resource);
                    if self.io_resource(resource).is_none() && !out.contains(&resource) {
                        out.push(resource);
                    }
                    false
                });
            }
        }
        out
    }

    fn io_resource(&self, root: TypeId) -> Option<IoResource> {
        match self.info.special(root) {
            Some(Special::Io(io)) => Some(io),
            _ => None,
        }
    }

    /// Returns true if the function may return none instead of calling the host.
    fn refusable(&self, function: &Function) -> bool {
        self.callee == Io::Host && self.info.answers_none(function)
    }

    /// Returns true if a parameter holds a handle that may be the file system's own.
    fn takes_io(&self, function: &Function) -> bool {
        self.callee == Io::Host && function.params.iter().any(|p| self.info.mentions_io(&p.ty))
    }

    fn indices(&self, dropped: usize) -> Indices {
        let per_io = if self.io { IoResource::ALL.len() as u32 } else { 0 };
        let callees = 1;
        let io = callees + self.functions.len() as u32;
        let drop_virtual = io + per_io * IO_FUNCTIONS.len() as u32;
        let drop_host = drop_virtual + per_io;
        let drops = drop_host + per_io;
        let commit = drops + dropped as u32;
        let explain = commit + u32::from(self.commit);
        let push = explain + u32::from(self.stderr.is_some());
        let finish = push + 1;
        let lend = finish + 1;
        let unwrap = lend + per_io;
        let surrender = unwrap + per_io;
        let notes = surrender + per_io;
        let post_return = notes + 2 * dropped as u32;
        let shims = post_return + 1;
        let end = if self.stderr.is_some() { shims + self.functions.len() as u32 } else { commit };
        Indices {
            callees,
            io,
            drop_virtual,
            drop_host,
            drops,
            commit,
            explain,
            end,
            push,
            finish,
            lend,
            unwrap,
            surrender,
            notes,
            post_return,
            shims,
        }
    }

    /// Writes the module. Besides [`Shims::imports`] it imports `memory`, `realloc` and `top` from
    /// module `memory`.
    pub(super) fn module(&self) -> Module {
        let dropped = self.dropped();
        let at = self.indices(dropped.len());
        let mut out = Output::default();

        out.import_memory();
        for import in self.imports() {
            let (params, results) = self.import_type(&import);
            out.import_function(params, results);
        }
        debug_assert_eq!(out.function_count, at.push);

        out.function(&[ValType::I32; 3], &[], push());
        out.function(&[ValType::I32], &[], self.finish(&at, dropped.len()));
        if self.io {
            for io in IoResource::ALL {
                out.function(&[ValType::I32], &[ValType::I32], lend(&at, io));
            }
            for io in IoResource::ALL {
                out.function(&[ValType::I32], &[ValType::I32], unwrap(&at, io));
            }
            for io in IoResource::ALL {
                out.function(&[ValType::I32], &[ValType::I32], surrender(&at, io));
            }
        }
        for number in 0..2 * dropped.len() as i32 {
            out.function(&[ValType::I32], &[], note(&at, KIND_RESOURCES + number));
        }
        debug_assert_eq!(out.function_count, at.post_return);
        let mut post_return = Body::new(1);
        post_return.emit([I::I32Const(HEAP), I::GlobalSet(TOP)]);
        out.exported(&[ValType::I32], &[], post_return, POST_RETURN);

        debug_assert_eq!(out.function_count, at.shims);
        for (number, shim) in self.functions.iter().enumerate() {
            let signature = self.info.resolve.wasm_signature(AbiVariant::GuestExport, shim.function);
            let params: Vec<_> = signature.params.iter().map(|ty| core_type(*ty)).collect();
            let results: Vec<_> = signature.results.iter().map(|ty| core_type(*ty)).collect();
            let body = self.shim(&at, &dropped, number, shim);
            out.exported(&params, &results, body, &shim_name(number));
        }
        if let Some(stderr) = self.stderr {
            debug_assert_eq!(out.function_count, at.end);
            out.exported(&[], &[ValType::I32], end(&at, stderr), COMMIT);
        }
        out.finish()
    }

    fn import_type(&self, import: &CoreImport) -> (Vec<ValType>, Vec<ValType>) {
        let i32s = |count| vec![ValType::I32; count];
        match import {
            CoreImport::Callee(number) => {
                let function = self.functions[*number].function;
                let signature = self.info.resolve.wasm_signature(AbiVariant::GuestImport, function);
                (
                    signature.params.iter().map(|ty| core_type(*ty)).collect(),
                    signature.results.iter().map(|ty| core_type(*ty)).collect(),
                )
            }
            CoreImport::Io(function, _) => match IO_FUNCTIONS[*function] {
                "wrap" => (i32s(1), i32s(1)),
                // `unwrap` and `lend` write an option to an address, `give-back` takes two handles.
                _ => (i32s(2), i32s(0)),
            },
            CoreImport::DropIo(..) | CoreImport::Drop(_) => (i32s(1), i32s(0)),
            CoreImport::Commit => (i32s(0), i32s(1)),
            CoreImport::Explain => (i32s(1), i32s(0)),
        }
    }

    /// `finish(refused)`: settles every note. If the call was refused, drops owned handles too.
    fn finish(&self, at: &Indices, dropped: usize) -> Body {
        const REFUSED_PARAM: u32 = 0;
        let mut body = Body::new(1);
        let record = body.local(ValType::I32);
        let kind = body.local(ValType::I32);
        body.emit([I::Loop(BlockType::Empty)]);
        body.emit([I::GlobalGet(PENDING), I::LocalTee(record), I::I32Eqz, I::If(BlockType::Empty)]);
        body.emit([I::Return, I::End]);
        body.emit([I::LocalGet(record), I::I32Load(self::at(0, 2)), I::GlobalSet(PENDING)]);
        body.emit([I::LocalGet(record), I::I32Load(self::at(NOTE_KIND, 2)), I::LocalSet(kind)]);

        let a = [I::LocalGet(record), I::I32Load(self::at(NOTE_A, 2))];
        let b = [I::LocalGet(record), I::I32Load(self::at(NOTE_B, 2))];
        let case = |body: &mut Body, number: i32, code: Vec<I<'static>>| {
            body.emit([I::LocalGet(kind), I::I32Const(number), I::I32Eq, I::If(BlockType::Empty)]);
            body.emit(code);
            body.emit([I::Br(1), I::End]);
        };
        for (number, io) in IoResource::ALL.into_iter().enumerate().filter(|_| self.io) {
            let drop_virtual = [a[0].clone(), a[1].clone(), I::Call(at.drop_virtual + number as u32)];
            let mut give_back = vec![a[0].clone(), a[1].clone(), b[0].clone(), b[1].clone()];
            give_back.push(I::Call(at.io_function(3, io)));
            give_back.extend(drop_virtual.clone());
            case(&mut body, KIND_LENT + number as i32, give_back);
            case(&mut body, KIND_BORROWED_IO + number as i32, drop_virtual.to_vec());
            let drop_host = [a[0].clone(), a[1].clone(), I::Call(at.drop_host + number as u32)];
            case(&mut body, KIND_UNWRAPPED + number as i32, when(REFUSED_PARAM, drop_host));
        }
        for number in 0..dropped {
            let drop = [a[0].clone(), a[1].clone(), I::Call(at.drops + number as u32)];
            case(&mut body, KIND_RESOURCES + 2 * number as i32, drop.to_vec());
            case(&mut body, KIND_RESOURCES + 2 * number as i32 + 1, when(REFUSED_PARAM, drop));
        }
        // Every kind of note is settled above.
        body.emit([I::Unreachable, I::End]);
        body
    }

    fn shim(&self, at: &Indices, dropped: &[TypeId], number: usize, shim: &Shim<'a>) -> Body {
        let function = shim.function;
        let resolve = self.info.resolve;
        let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
        let mut body = Body::new(signature.params.len() as u32);
        let slots: Vec<Slot> =
            signature.params.iter().zip(0..).map(|(ty, local)| (local, core_type(*ty))).collect();

        if shim.lifecycle == Lifecycle::CommitBefore {
            body.emit([I::Call(at.end)]);
            let params: Vec<_> = slots.iter().map(|(_, ty)| *ty).collect();
            settle_status(&mut body, if signature.indirect_params { &[] } else { &params });
        }

        let refusable = self.refusable(function);
        let actions = ParamActions { shims: self, at, dropped, refusable };
        let walker = Walker { info: self.info, layout: self.layout, actions: &actions };
        let types: Vec<Type> = function.params.iter().map(|p| p.ty).collect();
        let noted = types.iter().any(|ty| walker.concerns(ty));
        if signature.indirect_params {
            for (offset, ty) in self.layout.field_offsets(&types) {
                walker.memory(&mut body, 0, offset.size_wasm32() as u32, ty);
            }
        } else {
            let mut from = 0;
            for ty in &types {
                let count = flat_types(resolve, ty).len();
                walker.flat(&mut body, &slots[from..from + count], ty);
                from += count;
            }
        }
        if self.takes_io(function) {
            self.refuse(at, &mut body, function, refusable);
        }

        let area = signature.retptr.then(|| {
            let area = body.local(ValType::I32);
            self.allocate_result(&mut body, function);
            body.emit([I::LocalSet(area)]);
            area
        });
        body.emit(slots.iter().map(|(local, _)| I::LocalGet(*local)));
        body.emit(area.map(I::LocalGet));
        body.emit([I::Call(at.callees + number as u32)]);
        let flat_result = if signature.retptr { None } else { signature.results.first() };
        let flat_result = flat_result.map(|ty| {
            let local = body.local(core_type(*ty));
            body.emit([I::LocalSet(local)]);
            (local, core_type(*ty))
        });
        if noted {
            body.emit([I::I32Const(0), I::Call(at.finish)]);
        }

        if let Some(ty) = &function.result {
            let actions = ResultActions { shims: self, at };
            let walker = Walker { info: self.info, layout: self.layout, actions: &actions };
            match (area, flat_result) {
                (Some(area), _) => walker.memory(&mut body, area, 0, ty),
                (None, Some(slot)) => walker.flat(&mut body, &[slot], ty),
                (None, None) => {}
            }
        }
        if shim.lifecycle == Lifecycle::CommitAfter {
            body.emit([I::Call(at.end), I::If(BlockType::Empty)]);
            let area = area.map(|address| (address, 0));
            body.emit(report_failure(self.info.has_plain_error(function), area, flat_result));
            body.emit([I::End]);
        }
        match area {
            Some(area) => body.emit([I::LocalGet(area)]),
            None => body.emit([I::I32Const(HEAP), I::GlobalSet(TOP)]),
        }
        body.emit(flat_result.map(|(local, _)| I::LocalGet(local)));
        body
    }

    /// Ends the call here if a handle has no host handle inside.
    fn refuse(&self, at: &Indices, body: &mut Body, function: &Function, refusable: bool) {
        body.emit([I::GlobalGet(REFUSED), I::If(BlockType::Empty)]);
        if refusable {
            body.emit([I::I32Const(0), I::GlobalSet(REFUSED), I::I32Const(1), I::Call(at.finish)]);
            let signature = self.info.resolve.wasm_signature(AbiVariant::GuestExport, function);
            if signature.retptr {
                let area = body.local(ValType::I32);
                self.allocate_result(body, function);
                body.emit([I::LocalTee(area), I::I32Const(0), I::I32Store8(self::at(0, 0))]);
                body.emit([I::LocalGet(area), I::Return]);
            } else {
                body.emit([I::I32Const(HEAP), I::GlobalSet(TOP), I::I32Const(0), I::Return]);
            }
        } else {
            body.emit([I::Unreachable]);
        }
        body.emit([I::End]);
    }

    fn allocate_result(&self, body: &mut Body, function: &Function) {
        let Some(ty) = &function.result else { return };
        let align = self.layout.align(ty).align_wasm32() as i32;
        let size = self.layout.size(ty).size_wasm32() as i32;
        body.emit([I::I32Const(0), I::I32Const(0), I::I32Const(align), I::I32Const(size), I::Call(REALLOC)]);
    }
}

fn when<const N: usize>(condition: u32, code: [I<'static>; N]) -> Vec<I<'static>> {
    let mut out = vec![I::LocalGet(condition), I::If(BlockType::Empty)];
    out.extend(code);
    out.push(I::End);
    out
}

struct ParamActions<'s, 'a> {
    shims: &'s Shims<'a>,
    at: &'s Indices,
    dropped: &'s [TypeId],
    refusable: bool,
}

impl Actions for ParamActions<'_, '_> {
    fn action(&self, handle: &Handle, resource: TypeId) -> Option<Action> {
        let callee = self.shims.callee;
        if let Some(io) = self.shims.io_resource(resource) {
            return match (handle, callee) {
                (Handle::Own(_), Io::Host) => Some(Action::Replace(self.at.unwrap + io as u32)),
                (Handle::Borrow(_), Io::Host) => Some(Action::Replace(self.at.lend + io as u32)),
                (Handle::Own(_), Io::Virtual) => Some(Action::Replace(self.at.io_function(0, io))),
                // `plan` has refused borrows of the host's, which cannot be wrapped.
                (Handle::Borrow(_), Io::Virtual) => None,
            };
        }
        let number = self.dropped.iter().position(|known| *known == resource)? as u32;
        match handle {
            Handle::Borrow(_) => Some(Action::Note(self.at.notes + 2 * number)),
            Handle::Own(_) if self.refusable => Some(Action::Note(self.at.notes + 2 * number + 1)),
            Handle::Own(_) => None,
        }
    }
}

struct ResultActions<'s, 'a> {
    shims: &'s Shims<'a>,
    at: &'s Indices,
}

impl Actions for ResultActions<'_, '_> {
    fn action(&self, handle: &Handle, resource: TypeId) -> Option<Action> {
        let io = self.shims.io_resource(resource)?;
        match (handle, self.shims.callee) {
            (Handle::Own(_), Io::Host) => Some(Action::Replace(self.at.io_function(0, io))),
            (Handle::Own(_), Io::Virtual) => Some(Action::Replace(self.at.surrender + io as u32)),
            (Handle::Borrow(_), _) => None,
        }
    }
}
