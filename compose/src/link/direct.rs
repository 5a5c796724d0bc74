//! Moves bytes of files once: between the guest's memory and their place in the adapter's.
//!
//! Bytes in a list are copied twice: between a list in the adapter's memory and their place there,
//! and between the memories. The adapter also exports `kvfs:adapter/direct`, with functions that
//! replace the list: a result by the pieces of memory that hold the bytes, a parameter by its
//! length, after another function has returned the pieces for the bytes. The glue then moves them
//! itself, with the checks and traps of a list. Functions are found by the rule for their names:
//! there is no table of them.

use super::copy::{Copier, is_byte};
use super::module::{GlueImport, GlueModule};
use super::pieces::{each_piece, load_list};
use crate::types::{TypeInfo, same, same_all, same_option};
use crate::wasm::code::{Body, Slot, flat_types};
use wasm_encoder::{Instruction as I, ValType};
use wit_parser::{Function, Type, TypeDefKind, TypeId};

/// The interface with these functions.
pub(super) const INTERFACE: &str = "kvfs:adapter/direct";

/// The way in which a function takes and returns lists of bytes.
#[derive(Clone, Debug)]
pub(super) enum Direct {
    /// As lists.
    Not,
    /// As pieces of memory, which it returns.
    Lent,
    /// As their length, after `place` has returned the pieces for them.
    Placed { place: GlueImport, post_return: Option<GlueImport> },
}

/// Returns the name that a function of a resource has in [`INTERFACE`]: `[method]file.read` is
/// `file-read`.
pub(super) fn name_of(function: &str) -> String {
    function.strip_prefix("[method]").unwrap_or(function).replace('.', "-")
}

/// A function of the adapter with lists of bytes, and its counterparts in [`INTERFACE`].
#[derive(Clone, Copy)]
pub(super) struct Pair<'r> {
    pub(super) ordinary: &'r Function,
    pub(super) direct: &'r Function,
    pub(super) place: Option<&'r Function>,
}

impl Pair<'_> {
    /// Returns true if the types differ only in the lists of bytes, as glue expects.
    pub(super) fn fits(&self, info: TypeInfo<'_>) -> bool {
        let types = |function: &Function| function.params.iter().map(|param| param.ty).collect::<Vec<_>>();
        let (ordinary, direct) = (types(self.ordinary), types(self.direct));
        let takes_bytes = ordinary.iter().any(|ty| is_bytes(info, ty));
        let same_params = ordinary.len() == direct.len()
            && ordinary.iter().zip(&direct).all(|(ordinary, direct)| match is_bytes(info, ordinary) {
                true => *direct == Type::U32,
                false => same(info, ordinary, info, direct),
            });
        let (result, given) = (self.ordinary.result.as_ref(), self.direct.result.as_ref());
        same_params
            && match self.place {
                None => !takes_bytes && result.zip(given).is_some_and(|(x, y)| same_but_bytes(info, x, y)),
                Some(place) => {
                    takes_bytes
                        && same_option(info, result, info, given)
                        && same_all(info, &types(place), info, &direct)
                        && place.result.as_ref().is_some_and(|ty| is_pieces(info, ty))
                }
            }
    }
}

/// Returns true if two types are the same, with pieces in the second for bytes in the first.
fn same_but_bytes(info: TypeInfo<'_>, x: &Type, y: &Type) -> bool {
    if is_bytes(info, x) {
        return is_pieces(info, y);
    }
    let (Type::Id(a), Type::Id(b)) = (x, y) else { return same(info, x, info, y) };
    let kind = |id: TypeId| &info.resolve.types[info.root(id)].kind;
    let option = |x: &Option<Type>, y: &Option<Type>| match (x, y) {
        (Some(x), Some(y)) => same_but_bytes(info, x, y),
        (None, None) => true,
        _ => false,
    };
    match (kind(*a), kind(*b)) {
        (TypeDefKind::Tuple(a), TypeDefKind::Tuple(b)) => {
            a.types.len() == b.types.len()
                && a.types.iter().zip(&b.types).all(|(x, y)| same_but_bytes(info, x, y))
        }
        (TypeDefKind::Result(a), TypeDefKind::Result(b)) => option(&a.ok, &b.ok) && option(&a.err, &b.err),
        _ => same(info, x, info, y),
    }
}

/// Returns true for a list of pieces, each an address and a length.
fn is_pieces(info: TypeInfo<'_>, ty: &Type) -> bool {
    let kind = |ty: &Type| match ty {
        Type::Id(id) => Some(&info.resolve.types[info.root(*id)].kind),
        _ => None,
    };
    let Some(TypeDefKind::List(element)) = kind(ty) else { return false };
    let Some(TypeDefKind::Record(record)) = kind(element) else { return false };
    let fields = record.fields.iter().map(|field| (field.name.as_str(), field.ty));
    fields.eq([("address", Type::U32), ("length", Type::U32)])
}

fn is_bytes(info: TypeInfo<'_>, ty: &Type) -> bool {
    let Type::Id(id) = ty else { return false };
    match &info.resolve.types[info.root(*id)].kind {
        TypeDefKind::List(element) => is_byte(info, element),
        _ => false,
    }
}

impl Direct {
    /// Returns true if a parameter goes as its length.
    pub(super) fn takes_length(&self, info: TypeInfo<'_>, ty: &Type) -> bool {
        matches!(self, Self::Placed { .. }) && is_bytes(info, ty)
    }

    /// Returns the core parameters of the function, given those it would have with lists.
    pub(super) fn params(
        &self,
        info: TypeInfo<'_>,
        function: &Function,
        as_lists: Vec<ValType>,
    ) -> Vec<ValType> {
        let mut rest = as_lists.into_iter();
        let mut params = Vec::new();
        for param in &function.params {
            let own = rest.by_ref().take(flat_types(info.resolve, &param.ty).len());
            let own: Vec<ValType> = own.collect();
            let kept = if self.takes_length(info, &param.ty) { 1 } else { own.len() };
            params.extend_from_slice(&own[..kept]);
        }
        params
    }

    /// Emits the first half of a call: gets the pieces for the bytes and moves them there.
    pub(super) fn fill(
        &self,
        module: &mut GlueModule,
        body: &mut Body,
        copier: &Copier<'_>,
        (function, slots): (&Function, &[Slot]),
        arguments: &[u32],
        params: &[ValType],
    ) {
        let Self::Placed { place, post_return } = self else { return };
        let (guest, adapter) = (copier.from().memory, copier.to().memory);
        let place = module.function(place.clone(), params, &[ValType::I32]);
        let answer = body.local(ValType::I32);
        body.emit(arguments.iter().map(|argument| I::LocalGet(*argument)));
        body.emit([I::Call(place), I::LocalSet(answer)]);

        let mut at = 0;
        for param in &function.params {
            if self.takes_length(copier.info, &param.ty) {
                let from = body.local(ValType::I32);
                body.emit([I::LocalGet(slots[at].0), I::LocalSet(from)]);
                let pieces = load_list(body, answer, adapter);
                each_piece(body, pieces, adapter, |body, piece| {
                    body.emit([I::LocalGet(piece.0), I::LocalGet(from), I::LocalGet(piece.1)]);
                    body.emit([I::MemoryCopy { src_mem: guest, dst_mem: adapter }]);
                    body.emit([I::LocalGet(from), I::LocalGet(piece.1), I::I32Add, I::LocalSet(from)]);
                });
            }
            at += flat_types(copier.info.resolve, &param.ty).len();
        }
        if let Some(post_return) = post_return {
            let post_return = module.function(post_return.clone(), &[ValType::I32], &[]);
            body.emit([I::LocalGet(answer), I::Call(post_return)]);
        }
    }
}
