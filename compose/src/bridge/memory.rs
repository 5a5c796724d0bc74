//! The core module that gives a generated component its memory.
//!
//! Lowering a function takes a memory and an allocator for its arguments, and the shims import the
//! lowered functions. So the memory has a module of its own, which is instantiated first.
//!
//! The allocator only moves its top up. Every allocation belongs to one call: the component model
//! lets no second call in before the first has returned, and the top goes back down at return. A
//! grown memory is kept for the next large call.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, Instruction as I, MemorySection, MemoryType, Module, TypeSection, ValType,
};

/// Start of allocations, in bytes. Below is scratch space: see [`SCRATCH`].
pub(super) const HEAP: i32 = 64;

/// Address for an `option` of a handle (8 bytes) that a call of the adapter returns. It is read at
/// once.
pub(super) const SCRATCH: i32 = 16;

const PAGE_BITS: i32 = 16;

/// Makes the module. It exports `memory`, `realloc` and the mutable global `top`.
///
/// `realloc` traps if memory cannot grow or an address does not fit 32 bits.
pub(super) fn module() -> Module {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 4], [ValType::I32]);

    let mut functions = FunctionSection::new();
    functions.function(0);

    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });

    let mut globals = GlobalSection::new();
    globals.global(
        GlobalType { val_type: ValType::I32, mutable: true, shared: false },
        &ConstExpr::i32_const(HEAP),
    );

    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("realloc", ExportKind::Func, 0);
    exports.export("top", ExportKind::Global, 0);

    let mut code = CodeSection::new();
    code.function(&realloc());

    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&code);
    module
}

/// `realloc(old, old_size, align, new_size) -> address`.
fn realloc() -> Function {
    const OLD: u32 = 0;
    const OLD_SIZE: u32 = 1;
    const ALIGN: u32 = 2;
    const NEW_SIZE: u32 = 3;
    const ADDRESS: u32 = 4;
    const END: u32 = 5;
    const TOP: u32 = 0;

    let mut f = Function::new([(2, ValType::I32)]);
    let mut emit = |code: &[I<'static>]| {
        for i in code {
            f.instruction(i);
        }
    };
    // address = top rounded up to the alignment; an overflow gives an address below top
    emit(&[
        I::GlobalGet(TOP),
        I::LocalGet(ALIGN),
        I::I32Add,
        I::I32Const(1),
        I::I32Sub,
        I::I32Const(0),
        I::LocalGet(ALIGN),
        I::I32Sub,
        I::I32And,
        I::LocalTee(ADDRESS),
        I::GlobalGet(TOP),
        I::I32LtU,
    ]);
    emit(&[I::If(BlockType::Empty), I::Unreachable, I::End]);
    emit(&[
        I::LocalGet(ADDRESS),
        I::LocalGet(NEW_SIZE),
        I::I32Add,
        I::LocalTee(END),
        I::LocalGet(ADDRESS),
        I::I32LtU,
    ]);
    emit(&[I::If(BlockType::Empty), I::Unreachable, I::End]);
    // Bytes are compared in 64 bits: the end of a full memory does not fit 32.
    emit(&[
        I::LocalGet(END),
        I::I64ExtendI32U,
        I::MemorySize(0),
        I::I64ExtendI32U,
        I::I64Const(PAGE_BITS as i64),
        I::I64Shl,
        I::I64GtU,
        I::If(BlockType::Empty),
        I::LocalGet(END),
        I::I64ExtendI32U,
        I::I64Const((1 << PAGE_BITS) - 1),
        I::I64Add,
        I::I64Const(PAGE_BITS as i64),
        I::I64ShrU,
        I::I32WrapI64,
        I::MemorySize(0),
        I::I32Sub,
        I::MemoryGrow(0),
        I::I32Const(-1),
        I::I32Eq,
        I::If(BlockType::Empty),
        I::Unreachable,
        I::End,
        I::End,
        I::LocalGet(END),
        I::GlobalSet(TOP),
    ]);
    // A block that grows or shrinks keeps its first bytes, up to the smaller size.
    emit(&[
        I::LocalGet(OLD_SIZE),
        I::If(BlockType::Empty),
        I::LocalGet(ADDRESS),
        I::LocalGet(OLD),
        I::LocalGet(OLD_SIZE),
        I::LocalGet(NEW_SIZE),
        I::LocalGet(OLD_SIZE),
        I::LocalGet(NEW_SIZE),
        I::I32LtU,
        I::Select,
        I::MemoryCopy { src_mem: 0, dst_mem: 0 },
        I::End,
        I::LocalGet(ADDRESS),
        I::End,
    ]);
    f
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_memory_module_is_valid() {
        wasmparser::validate(&super::module().finish()).unwrap();
    }
}
