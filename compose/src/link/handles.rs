//! The table of handles, as the adapter and the glue see it. [`handles.wat`](handles.wat) is the table.

use super::module::{GlueImport, GlueModule};
use crate::wasm::code::Body;
use wasm_encoder::{BlockType, Instruction as I, ValType};

/// The core module, built from `handles.wat`.
pub(super) static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/handles.wasm"));

/// The notes of what is lent, built from `loans.wat`.
pub(super) static LOANS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/loans.wasm"));

/// The lowest handle of the file system. Every lower number is the runtime's.
pub(super) const FIRST: i32 = 0x4000_0000;

/// How many kinds of handles the table tells apart.
pub(super) const KINDS: u32 = 6;

/// What the component model's built-in functions are for a resource of the adapter's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    New,
    Rep,
    Drop,
}

impl Operation {
    const ALL: [Self; 3] = [Self::New, Self::Rep, Self::Drop];

    fn of_table(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Rep => "rep",
            Self::Drop => "drop",
        }
    }

    fn results(self) -> &'static [ValType] {
        match self {
            Self::New | Self::Rep => &[ValType::I32],
            Self::Drop => &[],
        }
    }

    /// Returns the name under which [`write_operations`] exports an operation for a kind.
    pub(super) fn export(self, kind: u32) -> String {
        format!("{}-{kind}", self.of_table())
    }
}

/// Writes the built-in functions of all kinds: the table's, with the kind filled in.
pub(super) fn write_operations(module: &mut GlueModule) {
    for operation in Operation::ALL {
        let params = [ValType::I32; 2];
        let table = module.function(GlueImport::Handles(operation.of_table()), &params, operation.results());
        for kind in 0..KINDS {
            let mut body = Body::new(1);
            body.emit([I::LocalGet(0), I::I32Const(kind as i32), I::Call(table)]);
            module.define(&operation.export(kind), &params[..1], operation.results(), body);
        }
    }
}

/// Writes the check that comes first in every call of the guest's: that it does not come from its own allocator.
pub(super) fn write_busy(module: &mut GlueModule, body: &mut Body) {
    let busy = module.global(GlueImport::Handles("busy"));
    body.emit([I::GlobalGet(busy), I::If(BlockType::Empty), I::Unreachable, I::End]);
}

/// Writes the guest's drop of one kind of handle: the table's, or the host's for its own handles.
pub(super) fn write_drop(module: &mut GlueModule, name: &str, kind: u32, host: Option<GlueImport>) {
    let table = module.function(GlueImport::Handles("drop"), &[ValType::I32; 2], &[]);
    let mut body = Body::new(1);
    write_busy(module, &mut body);
    if let Some(host) = host {
        let host = module.function(host, &[ValType::I32], &[]);
        body.emit([I::LocalGet(0), I::I32Const(FIRST), I::I32LtU, I::If(BlockType::Empty)]);
        body.emit([I::LocalGet(0), I::Call(host), I::Return, I::End]);
    }
    body.emit([I::LocalGet(0), I::I32Const(kind as i32), I::Call(table)]);
    module.define(name, &[ValType::I32], &[], body);
}
