//! Calls with handles of both sides: the adapter wraps the host's for the time of the call.
//!
//! The adapter can wait for, read and write a stream of the host that is wrapped into one of its
//! own. So glue wraps each handle of the host before such a call and unwraps it after. A wrapped
//! handle never reaches the guest: it gets an error of the host, which the adapter has wrapped, as
//! the host's own.

use super::handles::FIRST;
use super::module::{GlueImport, GlueModule};
use crate::wasm::code::{Body, at};
use wasm_encoder::{BlockType, Instruction as I, ValType};

/// The functions of the adapter for one resource of `wasi:io`.
pub(super) struct Wrapping {
    pub(super) kind: u32,
    pub(super) wrap: GlueImport,
    pub(super) unwrap: GlueImport,
    pub(super) lend: GlueImport,
    pub(super) probe: Probe,
}

/// A call of the host with a handle before the handle is trusted: the runtime traps if it is not
/// the host's.
pub(super) enum Probe {
    /// `handle -> pollable` and the pollable's drop.
    Subscribe(GlueImport, GlueImport),
    /// `handle -> bool`.
    Ready(GlueImport),
    /// The adapter's `to-debug-string`, `rep -> address`, which calls the host, and its
    /// post-return.
    Describe(GlueImport, Option<GlueImport>),
}

/// Bit of a note: the handle wraps one of the host's.
const WRAPPED: i32 = 1 << 31;

/// Writes `acquire`, `leave` and `settle`. Without wrappings, every handle must be the file
/// system's.
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
        // The guest still has the inner handle, under the same number.
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
