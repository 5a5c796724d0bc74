//! Compares functions and types of two components.
//!
//! The component model compares types by structure and by the names in it. Glue is written from one
//! side's types: if the other side's differed, memory would be read with the wrong layout.

use super::info::TypeInfo;
use crate::names::InterfaceName;
use wit_parser::{Function, Handle, Type, TypeDefKind, TypeId};

/// Returns true if two functions have the same parameters and results.
pub(crate) fn same_function(a: (TypeInfo<'_>, &Function), b: (TypeInfo<'_>, &Function)) -> bool {
    let params = |f: &Function| f.params.iter().map(|p| p.ty).collect::<Vec<_>>();
    let (a_params, b_params) = (params(a.1), params(b.1));
    a.1.kind.is_async() == b.1.kind.is_async()
        && same_all(a.0, &a_params, b.0, &b_params)
        && same_option(a.0, a.1.result.as_ref(), b.0, b.1.result.as_ref())
}

/// Returns true if two lists of types are the same.
pub(crate) fn same_all(a: TypeInfo<'_>, a_types: &[Type], b: TypeInfo<'_>, b_types: &[Type]) -> bool {
    a_types.len() == b_types.len() && a_types.iter().zip(b_types).all(|(x, y)| same(a, x, b, y))
}

/// Returns true if two types are the same, or both are absent.
pub(crate) fn same_option(a: TypeInfo<'_>, x: Option<&Type>, b: TypeInfo<'_>, y: Option<&Type>) -> bool {
    match (x, y) {
        (Some(x), Some(y)) => same(a, x, b, y),
        (None, None) => true,
        _ => false,
    }
}

/// Returns true if two types are the same.
pub(crate) fn same(a: TypeInfo<'_>, x: &Type, b: TypeInfo<'_>, y: &Type) -> bool {
    match (primitive(a, x), primitive(b, y)) {
        (Ok(x), Ok(y)) => x == y,
        (Err(x), Err(y)) => same_defined(a, x, b, y),
        _ => false,
    }
}

/// Follows aliases to a primitive type or a definition.
fn primitive(info: TypeInfo<'_>, ty: &Type) -> Result<Type, TypeId> {
    match ty {
        Type::Id(id) => {
            let root = info.root(*id);
            match &info.resolve.types[root].kind {
                TypeDefKind::Type(inner) => primitive(info, inner),
                _ => Err(root),
            }
        }
        other => Ok(*other),
    }
}

fn same_defined(a: TypeInfo<'_>, x: TypeId, b: TypeInfo<'_>, y: TypeId) -> bool {
    use TypeDefKind as K;
    let resource = |info: TypeInfo<'_>, id: TypeId| {
        let root = info.root(id);
        let owner = info.owner(root).and_then(|owner| info.resolve.id_of(owner));
        (owner.map(|owner| InterfaceName::parse(&owner).base), info.resolve.types[root].name.clone())
    };
    match (&a.resolve.types[x].kind, &b.resolve.types[y].kind) {
        (K::Record(x), K::Record(y)) => {
            x.fields.len() == y.fields.len()
                && x.fields.iter().zip(&y.fields).all(|(x, y)| x.name == y.name && same(a, &x.ty, b, &y.ty))
        }
        (K::Tuple(x), K::Tuple(y)) => same_all(a, &x.types, b, &y.types),
        (K::Flags(x), K::Flags(y)) => x.flags.iter().map(|f| &f.name).eq(y.flags.iter().map(|f| &f.name)),
        (K::Enum(x), K::Enum(y)) => x.cases.iter().map(|c| &c.name).eq(y.cases.iter().map(|c| &c.name)),
        (K::Variant(x), K::Variant(y)) => {
            x.cases.len() == y.cases.len()
                && x.cases
                    .iter()
                    .zip(&y.cases)
                    .all(|(x, y)| x.name == y.name && same_option(a, x.ty.as_ref(), b, y.ty.as_ref()))
        }
        (K::Option(x), K::Option(y)) | (K::List(x), K::List(y)) => same(a, x, b, y),
        (K::Result(x), K::Result(y)) => {
            same_option(a, x.ok.as_ref(), b, y.ok.as_ref())
                && same_option(a, x.err.as_ref(), b, y.err.as_ref())
        }
        (K::Handle(Handle::Own(x)), K::Handle(Handle::Own(y)))
        | (K::Handle(Handle::Borrow(x)), K::Handle(Handle::Borrow(y))) => resource(a, *x) == resource(b, *y),
        (K::Resource, K::Resource) => resource(a, x) == resource(b, y),
        _ => false,
    }
}
