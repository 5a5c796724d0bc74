//! Writes code that copies a value from one memory to another, by its type.
//!
//! The code does what the runtime does between two components, in the same order and with the same
//! traps: for a discriminant out of range, a string that is not UTF-8, and an address that is not
//! aligned or out of bounds. It copies only the bytes that are part of the value, not padding or
//! the payload of another case. Lists of bytes and numbers take one `memory.copy`.

use super::checks::{check_aligned, check_bounds, trap_if};
use super::error::NotLinkable;
use super::pieces::gather;
use crate::types::TypeInfo;
use crate::wasm::code::{Body, Slot, cases, flat_types, tag_bytes, variant_layout};
use wasm_encoder::{BlockType, Instruction as I, MemArg, ValType};
use wit_parser::{Flags, Handle, SizeAlign, Type, TypeDefKind, TypeId};

/// A memory, and the function that allocates in it, by their indices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) memory: u32,
    /// None if nothing has to be allocated.
    pub(super) realloc: Option<u32>,
}

/// Converts handles.
pub(super) trait Handles {
    /// Emits code that converts the handle on top of the stack.
    fn carry(&self, body: &mut Body, handle: &Handle, resource: TypeId);
}

/// Writes code that copies values in one direction.
pub(super) struct Copier<'a> {
    pub(super) info: TypeInfo<'a>,
    pub(super) layout: &'a SizeAlign,
    pub(super) from: Option<Side>,
    pub(super) to: Option<Side>,
    pub(super) handles: &'a dyn Handles,
    /// Function that checks a string in the memory of `to`. `None` if the source is trusted.
    pub(super) check_text: Option<u32>,
    /// Global that is set while the allocator of `to` runs.
    pub(super) busy: Option<u32>,
    /// True if a list of bytes comes as a list of pieces: see `direct`.
    pub(super) pieces: bool,
}

/// An address in memory: a local, and an offset.
pub(super) type Address = (u32, u32);

/// Returns true if any bytes are a valid value of this type, so that copying takes no checks.
fn is_plain(info: TypeInfo<'_>, ty: &Type) -> bool {
    match ty {
        Type::Id(id) => match &info.resolve.types[info.root(*id)].kind {
            TypeDefKind::Type(inner) => is_plain(info, inner),
            _ => false,
        },
        Type::Bool | Type::Char | Type::String | Type::ErrorContext => false,
        _ => true,
    }
}

/// Returns true for `u8`, by whatever name.
pub(super) fn is_byte(info: TypeInfo<'_>, ty: &Type) -> bool {
    match ty {
        Type::U8 => true,
        Type::Id(id) => match &info.resolve.types[info.root(*id)].kind {
            TypeDefKind::Type(inner) => is_byte(info, inner),
            _ => false,
        },
        _ => false,
    }
}

/// Fails for a type that linking cannot copy.
pub(super) fn check_carried(info: TypeInfo<'_>, ty: &Type) -> Result<(), NotLinkable> {
    let strange = info.any(ty, &mut |info, root| {
        use TypeDefKind::{FixedLengthList, Future, Map, Stream, Unknown};
        matches!(
            info.resolve.types[root].kind,
            Map(..) | FixedLengthList(..) | Future(_) | Stream(_) | Unknown
        )
    });
    if strange || matches!(ty, Type::ErrorContext) {
        return Err(NotLinkable::new("a function has a type that linking does not know"));
    }
    Ok(())
}

impl Copier<'_> {
    pub(super) fn from(&self) -> Side {
        self.from.unwrap_or(Side { memory: 0, realloc: None })
    }

    pub(super) fn to(&self) -> Side {
        self.to.unwrap_or(Side { memory: 0, realloc: None })
    }

    fn arg(side: Side, offset: u32, bytes: u32) -> MemArg {
        MemArg { offset: u64::from(offset), align: bytes.trailing_zeros(), memory_index: side.memory }
    }

    fn load(&self, offset: u32, bytes: u32) -> I<'static> {
        let arg = Self::arg(self.from(), offset, bytes);
        match bytes {
            1 => I::I32Load8U(arg),
            2 => I::I32Load16U(arg),
            4 => I::I32Load(arg),
            _ => I::I64Load(arg),
        }
    }

    fn store(&self, offset: u32, bytes: u32) -> I<'static> {
        let arg = Self::arg(self.to(), offset, bytes);
        match bytes {
            1 => I::I32Store8(arg),
            2 => I::I32Store16(arg),
            4 => I::I32Store(arg),
            _ => I::I64Store(arg),
        }
    }

    /// Copies a flattened value. The slots are exactly those of the value; the target's are 0
    /// before.
    pub(super) fn flat(&self, body: &mut Body, from: &[Slot], to: &[Slot], ty: &Type) {
        match self.shape(ty) {
            Shape::Number { .. } => body.emit([I::LocalGet(from[0].0), I::LocalSet(to[0].0)]),
            Shape::Word(word) => {
                body.emit([I::LocalGet(from[0].0)]);
                self.make_right(body, word);
                body.emit([I::LocalSet(to[0].0)]);
            }
            Shape::Flags(flags) => {
                for (number, (from, to)) in from.iter().zip(to).enumerate() {
                    body.emit([I::LocalGet(from.0)]);
                    self.make_right(body, Word::Bits(bits_of_word(flags, number)));
                    body.emit([I::LocalSet(to.0)]);
                }
            }
            Shape::List(element) => {
                let (address, length) = self.list(body, from[0].0, from[1].0, element.as_ref());
                body.emit([I::LocalGet(address), I::LocalSet(to[0].0)]);
                body.emit([I::LocalGet(length), I::LocalSet(to[1].0)]);
            }
            Shape::Parts(parts) => {
                let mut at = 0;
                for part in &parts {
                    let count = flat_types(self.info.resolve, part).len();
                    self.flat(body, &from[at..at + count], &to[at..at + count], part);
                    at += count;
                }
            }
            Shape::Cases(cases) => {
                body.emit([I::LocalGet(from[0].0)]);
                self.make_right(body, Word::Below(cases.len()));
                body.emit([I::LocalSet(to[0].0)]);
                self.each_case(body, to[0].0, &cases, |copier, body, case| {
                    copier.flat_case(body, &from[1..], &to[1..], case);
                });
            }
        }
    }

    /// Copies the payload of one case, whose values may share their slots with wider ones.
    fn flat_case(&self, body: &mut Body, from: &[Slot], to: &[Slot], case: &Type) {
        let types = flat_types(self.info.resolve, case);
        let mut own_from = Vec::new();
        let mut own_to = Vec::new();
        for (ty, slot) in types.iter().zip(from) {
            let local = body.local(*ty);
            body.emit([I::LocalGet(slot.0)]);
            convert(body, slot.1, *ty);
            body.emit([I::LocalSet(local)]);
            own_from.push((local, *ty));
            own_to.push((body.local(*ty), *ty));
        }
        self.flat(body, &own_from, &own_to, case);
        for (own, slot) in own_to.iter().zip(to) {
            body.emit([I::LocalGet(own.0)]);
            convert(body, own.1, slot.1);
            body.emit([I::LocalSet(slot.0)]);
        }
    }

    /// Copies a value in memory.
    pub(super) fn memory(&self, body: &mut Body, from: Address, to: Address, ty: &Type) {
        let load = |bytes: u32| [I::LocalGet(to.0), I::LocalGet(from.0), self.load(from.1, bytes)];
        match self.shape(ty) {
            Shape::Number { bytes } => body.emit(load(bytes).into_iter().chain([self.store(to.1, bytes)])),
            Shape::Word(word) => {
                let bytes = word.bytes();
                body.emit(load(bytes));
                self.make_right(body, word);
                body.emit([self.store(to.1, bytes)]);
            }
            Shape::Flags(flags) => {
                let words = flags.flags.len().div_ceil(32);
                let bytes = match flags.flags.len() {
                    0..=8 => 1,
                    9..=16 => 2,
                    _ => 4,
                };
                for number in 0..words {
                    let skip = 4 * number as u32;
                    body.emit([I::LocalGet(to.0), I::LocalGet(from.0), self.load(from.1 + skip, bytes)]);
                    self.make_right(body, Word::Bits(bits_of_word(flags, number)));
                    body.emit([self.store(to.1 + skip, bytes)]);
                }
            }
            Shape::List(element) => {
                let pointer = body.local(ValType::I32);
                let length = body.local(ValType::I32);
                body.emit([I::LocalGet(from.0), self.load(from.1, 4), I::LocalSet(pointer)]);
                body.emit([I::LocalGet(from.0), self.load(from.1 + 4, 4), I::LocalSet(length)]);
                let (address, length) = self.list(body, pointer, length, element.as_ref());
                body.emit([I::LocalGet(to.0), I::LocalGet(address), self.store(to.1, 4)]);
                body.emit([I::LocalGet(to.0), I::LocalGet(length), self.store(to.1 + 4, 4)]);
            }
            Shape::Parts(parts) => {
                for (offset, part) in self.layout.field_offsets(&parts) {
                    let offset = offset.size_wasm32() as u32;
                    self.memory(body, (from.0, from.1 + offset), (to.0, to.1 + offset), part);
                }
            }
            Shape::Cases(cases) => {
                let (tag_bytes, payload) = variant_layout(self.layout, &cases);
                let tag = body.local(ValType::I32);
                body.emit([I::LocalGet(from.0), self.load(from.1, tag_bytes)]);
                self.make_right(body, Word::Below(cases.len()));
                body.emit([I::LocalSet(tag)]);
                body.emit([I::LocalGet(to.0), I::LocalGet(tag), self.store(to.1, tag_bytes)]);
                self.each_case(body, tag, &cases, |copier, body, case| {
                    copier.memory(body, (from.0, from.1 + payload), (to.0, to.1 + payload), case);
                });
            }
        }
    }

    /// Copies a list, or a string if `element` is `None`, and returns the locals with its address
    /// and length.
    fn list(&self, body: &mut Body, pointer: u32, length: u32, element: Option<&Type>) -> (u32, u32) {
        if self.pieces && element.is_some_and(|ty| is_byte(self.info, ty)) {
            let memories = (self.from().memory, self.to().memory);
            return gather(body, (pointer, length), memories, |body, bytes| self.allocate(body, bytes, 1));
        }
        let (from, to) = (self.from(), self.to());
        let (size, align) = match element {
            Some(ty) => {
                (self.layout.size(ty).size_wasm32() as u32, self.layout.align(ty).align_wasm32() as u32)
            }
            None => (1, 1),
        };
        let bytes = body.local(ValType::I32);
        check_aligned(body, pointer, align);
        if size == 1 {
            body.emit([I::LocalGet(length), I::LocalSet(bytes)]);
        } else {
            let wide = body.local(ValType::I64);
            body.emit([I::LocalGet(length), I::I64ExtendI32U, I::I64Const(i64::from(size)), I::I64Mul]);
            body.emit([I::LocalTee(wide), I::I64Const(i64::from(u32::MAX)), I::I64GtU]);
            trap_if(body);
            body.emit([I::LocalGet(wide), I::I32WrapI64, I::LocalSet(bytes)]);
        }
        // Bounds first: an invented length must not make the other side allocate.
        check_bounds(body, pointer, bytes, from.memory);
        let target = self.allocate(body, bytes, align);

        if element.is_none_or(|ty| is_plain(self.info, ty)) {
            body.emit([I::LocalGet(target), I::LocalGet(pointer), I::LocalGet(bytes)]);
            body.emit([I::MemoryCopy { src_mem: from.memory, dst_mem: to.memory }]);
        }
        match element {
            None => {
                if let Some(check) = self.check_text {
                    body.emit([I::LocalGet(target), I::LocalGet(length), I::Call(check)]);
                }
            }
            Some(ty) if !is_plain(self.info, ty) => {
                // The address of an empty list is checked too.
                check_bounds(body, target, bytes, to.memory);
                self.elements(body, pointer, target, length, size, ty);
            }
            Some(_) => {}
        }
        (target, length)
    }

    /// Allocates `bytes` at the other side and returns the local with the address.
    pub(super) fn allocate(&self, body: &mut Body, bytes: u32, align: u32) -> u32 {
        let target = body.local(ValType::I32);
        let busy = |body: &mut Body, on: i32| {
            body.emit(self.busy.into_iter().flat_map(|global| [I::I32Const(on), I::GlobalSet(global)]));
        };
        busy(body, 1);
        body.emit([I::I32Const(0), I::I32Const(0), I::I32Const(align as i32), I::LocalGet(bytes)]);
        body.emit([self.to().realloc.map_or(I::Unreachable, I::Call), I::LocalSet(target)]);
        busy(body, 0);
        check_aligned(body, target, align);
        target
    }

    fn elements(&self, body: &mut Body, pointer: u32, target: u32, length: u32, size: u32, ty: &Type) {
        let from = body.local(ValType::I32);
        let to = body.local(ValType::I32);
        let left = body.local(ValType::I32);
        body.emit([I::LocalGet(pointer), I::LocalSet(from), I::LocalGet(target), I::LocalSet(to)]);
        body.emit([I::LocalGet(length), I::LocalSet(left)]);
        body.emit([I::Block(BlockType::Empty), I::Loop(BlockType::Empty)]);
        body.emit([I::LocalGet(left), I::I32Eqz, I::BrIf(1)]);
        self.memory(body, (from, 0), (to, 0), ty);
        for local in [from, to] {
            body.emit([I::LocalGet(local), I::I32Const(size as i32), I::I32Add, I::LocalSet(local)]);
        }
        body.emit([I::LocalGet(left), I::I32Const(1), I::I32Sub, I::LocalSet(left)]);
        body.emit([I::Br(0), I::End, I::End]);
    }

    fn each_case(
        &self,
        body: &mut Body,
        tag: u32,
        cases: &[Option<Type>],
        mut carry: impl FnMut(&Self, &mut Body, &Type),
    ) {
        for (number, case) in cases.iter().enumerate() {
            let Some(case) = case else { continue };
            body.emit([I::LocalGet(tag), I::I32Const(number as i32), I::I32Eq, I::If(BlockType::Empty)]);
            carry(self, body, case);
            body.emit([I::End]);
        }
    }

    /// Normalizes the word on top of the stack to a value of its type, or traps.
    fn make_right(&self, body: &mut Body, word: Word) {
        match word {
            Word::Bool => body.emit([I::I32Const(0), I::I32Ne]),
            Word::Bits(bits) => {
                if bits < 32 {
                    body.emit([I::I32Const(((1_u64 << bits) - 1) as i32), I::I32And]);
                }
            }
            Word::Signed(1) => body.emit([I::I32Extend8S]),
            Word::Signed(_) => body.emit([I::I32Extend16S]),
            Word::Below(count) => {
                let value = body.local(ValType::I32);
                body.emit([I::LocalTee(value), I::I32Const(count as i32), I::I32GeU]);
                trap_if(body);
                body.emit([I::LocalGet(value)]);
            }
            Word::Char => {
                let value = body.local(ValType::I32);
                body.emit([I::LocalTee(value), I::I32Const(0x11_0000), I::I32GeU]);
                trap_if(body);
                // Surrogates: 0x800 values from 0xd800.
                body.emit([
                    I::LocalGet(value),
                    I::I32Const(0xd800),
                    I::I32Sub,
                    I::I32Const(0x800),
                    I::I32LtU,
                ]);
                trap_if(body);
                body.emit([I::LocalGet(value)]);
            }
            Word::Handle(handle, resource) => self.handles.carry(body, &handle, resource),
        }
    }

    fn shape(&self, ty: &Type) -> Shape<'_> {
        let id = match ty {
            Type::Bool => return Shape::Word(Word::Bool),
            Type::U8 => return Shape::Word(Word::Bits(8)),
            Type::U16 => return Shape::Word(Word::Bits(16)),
            Type::S8 => return Shape::Word(Word::Signed(1)),
            Type::S16 => return Shape::Word(Word::Signed(2)),
            Type::Char => return Shape::Word(Word::Char),
            Type::U32 | Type::S32 | Type::F32 | Type::ErrorContext => return Shape::Number { bytes: 4 },
            Type::U64 | Type::S64 | Type::F64 => return Shape::Number { bytes: 8 },
            Type::String => return Shape::List(None),
            Type::Id(id) => self.info.root(*id),
        };
        match &self.info.resolve.types[id].kind {
            TypeDefKind::Type(inner) => self.shape(inner),
            TypeDefKind::List(element) => Shape::List(Some(*element)),
            TypeDefKind::Handle(handle) => {
                let (Handle::Own(resource) | Handle::Borrow(resource)) = handle;
                Shape::Word(Word::Handle(*handle, self.info.root(*resource)))
            }
            TypeDefKind::Enum(e) => Shape::Word(Word::Below(e.cases.len())),
            TypeDefKind::Flags(flags) => Shape::Flags(flags),
            _ => match cases(self.info.resolve, id) {
                Some(cases) => Shape::Cases(cases),
                None => Shape::Parts(self.info.children(id)),
            },
        }
    }
}

/// The shape of a value.
enum Shape<'a> {
    /// A number of 4 or 8 bytes without rules.
    Number {
        bytes: u32,
    },
    /// One core word with a rule.
    Word(Word),
    Flags(&'a Flags),
    /// A list of elements, or a string.
    List(Option<Type>),
    Parts(Vec<Type>),
    Cases(Vec<Option<Type>>),
}

/// The rule of a core word.
enum Word {
    Bool,
    /// A number of this many bits.
    Bits(u32),
    /// A signed number of this many bytes.
    Signed(u32),
    /// A number below this.
    Below(usize),
    Char,
    Handle(Handle, TypeId),
}

impl Word {
    fn bytes(&self) -> u32 {
        match self {
            Self::Bool => 1,
            Self::Bits(bits) => bits / 8,
            Self::Signed(bytes) => *bytes,
            Self::Below(count) => tag_bytes(*count),
            Self::Char | Self::Handle(..) => 4,
        }
    }
}

/// Returns how many bits of a word of flags are in use.
fn bits_of_word(flags: &Flags, number: usize) -> u32 {
    flags.flags.len().saturating_sub(32 * number).min(32) as u32
}

/// Emits the conversion between a value's core type and that of a slot it shares.
fn convert(body: &mut Body, from: ValType, to: ValType) {
    use ValType::{F32, F64, I32, I64};
    match (from, to) {
        (I64, I32) => body.emit([I::I32WrapI64]),
        (I32, I64) => body.emit([I::I64ExtendI32U]),
        (I32, F32) => body.emit([I::F32ReinterpretI32]),
        (F32, I32) => body.emit([I::I32ReinterpretF32]),
        (I64, F64) => body.emit([I::F64ReinterpretI64]),
        (F64, I64) => body.emit([I::I64ReinterpretF64]),
        (I64, F32) => body.emit([I::I32WrapI64, I::F32ReinterpretI32]),
        (F32, I64) => body.emit([I::I32ReinterpretF32, I::I64ExtendI32U]),
        _ => {}
    }
}
