//! The interface of the table of handles, for the adapter and for glue. The table is
//! [`handles.wat`](handles.wat).

use super::module::{GlueImport, GlueModule};
use crate::wasm::code::Body;
use wasm_encoder::{BlockType, Instruction as I, ValType};

/// The core module, built from `handles.wat`.
pub(super) static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/handles.wasm"));

/// The notes of lent handles, built from `loans.wat`.
pub(super) static LOANS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/loans.wasm"));

/// The lowest handle of the file system. All lower numbers are the runtime's.
pub(super) const FIRST: i32 = 0x4000_0000;

/// The number of kinds of handles in the table.
pub(super) const KINDS: u32 = 6;

/// The component model's built-in functions, for the adapter's resources.
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

/// Writes the built-in functions of all kinds: those of the table with the kind filled in.
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

/// Writes the check at the start of every call of the guest: it must not come from the guest's
/// allocator.
pub(super) fn write_busy(module: &mut GlueModule, body: &mut Body) {
    let busy = module.global(GlueImport::Handles("busy"));
    body.emit([I::GlobalGet(busy), I::If(BlockType::Empty), I::Unreachable, I::End]);
}

/// Writes the guest's drop of one kind of handle: by the table, or by the host for its own handles.
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
