//! The end of a program: what is written becomes durable before `exit` and when an export returns.

use super::function::signature;
use super::module::{GlueModule, Wanted};
use crate::bridge::TypeInfo;
use crate::code::{Body, at};
use wasm_encoder::{BlockType, Instruction as I, MemArg, ValType};
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, Type, TypeDefKind};

/// Writes a function of `wasi:cli/exit`: commits, then exits. A program that meant to end well does
/// not if its data could not be stored.
pub(super) fn write_exit(
    module: &mut GlueModule,
    name: &str,
    (info, function): (TypeInfo<'_>, &Function),
    commit: Wanted,
    original: Wanted,
) {
    let (params, results) = signature(info, AbiVariant::GuestImport, function);
    let commit = module.function(commit, &[], &[ValType::I32]);
    let original = module.function(original, &params, &results);
    let mut body = Body::new(params.len() as u32);
    body.emit([I::Call(commit)]);
    if params.as_slice() == [ValType::I32] {
        body.emit([I::LocalGet(0), I::I32Eqz, I::I32And, I::If(BlockType::Empty)]);
        body.emit([I::I32Const(1), I::LocalSet(0), I::End]);
    } else {
        body.emit([I::Drop]);
    }
    body.emit((0..params.len() as u32).map(I::LocalGet));
    body.emit([I::Call(original)]);
    module.define(name, &params, &results, body);
}

/// Writes the wrapper of an exported function: calls it, then commits. A commit that fails turns the
/// result into an error if its type has one without a payload, and traps otherwise.
pub(super) fn write_export(
    module: &mut GlueModule,
    name: &str,
    (info, function): (TypeInfo<'_>, &Function),
    commit: Wanted,
    original: Wanted,
    memory: Option<Wanted>,
) {
    let (params, results) = signature(info, AbiVariant::GuestExport, function);
    let in_memory = info.resolve.wasm_signature(AbiVariant::GuestExport, function).retptr;
    let plain_error = function.result.is_some_and(|ty| match ty {
        Type::Id(id) => match &info.resolve.types[info.root(id)].kind {
            TypeDefKind::Result(result) => result.err.is_none(),
            _ => false,
        },
        _ => false,
    });
    let commit = module.function(commit, &[], &[ValType::I32]);
    let original = module.function(original, &params, &results);
    let memory_index = memory.filter(|_| in_memory && plain_error).map(|memory| module.memory(memory));

    let mut body = Body::new(params.len() as u32);
    let returned = results.first().map(|ty| body.local(*ty));
    body.emit((0..params.len() as u32).map(I::LocalGet));
    body.emit([I::Call(original)]);
    body.emit(returned.map(I::LocalSet));
    body.emit([I::Call(commit), I::If(BlockType::Empty)]);
    match (plain_error, in_memory, returned, memory_index) {
        (true, true, Some(area), Some(memory_index)) => {
            let tag = MemArg { memory_index, ..at(0, 0) };
            body.emit([I::LocalGet(area), I::I32Const(1), I::I32Store8(tag)]);
        }
        (true, false, Some(flat), _) => body.emit([I::I32Const(1), I::LocalSet(flat)]),
        _ => body.emit([I::Unreachable]),
    }
    body.emit([I::End]);
    body.emit(returned.map(I::LocalGet));
    module.define(name, &params, &results, body);
}
