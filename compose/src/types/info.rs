//! Answers questions about WIT types.
//!
//! A type is known by its *root*: the definition at the end of all `use` and `type a = b`.

use super::unbridgeable::Unbridgeable;
use crate::names::InterfaceName;
use wit_parser::{Function, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner};

/// A resource of `wasi:io` that the adapter wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum IoResource {
    Error,
    Pollable,
    InputStream,
    OutputStream,
}

impl IoResource {
    pub(crate) const ALL: [Self; 4] = [Self::Error, Self::Pollable, Self::InputStream, Self::OutputStream];

    /// Returns the resource's name in `wasi:io`, which is also that in `wrap-NAME` and the like.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Pollable => "pollable",
            Self::InputStream => "input-stream",
            Self::OutputStream => "output-stream",
        }
    }

    /// Returns the interface of `wasi:io` that defines the resource.
    pub(crate) fn interface(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Pollable => "poll",
            Self::InputStream | Self::OutputStream => "streams",
        }
    }
}

/// Roots that the generators treat apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// A resource of `wasi:io`.
    Io(IoResource),
    /// `wasi:io/streams.stream-error`, the one value type of `wasi:io`.
    StreamError,
    /// Another type of `wasi:io`, which the adapter does not know.
    UnknownIo,
    /// A resource of `wasi:filesystem`, which the host no longer provides.
    FileSystem,
}

/// Returns true for the interface that gives standard error.
pub(crate) fn is_stderr(interface: &str) -> bool {
    let name = InterfaceName::parse(interface);
    name.is_wasi02("wasi:cli") && name.base == "wasi:cli/stderr"
}

/// Answers questions about the types of one guest.
#[derive(Clone, Copy)]
pub(crate) struct TypeInfo<'a> {
    pub(crate) resolve: &'a Resolve,
}

/// The function of `wasi:cli/stderr`.
pub(crate) const GET_STDERR: &str = "get-stderr";

impl<'a> TypeInfo<'a> {
    /// Follows aliases to the definition.
    pub(crate) fn root(self, mut id: TypeId) -> TypeId {
        while let TypeDefKind::Type(Type::Id(next)) = self.resolve.types[id].kind {
            id = next;
        }
        id
    }

    /// Returns the interface that defines a root; `None` for a type outside of interfaces.
    pub(crate) fn owner(self, root: TypeId) -> Option<InterfaceId> {
        match self.resolve.types[root].owner {
            TypeOwner::Interface(id) => Some(id),
            _ => None,
        }
    }

    /// Returns true if the component model requires a name for this type in imports and exports.
    pub(crate) fn is_nominal(self, root: TypeId) -> bool {
        use TypeDefKind::{Enum, Flags, Record, Resource, Variant};
        matches!(self.resolve.types[root].kind, Record(_) | Variant(_) | Enum(_) | Flags(_) | Resource)
    }

    pub(crate) fn is_resource(self, root: TypeId) -> bool {
        matches!(self.resolve.types[root].kind, TypeDefKind::Resource)
    }

    /// Returns which special root this is, if any.
    pub(crate) fn special(self, root: TypeId) -> Option<Special> {
        let interface = InterfaceName::parse(&self.resolve.id_of(self.owner(root)?)?);
        let name = self.resolve.types[root].name.as_deref()?;
        if interface.is_wasi02("wasi:filesystem") && self.is_resource(root) {
            return Some(Special::FileSystem);
        }
        if !interface.is_wasi02("wasi:io") {
            return None;
        }
        if let Some(io) = IoResource::ALL.into_iter().find(|io| io.name() == name) {
            return Some(Special::Io(io));
        }
        Some(if name == "stream-error" { Special::StreamError } else { Special::UnknownIo })
    }

    /// Returns true if a type is of `wasi:io` or `wasi:filesystem`, or contains such a type at any
    /// depth.
    pub(crate) fn mentions_io(self, ty: &Type) -> bool {
        self.any(ty, &mut |info, root| {
            matches!(
                info.special(root),
                Some(Special::Io(_) | Special::StreamError | Special::UnknownIo | Special::FileSystem)
            )
        })
    }

    /// Returns true if any parameter or result of a function mentions `wasi:io`.
    pub(crate) fn function_mentions_io(self, function: &Function) -> bool {
        function.params.iter().map(|p| &p.ty).chain(&function.result).any(|ty| self.mentions_io(ty))
    }

    /// Returns true if a function takes a handle of `wasi:io` and returns an option: it can return
    /// none for a handle that is not the callee's.
    pub(crate) fn answers_none(self, function: &Function) -> bool {
        let is_option = |kind: &TypeDefKind| matches!(kind, TypeDefKind::Option(_));
        self.result_is(function, is_option) && function.params.iter().any(|p| self.mentions_io(&p.ty))
    }

    /// Returns true for the function that gives standard error, if it has the type of WASI.
    pub(crate) fn gives_stderr(self, function: &Function) -> bool {
        let is_stream = |kind: &TypeDefKind| match kind {
            TypeDefKind::Handle(Handle::Own(resource)) => {
                self.special(self.root(*resource)) == Some(Special::Io(IoResource::OutputStream))
            }
            _ => false,
        };
        function.name == GET_STDERR && function.params.is_empty() && self.result_is(function, is_stream)
    }

    /// Returns true if a function can return an error without a payload.
    pub(crate) fn has_plain_error(self, function: &Function) -> bool {
        self.result_is(function, |kind| matches!(kind, TypeDefKind::Result(result) if result.err.is_none()))
    }

    fn result_is(self, function: &Function, test: impl Fn(&TypeDefKind) -> bool) -> bool {
        match function.result {
            Some(Type::Id(id)) => test(&self.resolve.types[self.root(id)].kind),
            _ => false,
        }
    }

    /// Returns the first type in `ty` that no shim can carry, with the reason.
    pub(crate) fn unbridgeable(self, ty: &Type) -> Option<Unbridgeable> {
        let mut found = self.unbridgeable_wasi(ty);
        if found.is_some() {
            return found;
        }
        self.any(ty, &mut |info, root| {
            let reason = match &info.resolve.types[root].kind {
                TypeDefKind::Future(_) | TypeDefKind::Stream(_) => {
                    "an asynchronous type, which WASI 0.2 does not have; build the guest for WASI 0.2"
                }
                TypeDefKind::Map(..) if info.has_handle(root) => {
                    "handles in a map cannot be found without its layout; use a list of tuples"
                }
                _ => return false,
            };
            found = Some(Unbridgeable::new(info.describe(root), reason));
            true
        });
        found
    }

    /// Returns the first type of WASI in `ty` that a composed guest cannot get from the host.
    pub(crate) fn unbridgeable_wasi(self, ty: &Type) -> Option<Unbridgeable> {
        let mut found = None;
        self.any(ty, &mut |info, root| {
            let reason = match info.special(root) {
                Some(Special::FileSystem) => {
                    "a handle of the host's file system, which the composed guest does not have; \
                     open files through wasi:filesystem instead"
                }
                Some(Special::UnknownIo) => {
                    "a type of wasi:io that the adapter does not know; use a version of kvfs that does"
                }
                _ => return false,
            };
            found = Some(Unbridgeable::new(info.describe(root), reason));
            true
        });
        found
    }

    /// Returns true if a type holds a borrowed handle of `wasi:io`.
    pub(crate) fn borrows_io(self, ty: &Type) -> bool {
        self.any(ty, &mut |info, root| match &info.resolve.types[root].kind {
            TypeDefKind::Handle(Handle::Borrow(resource)) => info.mentions_io(&Type::Id(*resource)),
            _ => false,
        })
    }

    fn has_handle(self, root: TypeId) -> bool {
        self.any(&Type::Id(root), &mut |info, root| {
            matches!(info.resolve.types[root].kind, TypeDefKind::Handle(_))
        })
    }

    /// Describes a type in messages: `wasi:io/streams.input-stream`, or its kind if it has no name.
    pub(crate) fn describe(self, id: TypeId) -> String {
        let def = &self.resolve.types[id];
        if let TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) = &def.kind {
            return format!("{}<{}>", def.kind.as_str(), self.describe(self.root(*resource)));
        }
        match (&def.name, self.owner(id).and_then(|owner| self.resolve.id_of(owner))) {
            (Some(name), Some(owner)) => format!("{}.{name}", InterfaceName::parse(&owner).base),
            (Some(name), None) => name.clone(),
            (None, _) => def.kind.as_str().to_owned(),
        }
    }

    /// Returns true if `test` does for the root of a type or of any type inside it.
    pub(crate) fn any(self, ty: &Type, test: &mut dyn FnMut(Self, TypeId) -> bool) -> bool {
        let Type::Id(id) = ty else { return false };
        let root = self.root(*id);
        if test(self, root) {
            return true;
        }
        self.children(root).iter().any(|child| self.any(child, test))
    }

    /// Lists the types directly inside a root. The resource of a handle counts as inside.
    pub(crate) fn children(self, root: TypeId) -> Vec<Type> {
        match &self.resolve.types[root].kind {
            TypeDefKind::Record(r) => r.fields.iter().map(|f| f.ty).collect(),
            TypeDefKind::Tuple(t) => t.types.clone(),
            TypeDefKind::Variant(v) => v.cases.iter().filter_map(|c| c.ty).collect(),
            TypeDefKind::Option(t)
            | TypeDefKind::List(t)
            | TypeDefKind::FixedLengthList(t, _)
            | TypeDefKind::Type(t) => vec![*t],
            TypeDefKind::Result(r) => r.ok.iter().chain(&r.err).copied().collect(),
            TypeDefKind::Map(key, value) => vec![*key, *value],
            TypeDefKind::Future(t) | TypeDefKind::Stream(t) => t.iter().copied().collect(),
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => vec![Type::Id(*id)],
            TypeDefKind::Resource | TypeDefKind::Flags(_) | TypeDefKind::Enum(_) | TypeDefKind::Unknown => {
                vec![]
            }
        }
    }

    /// Lists the nominal roots that types reach, each after those that it needs itself.
    pub(crate) fn reach<'t>(self, types: impl IntoIterator<Item = &'t Type>) -> Vec<TypeId> {
        fn visit(info: TypeInfo<'_>, ty: &Type, out: &mut Vec<TypeId>) {
            let Type::Id(id) = ty else { return };
            let root = info.root(*id);
            if out.contains(&root) {
                return;
            }
            for child in info.children(root) {
                visit(info, &child, out);
            }
            if info.is_nominal(root) {
                out.push(root);
            }
        }
        let mut out = Vec::new();
        for ty in types {
            visit(self, ty, &mut out);
        }
        out
    }

    /// Lists every type that an interface defines or uses, or that its functions mention.
    pub(crate) fn interface_types(self, interface: InterfaceId) -> Vec<Type> {
        let interface = &self.resolve.interfaces[interface];
        let named = interface.types.values().map(|id| Type::Id(*id));
        let used = interface.functions.values().flat_map(|f| f.params.iter().map(|p| p.ty).chain(f.result));
        named.chain(used).collect()
    }
}
