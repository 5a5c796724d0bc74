//! Writes WIT types into a component.
//!
//! In a composition, one WIT type can have two forms: with the host's `wasi:io` in it, and with the
//! file system's. The names that a scope starts with decide which form is written.

use crate::types::{TypeInfo, Unbridgeable};
use std::collections::HashMap;
use wasm_encoder::{
    Alias, ComponentBuilder, ComponentOuterAliasKind, ComponentTypeEncoder, ComponentValType, InstanceType,
    PrimitiveValType,
};
use wit_parser::{Function, Handle, Type, TypeDefKind, TypeId};

/// The type indices of roots in one scope.
pub(crate) type Names = HashMap<TypeId, u32>;

/// A place in a component where types can be written.
pub(crate) trait Scope {
    /// Starts a new type and returns its index.
    fn new_type(&mut self) -> (u32, ComponentTypeEncoder<'_>);
    /// Returns the index of a root in this scope.
    fn known(&mut self, root: TypeId) -> Option<u32>;
    /// Sets the index of a root.
    fn learn(&mut self, root: TypeId, index: u32);
}

/// The outermost level of a component, generated or nested.
pub(crate) struct TopScope<'b> {
    pub(crate) builder: &'b mut ComponentBuilder,
    pub(crate) names: &'b mut Names,
}

impl Scope for TopScope<'_> {
    fn new_type(&mut self) -> (u32, ComponentTypeEncoder<'_>) {
        self.builder.ty(None)
    }

    fn known(&mut self, root: TypeId) -> Option<u32> {
        self.names.get(&root).copied()
    }

    fn learn(&mut self, root: TypeId, index: u32) {
        self.names.insert(root, index);
    }
}

/// The inside of an instance type. Types that it does not know come from the component around it.
pub(crate) struct InstanceScope<'b> {
    pub(crate) ty: InstanceType,
    pub(crate) names: Names,
    pub(crate) outer: &'b Names,
}

impl Scope for InstanceScope<'_> {
    fn new_type(&mut self) -> (u32, ComponentTypeEncoder<'_>) {
        (self.ty.type_count(), self.ty.ty())
    }

    fn known(&mut self, root: TypeId) -> Option<u32> {
        if let Some(index) = self.names.get(&root) {
            return Some(*index);
        }
        let outer = *self.outer.get(&root)?;
        let index = self.ty.type_count();
        self.ty.alias(Alias::Outer { kind: ComponentOuterAliasKind::Type, count: 1, index: outer });
        self.names.insert(root, index);
        Some(index)
    }

    fn learn(&mut self, root: TypeId, index: u32) {
        self.names.insert(root, index);
    }
}

/// Writes types of `resolve` into scopes.
#[derive(Clone, Copy)]
pub(crate) struct TypeWriter<'a> {
    pub(crate) info: TypeInfo<'a>,
}

impl TypeWriter<'_> {
    /// Writes the types inside a type, and returns a reference to it.
    pub(crate) fn value(self, scope: &mut dyn Scope, ty: &Type) -> Result<ComponentValType, Unbridgeable> {
        use PrimitiveValType as P;
        let primitive = match ty {
            Type::Bool => P::Bool,
            Type::U8 => P::U8,
            Type::U16 => P::U16,
            Type::U32 => P::U32,
            Type::U64 => P::U64,
            Type::S8 => P::S8,
            Type::S16 => P::S16,
            Type::S32 => P::S32,
            Type::S64 => P::S64,
            Type::F32 => P::F32,
            Type::F64 => P::F64,
            Type::Char => P::Char,
            Type::String => P::String,
            Type::ErrorContext => P::ErrorContext,
            Type::Id(id) => return Ok(ComponentValType::Type(self.index(scope, self.info.root(*id))?)),
        };
        Ok(ComponentValType::Primitive(primitive))
    }

    /// Returns the index of a root, after writing it if the scope does not know it.
    pub(crate) fn index(self, scope: &mut dyn Scope, root: TypeId) -> Result<u32, Unbridgeable> {
        if let Some(index) = scope.known(root) {
            return Ok(index);
        }
        let index = self.define(scope, root)?;
        scope.learn(root, index);
        Ok(index)
    }

    /// Writes the definition of a root that is not a resource.
    pub(crate) fn define(self, scope: &mut dyn Scope, root: TypeId) -> Result<u32, Unbridgeable> {
        let def = &self.info.resolve.types[root];
        let index = match &def.kind {
            TypeDefKind::Record(record) => {
                let mut fields = Vec::new();
                for f in &record.fields {
                    fields.push((f.name.as_str(), self.value(scope, &f.ty)?));
                }
                let (index, ty) = scope.new_type();
                ty.defined_type().record(fields);
                index
            }
            TypeDefKind::Variant(variant) => {
                let mut cases = Vec::new();
                for case in &variant.cases {
                    cases.push((case.name.as_str(), self.optional(scope, case.ty.as_ref())?));
                }
                let (index, ty) = scope.new_type();
                ty.defined_type().variant(cases);
                index
            }
            TypeDefKind::Enum(e) => {
                let (index, ty) = scope.new_type();
                ty.defined_type().enum_type(e.cases.iter().map(|case| case.name.as_str()));
                index
            }
            TypeDefKind::Flags(flags) => {
                let (index, ty) = scope.new_type();
                ty.defined_type().flags(flags.flags.iter().map(|flag| flag.name.as_str()));
                index
            }
            TypeDefKind::Tuple(tuple) => {
                let mut types = Vec::new();
                for ty in &tuple.types {
                    types.push(self.value(scope, ty)?);
                }
                let (index, ty) = scope.new_type();
                ty.defined_type().tuple(types);
                index
            }
            TypeDefKind::Option(inner) => {
                let inner = self.value(scope, inner)?;
                let (index, ty) = scope.new_type();
                ty.defined_type().option(inner);
                index
            }
            TypeDefKind::Result(result) => {
                let ok = self.optional(scope, result.ok.as_ref())?;
                let err = self.optional(scope, result.err.as_ref())?;
                let (index, ty) = scope.new_type();
                ty.defined_type().result(ok, err);
                index
            }
            TypeDefKind::List(inner) => {
                let inner = self.value(scope, inner)?;
                let (index, ty) = scope.new_type();
                ty.defined_type().list(inner);
                index
            }
            TypeDefKind::FixedLengthList(inner, length) => {
                let inner = self.value(scope, inner)?;
                let (index, ty) = scope.new_type();
                ty.defined_type().fixed_length_list(inner, *length);
                index
            }
            TypeDefKind::Map(key, value) => {
                let key = self.value(scope, key)?;
                let value = self.value(scope, value)?;
                let (index, ty) = scope.new_type();
                ty.defined_type().map(key, value);
                index
            }
            TypeDefKind::Future(inner) => {
                let inner = self.optional(scope, inner.as_ref())?;
                let (index, ty) = scope.new_type();
                ty.defined_type().future(inner);
                index
            }
            TypeDefKind::Stream(inner) => {
                let inner = self.optional(scope, inner.as_ref())?;
                let (index, ty) = scope.new_type();
                ty.defined_type().stream(inner);
                index
            }
            TypeDefKind::Handle(handle) => {
                let (Handle::Own(resource) | Handle::Borrow(resource)) = handle;
                let resource = self.index(scope, self.info.root(*resource))?;
                let (index, ty) = scope.new_type();
                match handle {
                    Handle::Own(_) => ty.defined_type().own(resource),
                    Handle::Borrow(_) => ty.defined_type().borrow(resource),
                }
                index
            }
            // An alias of a primitive type: `root` has followed all others.
            TypeDefKind::Type(inner) => match self.value(scope, inner)? {
                ComponentValType::Type(index) => index,
                ComponentValType::Primitive(primitive) => {
                    let (index, ty) = scope.new_type();
                    ty.defined_type().primitive(primitive);
                    index
                }
            },
            TypeDefKind::Resource | TypeDefKind::Unknown => {
                return Err(Unbridgeable::new(
                    self.info.describe(root),
                    "its origin is not known; define it in an interface",
                ));
            }
        };
        Ok(index)
    }

    /// Writes the type of a function and returns its index.
    pub(crate) fn function(self, scope: &mut dyn Scope, function: &Function) -> Result<u32, Unbridgeable> {
        let mut params = Vec::new();
        for p in &function.params {
            params.push((p.name.as_str(), self.value(scope, &p.ty)?));
        }
        let result = self.optional(scope, function.result.as_ref())?;
        let (index, ty) = scope.new_type();
        ty.function().async_(function.kind.is_async()).params(params).result(result);
        Ok(index)
    }

    fn optional(
        self,
        scope: &mut dyn Scope,
        ty: Option<&Type>,
    ) -> Result<Option<ComponentValType>, Unbridgeable> {
        ty.map(|ty| self.value(scope, ty)).transpose()
    }
}
