//! Calls that have handles of both sides: the host's are taken in for as long as the call lasts.
//!
//! The adapter knows how to wait for, read and write a stream of the host; it needs it wrapped into one
//! of its own. So the glue wraps each handle of the host before such a call and unwraps it after. A
//! wrapped handle never reaches the guest: an error that the host answered and the adapter wrapped is
//! given as the host's own.

use super::handles::FIRST;
use super::module::{GlueImport, GlueModule};
use crate::wasm::code::{Body, at};
use wasm_encoder::{BlockType, Instruction as I, ValType};

/// What the module needs of the adapter for one resource of `wasi:io`.
pub(super) struct Wrapping {
    pub(super) kind: u32,
    pub(super) wrap: GlueImport,
    pub(super) unwrap: GlueImport,
    pub(super) lend: GlueImport,
    pub(super) probe: Probe,
}

/// How a handle of the host is shown to be one before it is trusted: the runtime traps if it is not.
pub(super) enum Probe {
    /// `handle -> pollable` and the pollable's drop.
    Subscribe(GlueImport, GlueImport),
    /// `handle -> bool`.
    Ready(GlueImport),
    /// The adapter's own `to-debug-string`, `rep -> address`, and its post-return: it asks the host.
    Describe(GlueImport, Option<GlueImport>),
}

/// Bit of a note that says that the handle wraps one of the host's.
const WRAPPED: i32 = 1 << 31;

/// Writes `acquire`, `leave` and `settle`. Without wrappings, every handle must be the file system's.
pub(super) fn write(module: &mut GlueModule, wrappings: &[Wrapping], adapter_memory: GlueImport) {
    let i32s = [ValType::I32; 2];
    let memory = module.memory(adapter_memory);
    debug_assert_eq!(memory, 0, "bodies read memory 0");
    let table = |module: &mut GlueModule, name, params: usize, results: usize| {
        module.function(GlueImport::Handles(name), &i32s[..params], &i32s[..results])
    };
    let borrow = table(module, "borrow", 2, 1);
    let give_back = table(module, "give-back", 1, 0);
    let note = module.function(GlueImport::Loans("note"), &i32s[..1], &[]);
    let unnote = module.function(GlueImport::Loans("unnote"), &[], &i32s[..1]);
    let loans = module.function(GlueImport::Loans("loans"), &[], &i32s[..1]);
    let rep = table(module, "rep", 2, 1);
    let drop = table(module, "drop", 2, 0);
    let kind = table(module, "kind", 1, 1);
    let each = |module: &mut GlueModule,
                body: &mut Body,
                selector: u32,
                code: &dyn Fn(&mut GlueModule, &mut Body, &Wrapping)| {
        for wrapping in wrappings {
            body.emit([
                I::LocalGet(selector),
                I::I32Const(wrapping.kind as i32),
                I::I32Eq,
                I::If(BlockType::Empty),
            ]);
            code(module, body, wrapping);
            body.emit([I::End]);
        }
    };

    // acquire(handle, kind) -> rep
    let mut body = Body::new(2);
    let wrapped = body.local(ValType::I32);
    body.emit([I::LocalGet(0), I::I32Const(FIRST), I::I32GeU, I::If(BlockType::Empty)]);
    body.emit([I::LocalGet(0), I::Call(note)]);
    body.emit([I::LocalGet(0), I::LocalGet(1), I::Call(borrow), I::Return, I::End]);
    each(module, &mut body, 1, &|module, body, wrapping| {
        let wrap = module.function(wrapping.wrap.clone(), &i32s[..1], &i32s[..1]);
        match &wrapping.probe {
            Probe::Subscribe(subscribe, drop_pollable) => {
                let subscribe = module.function(subscribe.clone(), &i32s[..1], &i32s[..1]);
                let drop_pollable = module.function(drop_pollable.clone(), &i32s[..1], &[]);
                body.emit([I::LocalGet(0), I::Call(subscribe), I::Call(drop_pollable)]);
                body.emit([I::LocalGet(0), I::Call(wrap), I::LocalSet(wrapped)]);
            }
            Probe::Ready(ready) => {
                let ready = module.function(ready.clone(), &i32s[..1], &i32s[..1]);
                body.emit([I::LocalGet(0), I::Call(ready), I::Drop]);
                body.emit([I::LocalGet(0), I::Call(wrap), I::LocalSet(wrapped)]);
            }
            Probe::Describe(describe, post_return) => {
                let address = body.local(ValType::I32);
                let describe = module.function(describe.clone(), &i32s[..1], &i32s[..1]);
                body.emit([I::LocalGet(0), I::Call(wrap), I::LocalTee(wrapped)]);
                body.emit([I::I32Const(wrapping.kind as i32), I::Call(rep), I::Call(describe)]);
                body.emit([I::LocalSet(address)]);
                if let Some(post_return) = post_return {
                    let post_return = module.function(post_return.clone(), &i32s[..1], &[]);
                    body.emit([I::LocalGet(address), I::Call(post_return)]);
                }
            }
        }
    });
    body.emit([I::LocalGet(wrapped), I::I32Eqz, I::If(BlockType::Empty), I::Unreachable, I::End]);
    body.emit([I::LocalGet(wrapped), I::I32Const(WRAPPED), I::I32Or, I::Call(note)]);
    body.emit([I::LocalGet(wrapped), I::LocalGet(1), I::Call(rep)]);
    module.define("acquire", &i32s, &i32s[..1], body);

    // leave(mark): settles all notes above the mark
    let mut body = Body::new(1);
    let (handle, of) = (body.local(ValType::I32), body.local(ValType::I32));
    body.emit([I::Loop(BlockType::Empty)]);
    body.emit([I::Call(loans), I::LocalGet(0), I::I32LeU, I::If(BlockType::Empty), I::Return, I::End]);
    body.emit([I::Call(unnote), I::LocalTee(handle), I::I32Const(0), I::I32GeS, I::If(BlockType::Empty)]);
    body.emit([I::LocalGet(handle), I::Call(give_back), I::Br(1), I::End]);
    body.emit([I::LocalGet(handle), I::I32Const(!WRAPPED), I::I32And, I::LocalTee(handle)]);
    body.emit([I::Call(kind), I::LocalSet(of)]);
    each(module, &mut body, of, &|module, body, wrapping| {
        // The handle inside is the guest's, which still has it under the same number.
        let unwrap = module.function(wrapping.unwrap.clone(), &i32s[..1], &i32s[..1]);
        body.emit([I::LocalGet(handle), I::Call(unwrap), I::Drop]);
    });
    body.emit([I::Br(0), I::End]);
    module.define("leave", &i32s[..1], &[], body);

    // settle(handle, kind) -> handle
    let mut body = Body::new(2);
    let option = body.local(ValType::I32);
    let host = body.local(ValType::I32);
    each(module, &mut body, 1, &|module, body, wrapping| {
        let lend = module.function(wrapping.lend.clone(), &i32s[..1], &i32s[..1]);
        body.emit([I::LocalGet(0), I::LocalGet(1), I::Call(rep), I::Call(lend), I::LocalTee(option)]);
        body.emit([I::I32Load8U(at(0, 0)), I::If(BlockType::Empty)]);
        body.emit([I::LocalGet(option), I::I32Load(at(4, 2)), I::LocalSet(host)]);
        body.emit([I::LocalGet(0), I::LocalGet(1), I::Call(drop), I::LocalGet(host), I::Return, I::End]);
    });
    body.emit([I::LocalGet(0)]);
    module.define("settle", &i32s, &i32s[..1], body);
}
