//! Writes code that finds the handles in values and replaces them in place.
//!
//! By the canonical ABI, a value is either flattened into core locals or laid out in memory. The
//! walk follows the type into the branches that hold handles to convert, and calls one function per
//! handle. Everything else stays bit for bit.

use crate::types::TypeInfo;
use crate::wasm::code::{Body, Slot, at, cases, flat_types, variant_layout};
use wasm_encoder::{BlockType, Instruction as I, ValType};
use wit_parser::{Handle, SizeAlign, Type, TypeDefKind, TypeId};

/// A core function of the shim module to call for one handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// `(handle) -> handle`: replaces it.
    Replace(u32),
    /// `(handle)`: notes it; the handle stays.
    Note(u32),
}

/// Chooses the action for a handle.
pub(super) trait Actions {
    /// `resource` is a root.
    fn action(&self, handle: &Handle, resource: TypeId) -> Option<Action>;
}

/// Writes walks over values of a guest's types.
pub(super) struct Walker<'a> {
    pub(super) info: TypeInfo<'a>,
    pub(super) layout: &'a SizeAlign,
    pub(super) actions: &'a dyn Actions,
}

impl Walker<'_> {
    /// Returns true if a value of this type may hold a handle with an action.
    pub(super) fn concerns(&self, ty: &Type) -> bool {
        self.info.any(ty, &mut |info, root| match &info.resolve.types[root].kind {
            TypeDefKind::Handle(handle) => self.action(handle).is_some(),
            _ => false,
        })
    }

    fn action(&self, handle: &Handle) -> Option<Action> {
        let (Handle::Own(resource) | Handle::Borrow(resource)) = handle;
        self.actions.action(handle, self.info.root(*resource))
    }

    /// Converts the handles of a value in memory at `local + offset`.
    pub(super) fn memory(&self, body: &mut Body, local: u32, offset: u32, ty: &Type) {
        let Type::Id(id) = ty else { return };
        if !self.concerns(ty) {
            return;
        }
        let root = self.info.root(*id);
        match &self.info.resolve.types[root].kind {
            TypeDefKind::Handle(handle) => match self.action(handle) {
                Some(Action::Replace(function)) => body.emit([
                    I::LocalGet(local),
                    I::LocalGet(local),
                    I::I32Load(at(offset, 2)),
                    I::Call(function),
                    I::I32Store(at(offset, 2)),
                ]),
                Some(Action::Note(function)) => {
                    body.emit([I::LocalGet(local), I::I32Load(at(offset, 2)), I::Call(function)]);
                }
                None => {}
            },
            TypeDefKind::List(element) => {
                let pointer = body.local(ValType::I32);
                let length = body.local(ValType::I32);
                body.emit([I::LocalGet(local), I::I32Load(at(offset, 2)), I::LocalSet(pointer)]);
                body.emit([I::LocalGet(local), I::I32Load(at(offset + 4, 2)), I::LocalSet(length)]);
                self.list(body, pointer, length, element);
            }
            TypeDefKind::FixedLengthList(element, length) => {
                let size = self.layout.size(element).size_wasm32() as u32;
                for index in 0..*length {
                    self.memory(body, local, offset + index * size, element);
                }
            }
            _ => {
                if let Some(cases) = cases(self.info.resolve, root) {
                    let (tag_bytes, payload) = variant_layout(self.layout, &cases);
                    let load = match tag_bytes {
                        1 => I::I32Load8U(at(offset, 0)),
                        2 => I::I32Load16U(at(offset, 1)),
                        _ => I::I32Load(at(offset, 2)),
                    };
                    let tag = body.local(ValType::I32);
                    body.emit([I::LocalGet(local), load, I::LocalSet(tag)]);
                    self.each_case(body, tag, &cases, |walker, body, case| {
                        walker.memory(body, local, offset + payload, case);
                    });
                } else {
                    let fields = self.info.children(root);
                    for (at, field) in self.layout.field_offsets(&fields) {
                        self.memory(body, local, offset + at.size_wasm32() as u32, field);
                    }
                }
            }
        }
    }

    /// Converts the handles of a flattened value. `slots` are exactly those of the value.
    pub(super) fn flat(&self, body: &mut Body, slots: &[Slot], ty: &Type) {
        let Type::Id(id) = ty else { return };
        if !self.concerns(ty) {
            return;
        }
        let root = self.info.root(*id);
        match &self.info.resolve.types[root].kind {
            TypeDefKind::Handle(handle) => {
                let Some(action) = self.action(handle) else { return };
                let (local, slot_type) = slots[0];
                body.emit([I::LocalGet(local)]);
                // In a variant, a handle may share its slot with a 64-bit value.
                if slot_type == ValType::I64 {
                    body.emit([I::I32WrapI64]);
                }
                match action {
                    Action::Note(function) => body.emit([I::Call(function)]),
                    Action::Replace(function) => {
                        body.emit([I::Call(function)]);
                        if slot_type == ValType::I64 {
                            body.emit([I::I64ExtendI32U]);
                        }
                        body.emit([I::LocalSet(local)]);
                    }
                }
            }
            TypeDefKind::List(element) => {
                let pointer = self.narrow(body, slots[0]);
                let length = self.narrow(body, slots[1]);
                self.list(body, pointer, length, element);
            }
            _ => {
                if let Some(cases) = cases(self.info.resolve, root) {
                    let tag = self.narrow(body, slots[0]);
                    let payload = &slots[1..];
                    self.each_case(body, tag, &cases, |walker, body, case| {
                        let count = flat_types(walker.info.resolve, case).len();
                        walker.flat(body, &payload[..count], case);
                    });
                } else {
                    let mut from = 0;
                    for field in self.fields(root) {
                        let count = flat_types(self.info.resolve, &field).len();
                        self.flat(body, &slots[from..from + count], &field);
                        from += count;
                    }
                }
            }
        }
    }

    /// Lists the parts of a record, a tuple or a list of fixed length.
    fn fields(&self, root: TypeId) -> Vec<Type> {
        match &self.info.resolve.types[root].kind {
            TypeDefKind::FixedLengthList(element, length) => vec![*element; *length as usize],
            _ => self.info.children(root),
        }
    }

    fn narrow(&self, body: &mut Body, (local, slot_type): Slot) -> u32 {
        if slot_type != ValType::I64 {
            return local;
        }
        let narrow = body.local(ValType::I32);
        body.emit([I::LocalGet(local), I::I32WrapI64, I::LocalSet(narrow)]);
        narrow
    }

    fn list(&self, body: &mut Body, pointer: u32, length: u32, element: &Type) {
        let size = self.layout.size(element).size_wasm32() as i32;
        let at = body.local(ValType::I32);
        let left = body.local(ValType::I32);
        body.emit([I::LocalGet(pointer), I::LocalSet(at), I::LocalGet(length), I::LocalSet(left)]);
        body.emit([I::Block(BlockType::Empty), I::Loop(BlockType::Empty)]);
        body.emit([I::LocalGet(left), I::I32Eqz, I::BrIf(1)]);
        self.memory(body, at, 0, element);
        body.emit([I::LocalGet(at), I::I32Const(size), I::I32Add, I::LocalSet(at)]);
        body.emit([I::LocalGet(left), I::I32Const(1), I::I32Sub, I::LocalSet(left)]);
        body.emit([I::Br(0), I::End, I::End]);
    }

    fn each_case(
        &self,
        body: &mut Body,
        tag: u32,
        cases: &[Option<Type>],
        mut walk: impl FnMut(&Self, &mut Body, &Type),
    ) {
        for (number, case) in cases.iter().enumerate() {
            let Some(case) = case.as_ref().filter(|case| self.concerns(case)) else { continue };
            body.emit([I::LocalGet(tag), I::I32Const(number as i32), I::I32Eq, I::If(BlockType::Empty)]);
            walk(self, body, case);
            body.emit([I::End]);
        }
    }
}
