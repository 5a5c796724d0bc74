//! Commits at the end of a program: before `exit`, and when an export returns.

use super::function::signature;
use super::handles::write_busy;
use super::module::{GlueImport, GlueModule};
use crate::types::TypeInfo;
use crate::wasm::code::{Body, explain_failure, report_failure, settle_status};
use wasm_encoder::{BlockType, Instruction as I, ValType};
use wit_parser::Function;
use wit_parser::abi::AbiVariant;

/// The functions that end a program.
#[derive(Clone)]
pub(super) struct End {
    pub(super) commit: GlueImport,
    /// The function that gives the host's standard error, and the one that explains there why a
    /// commit failed.
    pub(super) tell: Option<(GlueImport, GlueImport)>,
}

impl End {
    /// Writes the commit, which leaves 0 on the stack if everything is stored, and reports a
    /// failure.
    fn write(self, module: &mut GlueModule, body: &mut Body) {
        let commit = module.function(self.commit, &[], &[ValType::I32]);
        body.emit([I::Call(commit)]);
        if let Some((stderr, explain)) = self.tell {
            let stderr = module.function(stderr, &[], &[ValType::I32]);
            let explain = module.function(explain, &[ValType::I32], &[]);
            explain_failure(body, stderr, explain);
        }
    }
}

/// Writes a function of `wasi:cli/exit`: commits, then exits.
pub(super) fn write_exit(
    module: &mut GlueModule,
    name: &str,
    (info, function): (TypeInfo<'_>, &Function),
    end: End,
    original: GlueImport,
) {
    let (params, results) = signature(info, AbiVariant::GuestImport, function);
    let original = module.function(original, &params, &results);
    let mut body = Body::new(params.len() as u32);
    write_busy(module, &mut body);
    end.write(module, &mut body);
    settle_status(&mut body, &params);
    body.emit((0..params.len() as u32).map(I::LocalGet));
    body.emit([I::Call(original)]);
    module.define(name, &params, &results, body);
}

/// Writes the wrapper of an exported function: calls it, then commits. A commit that fails turns
/// the result into an error if its type has one without a payload, and traps otherwise.
pub(super) fn write_export(
    module: &mut GlueModule,
    name: &str,
    (info, function): (TypeInfo<'_>, &Function),
    end: End,
    original: GlueImport,
    memory: Option<GlueImport>,
) {
    let (params, results) = signature(info, AbiVariant::GuestExport, function);
    let in_memory = info.resolve.wasm_signature(AbiVariant::GuestExport, function).retptr;
    let plain_error = info.has_plain_error(function);
    let original = module.function(original, &params, &results);
    let memory_index = memory.filter(|_| in_memory && plain_error).map(|memory| module.memory(memory));

    let mut body = Body::new(params.len() as u32);
    let returned = results.first().map(|ty| body.local(*ty));
    body.emit((0..params.len() as u32).map(I::LocalGet));
    body.emit([I::Call(original)]);
    body.emit(returned.map(I::LocalSet));
    end.write(module, &mut body);
    body.emit([I::If(BlockType::Empty)]);
    let flat = if in_memory { None } else { returned.zip(results.first().copied()) };
    body.emit(report_failure(plain_error, returned.zip(memory_index), flat));
    body.emit([I::End]);
    body.emit(returned.map(I::LocalGet));
    module.define(name, &params, &results, body);
}
