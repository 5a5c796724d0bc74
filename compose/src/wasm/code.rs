//! Writes core code, by the rules of the canonical ABI.

use wasm_encoder::{BlockType, Function, Instruction as I, MemArg, ValType};
use wit_parser::abi::{FlatTypes, WasmType};
use wit_parser::{Resolve, SizeAlign, Type, TypeDefKind, TypeId};

/// One core value of a flattened value: its local and the local's type.
pub(crate) type Slot = (u32, ValType);

/// The body of a core function while it is written.
pub(crate) struct Body {
    code: Vec<I<'static>>,
    params: u32,
    locals: Vec<ValType>,
}

impl Body {
    pub(crate) fn new(params: u32) -> Self {
        Self { code: Vec::new(), params, locals: Vec::new() }
    }

    pub(crate) fn emit(&mut self, code: impl IntoIterator<Item = I<'static>>) {
        self.code.extend(code);
    }

    pub(crate) fn local(&mut self, ty: ValType) -> u32 {
        self.locals.push(ty);
        self.params + self.locals.len() as u32 - 1
    }

    pub(crate) fn finish(self) -> Function {
        let mut function = Function::new_with_locals_types(self.locals);
        for i in &self.code {
            function.instruction(i);
        }
        function.instruction(&I::End);
        function
    }
}

/// Returns the memory argument of an access with an alignment of `1 << align_log2` bytes.
pub(crate) fn at(offset: u32, align_log2: u32) -> MemArg {
    MemArg { offset: u64::from(offset), align: align_log2, memory_index: 0 }
}

/// Emits a call of `explain` if a commit has failed, with the stream that `stderr` returns. The
/// status of the commit is on top of the stack and stays there.
pub(crate) fn explain_failure(body: &mut Body, stderr: u32, explain: u32) {
    let failed = body.local(ValType::I32);
    body.emit([I::LocalTee(failed), I::If(BlockType::Empty), I::Call(stderr), I::Call(explain), I::End]);
    body.emit([I::LocalGet(failed)]);
}

/// Emits code that turns a success of `exit` into a failure if a commit has failed. Takes the
/// status of the commit from the stack (0: everything is stored) and changes the status in the
/// first of the parameters of `exit`.
pub(crate) fn settle_status(body: &mut Body, params: &[ValType]) {
    if params.first() == Some(&ValType::I32) {
        body.emit([I::LocalGet(0), I::I32Eqz, I::I32And, I::If(BlockType::Empty)]);
        body.emit([I::I32Const(1), I::LocalSet(0), I::End]);
    } else {
        body.emit([I::Drop]);
    }
}

/// Returns the code for a call that has returned and whose data could not be stored. If the
/// result's type has an error without a payload (`plain_error`), the result, flat or in memory,
/// becomes that error. Otherwise the code traps.
pub(crate) fn report_failure(
    plain_error: bool,
    area: Option<(u32, u32)>,
    flat: Option<Slot>,
) -> Vec<I<'static>> {
    match (plain_error, area, flat) {
        (true, Some((address, memory_index)), _) => {
            let tag = MemArg { memory_index, ..at(0, 0) };
            vec![I::LocalGet(address), I::I32Const(1), I::I32Store8(tag)]
        }
        (true, None, Some((local, ValType::I32))) => vec![I::I32Const(1), I::LocalSet(local)],
        _ => vec![I::Unreachable],
    }
}

/// Returns the core type of a type of wit-parser's ABI, on 32-bit memories.
pub(crate) fn core_type(ty: WasmType) -> ValType {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
        WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
        WasmType::F32 => ValType::F32,
        WasmType::F64 => ValType::F64,
    }
}

/// Returns the payloads of a variant, option or result, in the order of their discriminants.
pub(crate) fn cases(resolve: &Resolve, root: TypeId) -> Option<Vec<Option<Type>>> {
    match &resolve.types[root].kind {
        TypeDefKind::Variant(v) => Some(v.cases.iter().map(|case| case.ty).collect()),
        TypeDefKind::Option(ty) => Some(vec![None, Some(*ty)]),
        TypeDefKind::Result(r) => Some(vec![r.ok, r.err]),
        _ => None,
    }
}

/// Returns the bytes of a variant's discriminant, and the offset of its payload in memory.
pub(crate) fn variant_layout(layout: &SizeAlign, cases: &[Option<Type>]) -> (u32, u32) {
    let tag = tag_bytes(cases.len());
    let align = cases.iter().flatten().map(|ty| layout.align(ty).align_wasm32() as u32);
    (tag, align.max().unwrap_or(1).max(tag))
}

/// Returns the size of a discriminant of this many cases.
pub(crate) fn tag_bytes(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Returns the core types of a flattened value. Callers pass only values that the canonical ABI
/// flattens in a parameter list or a result, which are short.
pub(crate) fn flat_types(resolve: &Resolve, ty: &Type) -> Vec<ValType> {
    let mut storage = [WasmType::I32; Resolve::MAX_FLAT_PARAMS];
    let mut flat = FlatTypes::new(&mut storage);
    resolve.push_flat(ty, &mut flat);
    flat.to_vec().into_iter().map(core_type).collect()
}
