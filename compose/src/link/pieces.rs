//! Writes code for lists of bytes in pieces, each an address and a length in the adapter's memory.

use super::checks::check_bounds;
use crate::wasm::code::Body;
use wasm_encoder::{BlockType, Instruction as I, MemArg, ValType};

/// Bytes of a piece: its address and its length.
const PIECE_BYTES: i32 = 8;

/// Emits code that makes one list of the bytes in pieces, and returns the locals with its address
/// and length.
///
/// `allocate` emits code that allocates the bytes, and returns the local with the address.
pub(super) fn gather(
    body: &mut Body,
    pieces: (u32, u32),
    (adapter, guest): (u32, u32),
    allocate: impl FnOnce(&mut Body, u32) -> u32,
) -> (u32, u32) {
    let length = body.local(ValType::I32);
    body.emit([I::I32Const(0), I::LocalSet(length)]);
    each_piece(body, pieces, adapter, |body, piece| {
        body.emit([I::LocalGet(length), I::LocalGet(piece.1), I::I32Add, I::LocalSet(length)]);
    });
    let target = allocate(body, length);
    // The address of an empty list is checked too.
    check_bounds(body, target, length, guest);
    let to = body.local(ValType::I32);
    body.emit([I::LocalGet(target), I::LocalSet(to)]);
    each_piece(body, pieces, adapter, |body, piece| {
        body.emit([I::LocalGet(to), I::LocalGet(piece.0), I::LocalGet(piece.1)]);
        body.emit([I::MemoryCopy { src_mem: adapter, dst_mem: guest }]);
        body.emit([I::LocalGet(to), I::LocalGet(piece.1), I::I32Add, I::LocalSet(to)]);
    });
    (target, length)
}

fn word(memory_index: u32, offset: u64) -> I<'static> {
    I::I32Load(MemArg { offset, align: 2, memory_index })
}

/// Loads the address and the length of a list.
pub(super) fn load_list(body: &mut Body, place: u32, memory: u32) -> (u32, u32) {
    let (address, length) = (body.local(ValType::I32), body.local(ValType::I32));
    body.emit([I::LocalGet(place), word(memory, 0), I::LocalSet(address)]);
    body.emit([I::LocalGet(place), word(memory, 4), I::LocalSet(length)]);
    (address, length)
}

/// Emits a loop over pieces; `code` is given the locals with the address and the length of one.
pub(super) fn each_piece(
    body: &mut Body,
    (address, count): (u32, u32),
    memory: u32,
    code: impl FnOnce(&mut Body, (u32, u32)),
) {
    let (at, left) = (body.local(ValType::I32), body.local(ValType::I32));
    body.emit([I::LocalGet(address), I::LocalSet(at), I::LocalGet(count), I::LocalSet(left)]);
    body.emit([I::Block(BlockType::Empty), I::Loop(BlockType::Empty)]);
    body.emit([I::LocalGet(left), I::I32Eqz, I::BrIf(1)]);
    let piece = load_list(body, at, memory);
    code(body, piece);
    body.emit([I::LocalGet(at), I::I32Const(PIECE_BYTES), I::I32Add, I::LocalSet(at)]);
    body.emit([I::LocalGet(left), I::I32Const(1), I::I32Sub, I::LocalSet(left)]);
    body.emit([I::Br(0), I::End, I::End]);
}
