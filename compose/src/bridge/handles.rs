//! Core functions that convert one handle each, and note what to do at the end of the call.

use super::memory::SCRATCH;
use crate::types::IoResource;
use crate::wasm::code::{Body, at as at_offset};
use wasm_encoder::{BlockType, Instruction as I, ValType};

/// Index of the imported allocator.
pub(super) const REALLOC: u32 = 0;

// Globals: the top of the allocator is imported, the others are the module's own.
pub(super) const TOP: u32 = 0;
pub(super) const REFUSED: u32 = 1;
pub(super) const PENDING: u32 = 2;

// A note: the next note, the kind, and two handles; 4 bytes each.
pub(super) const NOTE_BYTES: i32 = 16;
pub(super) const NOTE_KIND: u32 = 4;
pub(super) const NOTE_A: u32 = 8;
pub(super) const NOTE_B: u32 = 12;

// Kinds of notes. The first three have one kind per resource of `wasi:io`.
pub(super) const KIND_LENT: i32 = 0;
pub(super) const KIND_BORROWED_IO: i32 = 4;
pub(super) const KIND_UNWRAPPED: i32 = 8;
pub(super) const KIND_RESOURCES: i32 = 12;

/// Indices of the module's functions: imports first, in the order of
/// [`super::shim::Shims::imports`].
pub(super) struct Indices {
    pub(super) callees: u32,
    pub(super) io: u32,
    pub(super) drop_virtual: u32,
    pub(super) drop_host: u32,
    pub(super) drops: u32,
    pub(super) commit: u32,
    pub(super) explain: u32,
    /// The commit that shims call: `commit`, or the one that reports its failure.
    pub(super) end: u32,
    pub(super) push: u32,
    pub(super) finish: u32,
    pub(super) lend: u32,
    pub(super) unwrap: u32,
    pub(super) surrender: u32,
    pub(super) notes: u32,
    pub(super) post_return: u32,
    pub(super) shims: u32,
}

impl Indices {
    pub(super) fn io_function(&self, function: usize, resource: IoResource) -> u32 {
        self.io + (function * IoResource::ALL.len()) as u32 + resource as u32
    }
}

/// `push(kind, a, b)`: adds a note for `finish`.
pub(super) fn push() -> Body {
    let mut body = Body::new(3);
    let record = body.local(ValType::I32);
    body.emit([I::I32Const(0), I::I32Const(0), I::I32Const(4), I::I32Const(NOTE_BYTES), I::Call(REALLOC)]);
    body.emit([I::LocalTee(record), I::GlobalGet(PENDING), I::I32Store(at_offset(0, 2))]);
    for (param, offset) in [(0, NOTE_KIND), (1, NOTE_A), (2, NOTE_B)] {
        body.emit([I::LocalGet(record), I::LocalGet(param), I::I32Store(at_offset(offset, 2))]);
    }
    body.emit([I::LocalGet(record), I::GlobalSet(PENDING)]);
    body
}

/// `note(handle)`: notes a handle of one kind.
pub(super) fn note(at: &Indices, kind: i32) -> Body {
    let mut body = Body::new(1);
    body.emit([I::I32Const(kind), I::LocalGet(0), I::I32Const(0), I::Call(at.push)]);
    body
}

/// Calls a function of the adapter that returns an option, and tests for none.
pub(super) fn ask(function: u32) -> [I<'static>; 7] {
    [
        I::LocalGet(0),
        I::I32Const(SCRATCH),
        I::Call(function),
        I::I32Const(SCRATCH),
        I::I32Load8U(at_offset(0, 0)),
        I::I32Eqz,
        I::If(BlockType::Empty),
    ]
}

/// `lend(virtual borrow) -> host handle`; `finish` gives it back.
pub(super) fn lend(at: &Indices, io: IoResource) -> Body {
    let mut body = Body::new(1);
    let host = body.local(ValType::I32);
    body.emit(ask(at.io_function(2, io)));
    body.emit([I::I32Const(1), I::GlobalSet(REFUSED)]);
    body.emit([I::I32Const(KIND_BORROWED_IO + io as i32), I::LocalGet(0), I::I32Const(0), I::Call(at.push)]);
    body.emit([I::I32Const(0), I::Return, I::End]);
    body.emit([I::I32Const(SCRATCH), I::I32Load(at_offset(4, 2)), I::LocalSet(host)]);
    body.emit([I::I32Const(KIND_LENT + io as i32), I::LocalGet(0), I::LocalGet(host), I::Call(at.push)]);
    body.emit([I::LocalGet(host)]);
    body
}

/// `unwrap(virtual own) -> host handle`; `finish` drops it if the call is refused.
pub(super) fn unwrap(at: &Indices, io: IoResource) -> Body {
    let mut body = Body::new(1);
    let host = body.local(ValType::I32);
    body.emit(ask(at.io_function(1, io)));
    body.emit([I::I32Const(1), I::GlobalSet(REFUSED), I::I32Const(0), I::Return, I::End]);
    body.emit([I::I32Const(SCRATCH), I::I32Load(at_offset(4, 2)), I::LocalSet(host)]);
    body.emit([I::I32Const(KIND_UNWRAPPED + io as i32), I::LocalGet(host), I::I32Const(0), I::Call(at.push)]);
    body.emit([I::LocalGet(host)]);
    body
}

/// `surrender(virtual own) -> host handle`, for handles that a guest returns to the host. Traps if
/// the handle is the file system's own: there is no call left to refuse.
pub(super) fn surrender(at: &Indices, io: IoResource) -> Body {
    let mut body = Body::new(1);
    body.emit(ask(at.io_function(1, io)));
    body.emit([I::Unreachable, I::End]);
    body.emit([I::I32Const(SCRATCH), I::I32Load(at_offset(4, 2))]);
    body
}
