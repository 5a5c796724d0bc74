//! Random WIT functions, and random values of them as they lie in registers and in memory: most are
//! right.

use super::Rng;
use crate::types::TypeInfo;
use crate::wasm::code::{cases, flat_types, variant_layout};
use std::fmt::Write;
use wit_parser::{Resolve, SizeAlign, Type, TypeDefKind};

/// Writes WIT.
pub(super) struct Wit<'r> {
    rng: &'r mut Rng,
    declared: String,
    count: usize,
}

impl<'r> Wit<'r> {
    /// Returns the items of an interface with one function `f`.
    pub(super) fn interface(rng: &'r mut Rng) -> String {
        let params = match rng.below(6) {
            0 => 12 + rng.below(8),
            _ => rng.below(5),
        };
        let mut wit = Self { rng, declared: String::new(), count: 0 };
        let params: Vec<_> = (0..params).map(|n| format!("p{n}: {}", wit.ty(3))).collect();
        let result = if wit.rng.one_in(8) { String::new() } else { format!(" -> {}", wit.ty(3)) };
        format!("{}  f: func({}){result};\n", wit.declared, params.join(", "))
    }

    fn declare(&mut self, kind: &str, body: &str) -> String {
        self.count += 1;
        let name = format!("t{}", self.count);
        let _ = writeln!(self.declared, "  {kind} {name} {{ {body} }}");
        name
    }

    fn ty(&mut self, depth: usize) -> String {
        const PRIMITIVE: [&str; 13] =
            ["bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char", "string"];
        match self.rng.below(if depth == 0 { 6 } else { 16 }) {
            0..=3 => self.rng.pick(&PRIMITIVE).to_owned(),
            4 => {
                let count = self.rng.pick(&[1, 2, 5, 255, 256, 257, 300]);
                let names: Vec<_> = (0..count).map(|n| format!("c{n}")).collect();
                self.declare("enum", &names.join(", "))
            }
            5 => {
                let count = self.rng.pick(&[1, 7, 8, 9, 15, 16, 17, 31, 32]);
                let names: Vec<_> = (0..count).map(|n| format!("f{n}")).collect();
                self.declare("flags", &names.join(", "))
            }
            6..=8 => format!("list<{}>", self.ty(depth - 1)),
            9 => format!("option<{}>", self.ty(depth - 1)),
            10 => match self.rng.below(4) {
                0 => "result".to_owned(),
                1 => format!("result<{}>", self.ty(depth - 1)),
                2 => format!("result<_, {}>", self.ty(depth - 1)),
                _ => format!("result<{}, {}>", self.ty(depth - 1), self.ty(depth - 1)),
            },
            11 => {
                let types: Vec<_> = (0..1 + self.rng.below(3)).map(|_| self.ty(depth - 1)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            12 | 13 => {
                let fields: Vec<_> =
                    (0..1 + self.rng.below(5)).map(|n| format!("f{n}: {}", self.ty(depth - 1))).collect();
                self.declare("record", &fields.join(", "))
            }
            _ => {
                let mut cases = Vec::new();
                for n in 0..1 + self.rng.below(4) {
                    cases.push(if self.rng.one_in(4) {
                        format!("c{n}")
                    } else {
                        format!("c{n}({})", self.ty(depth - 1))
                    });
                }
                if self.rng.one_in(8) {
                    cases.extend((0..260).map(|n| format!("more{n}")));
                }
                self.declare("variant", &cases.join(", "))
            }
        }
    }
}

/// Makes values in one memory.
pub(super) struct Values<'a> {
    pub(super) resolve: &'a Resolve,
    pub(super) layout: &'a SizeAlign,
    pub(super) rng: &'a mut Rng,
    /// One word in so many is wrong.
    pub(super) wrong: usize,
    pub(super) memory: &'a mut [u8],
    /// From where on the memory is free, and how far it is for values.
    pub(super) top: usize,
    pub(super) end: usize,
}

impl Values<'_> {
    fn info(&self) -> TypeInfo<'_> {
        TypeInfo { resolve: self.resolve }
    }

    fn is_wrong(&mut self) -> bool {
        self.rng.one_in(self.wrong)
    }

    fn take(&mut self, size: usize, align: usize) -> Option<usize> {
        let at = self.top.next_multiple_of(align);
        self.top = at.checked_add(size).filter(|top| *top <= self.end)?;
        Some(at)
    }

    /// Puts a value somewhere in memory and returns its address.
    pub(super) fn place(&mut self, types: &[Type]) -> usize {
        let layout = self.layout.record(types);
        let at =
            self.take(layout.size.size_wasm32(), layout.align.align_wasm32()).expect("room for one value");
        for (offset, ty) in self.layout.field_offsets(types) {
            self.store(at + offset.size_wasm32(), ty);
        }
        at
    }

    fn put(&mut self, at: usize, value: u64, bytes: usize) {
        self.memory[at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
    }

    fn discriminant(&mut self, count: usize) -> usize {
        if self.is_wrong() { self.rng.pick(&[count, count + 1, 255, 65_535]) } else { self.rng.below(count) }
    }

    fn character(&mut self) -> u64 {
        if self.is_wrong() {
            return self.rng.pick(&[0xd800, 0xdbff, 0xdc00, 0xdfff, 0x11_0000, 0xffff_ffff]);
        }
        self.rng.pick(&[0, 0x41, 0xd7ff, 0xe000, 0xffff, 0x1_0000, 0x10_ffff])
    }

    /// Returns address and length of a list, or of a string if there is no element type.
    fn list(&mut self, element: Option<&Type>) -> (u64, u64) {
        let (size, align) = match element {
            Some(ty) => (self.layout.size(ty).size_wasm32(), self.layout.align(ty).align_wasm32()),
            None => (1, 1),
        };
        let length = match element {
            Some(_) => self.rng.below(4),
            None => self.rng.below(20),
        };
        let (at, length) = match self.take(length * size, align) {
            Some(at) => (at, length),
            None => (0, 0),
        };
        match element {
            Some(ty) => (0..length).for_each(|n| self.store(at + n * size, ty)),
            None => {
                let mut text: String = ["x", "é", "€", "🦀"].repeat(length / 4).concat();
                text.truncate(text.floor_char_boundary(length));
                self.memory[at..at + length].fill(b'-');
                self.memory[at..at + text.len()].copy_from_slice(text.as_bytes());
                if length > 0 && self.is_wrong() {
                    self.memory[at + self.rng.below(length)] = 0x9f;
                }
            }
        }
        let (at, length) = (at as u64, length as u64);
        if !self.is_wrong() {
            return (at, length);
        }
        let size = self.memory.len() as u64;
        match self.rng.below(9) {
            0 => (at + 1, length),
            1 => (size, 0),
            2 => (size + 8, 0),
            3 => (size - 8, 1 + self.rng.below(9) as u64),
            4 => (at, 0x1000_0000),
            5 => (at, 0x8000_0000),
            6 => (at, 0xffff_ffff),
            7 => (0xffff_fff8, 1),
            _ => (at, self.rng.next() & 0xffff_ffff),
        }
    }

    fn store(&mut self, at: usize, ty: &Type) {
        let id = match ty {
            Type::Bool | Type::U8 | Type::S8 => {
                // Any byte that is not 0 is true.
                let value = self.rng.pick(&[0, 1, 1, 2, 0xff]);
                return self.put(at, value, 1);
            }
            Type::U16 | Type::S16 => {
                let value = self.rng.next();
                return self.put(at, value, 2);
            }
            Type::U32 | Type::S32 | Type::F32 => {
                let value = self.rng.next();
                return self.put(at, value, 4);
            }
            Type::U64 | Type::S64 | Type::F64 => {
                let value = self.rng.next();
                return self.put(at, value, 8);
            }
            Type::Char => {
                let value = self.character();
                return self.put(at, value, 4);
            }
            Type::String | Type::ErrorContext => {
                let (address, length) = self.list(None);
                self.put(at, address, 4);
                return self.put(at + 4, length, 4);
            }
            Type::Id(id) => self.info().root(*id),
        };
        let resolve = self.resolve;
        match &resolve.types[id].kind {
            TypeDefKind::Type(inner) => self.store(at, inner),
            TypeDefKind::List(element) => {
                let (address, length) = self.list(Some(element));
                self.put(at, address, 4);
                self.put(at + 4, length, 4);
            }
            TypeDefKind::Enum(e) => {
                let bytes = if e.cases.len() <= 256 { 1 } else { 2 };
                let value = self.discriminant(e.cases.len());
                self.put(at, value as u64, bytes);
            }
            // Bits beyond the flags mean nothing.
            TypeDefKind::Flags(f) => {
                let bytes = match f.flags.len() {
                    0..=8 => 1,
                    9..=16 => 2,
                    _ => 4,
                };
                let value = self.rng.next();
                self.put(at, value, bytes);
            }
            _ => match cases(resolve, id) {
                Some(cases) => {
                    let (tag_bytes, payload) = variant_layout(self.layout, &cases);
                    let case = self.discriminant(cases.len());
                    self.put(at, case as u64, tag_bytes as usize);
                    if let Some(Some(ty)) = cases.get(case) {
                        self.store(at + payload as usize, ty);
                    }
                }
                None => {
                    let parts = self.info().children(id);
                    for (offset, ty) in self.layout.field_offsets(&parts) {
                        self.store(at + offset.size_wasm32(), ty);
                    }
                }
            },
        }
    }

    /// Returns a value as core values, each as its bits.
    pub(super) fn flat(&mut self, ty: &Type) -> Vec<u64> {
        let id = match ty {
            Type::Char => return vec![self.character()],
            Type::String | Type::ErrorContext => {
                let (address, length) = self.list(None);
                return vec![address, length];
            }
            Type::Id(id) => self.info().root(*id),
            // Bits that a small number has not mean nothing.
            Type::Bool => return vec![self.rng.pick(&[0, 1, 1, 2, 0x100, 0x8000_0000])],
            _ => return vec![self.rng.next()],
        };
        let resolve = self.resolve;
        match &resolve.types[id].kind {
            TypeDefKind::Type(inner) => self.flat(inner),
            TypeDefKind::List(element) => {
                let (address, length) = self.list(Some(element));
                vec![address, length]
            }
            TypeDefKind::Enum(e) => vec![self.discriminant(e.cases.len()) as u64],
            TypeDefKind::Flags(_) => vec![self.rng.next()],
            _ => match cases(resolve, id) {
                Some(cases) => {
                    let case = self.discriminant(cases.len());
                    let mut slots = vec![case as u64];
                    if let Some(Some(ty)) = cases.get(case) {
                        slots.extend(self.flat(ty));
                    }
                    // The bytes that another case would have there.
                    while slots.len() < flat_types(resolve, &Type::Id(id)).len() {
                        slots.push(self.rng.next());
                    }
                    slots
                }
                None => self.info().children(id).iter().flat_map(|ty| self.flat(ty)).collect(),
            },
        }
    }
}
