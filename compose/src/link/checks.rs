//! Writes checks that trap as the component model does.

use crate::wasm::code::Body;
use wasm_encoder::{BlockType, Instruction as I, MemArg};

/// Emits a trap if the value on top of the stack is not 0.
pub(super) fn trap_if(body: &mut Body) {
    body.emit([I::If(BlockType::Empty), I::Unreachable, I::End]);
}

/// Emits a trap if an address is not aligned.
pub(super) fn check_aligned(body: &mut Body, address: u32, align: u32) {
    if align > 1 {
        body.emit([I::LocalGet(address), I::I32Const(align as i32 - 1), I::I32And]);
        trap_if(body);
    }
}

/// Emits traps if a value of `size` bytes cannot be at an address. All its bytes must be in the
/// memory, also those that carrying it does not touch.
pub(super) fn check_place(body: &mut Body, address: u32, align: u32, size: u32, memory: u32) {
    check_aligned(body, address, align);
    if let Some(last) = size.checked_sub(1) {
        let last = MemArg { offset: u64::from(last), align: 0, memory_index: memory };
        body.emit([I::LocalGet(address), I::I32Load8U(last), I::Drop]);
    }
}

/// Emits a trap if the bytes at an address are not all in a memory.
pub(super) fn check_bounds(body: &mut Body, address: u32, bytes: u32, memory: u32) {
    body.emit([I::LocalGet(address), I::I64ExtendI32U, I::LocalGet(bytes), I::I64ExtendI32U, I::I64Add]);
    body.emit([I::MemorySize(memory), I::I64ExtendI32U, I::I64Const(16), I::I64Shl, I::I64GtU]);
    trap_if(body);
}
