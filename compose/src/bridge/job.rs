//! A component to generate.

use crate::types::{TypeInfo, is_stderr};
use wit_parser::{Function, InterfaceId, Resolve};

/// The `wasi:io` of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Io {
    /// The host's.
    Host,
    /// The file system's.
    Virtual,
}

/// When the functions of a wrapped interface commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    /// Never.
    Untouched,
    /// Before the call, which does not return.
    CommitBefore,
    /// After the call has returned.
    CommitAfter,
}

/// An item to wrap.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// An interface, with all its types and functions.
    Interface(InterfaceId),
    /// A function outside of interfaces.
    Function(Box<Function>),
}

/// An item to import, wrap and export.
#[derive(Clone, Debug)]
pub(crate) struct Wrap {
    /// The name under which the generated component imports it.
    pub(crate) source: String,
    /// The name under which it exports it: the guest's own.
    pub(crate) target: String,
    pub(crate) item: Item,
    pub(crate) lifecycle: Lifecycle,
}

/// The host's `wasi:io` with the adapter's types, under the names of the guest's version.
#[derive(Clone)]
pub(crate) struct HostIo<'a> {
    /// The adapter's types.
    pub(crate) resolve: &'a Resolve,
    /// Interfaces of `resolve` with the names to import, dependencies first.
    pub(crate) interfaces: Vec<(InterfaceId, String)>,
}

/// The inputs of a generated component.
pub(crate) struct Job<'a> {
    /// The guest's types.
    pub(crate) resolve: &'a Resolve,
    /// The side whose `wasi:io` the wrapped items use. The caller uses the other one.
    pub(crate) callee: Io,
    pub(crate) wraps: Vec<Wrap>,
    pub(crate) host_io: HostIo<'a>,
}

impl Job<'_> {
    /// Returns true if any wrapped type mentions `wasi:io`. Both sides' are imported then.
    pub(crate) fn converts_io(&self) -> bool {
        let info = TypeInfo { resolve: self.resolve };
        self.wraps.iter().any(|wrap| match &wrap.item {
            Item::Interface(id) => info.interface_types(*id).iter().any(|ty| info.mentions_io(ty)),
            Item::Function(function) => info.function_mentions_io(function),
        })
    }

    /// Returns the number of the wrapped interface that gives the host's standard error, for
    /// reports of a failed commit.
    pub(crate) fn stderr(&self) -> Option<usize> {
        let gives = |wrap: &&Wrap| {
            let mut functions = wrap.functions(self.resolve);
            is_stderr(&wrap.target) && functions.any(|f| TypeInfo { resolve: self.resolve }.gives_stderr(f))
        };
        let place = self.wraps.iter().position(|wrap| gives(&wrap));
        place.filter(|_| self.callee == Io::Host)
    }

    /// Returns the number of functions of a wrapped item that get a shim.
    pub(crate) fn shim_count(&self, wrap: &Wrap) -> usize {
        let info = TypeInfo { resolve: self.resolve };
        wrap.functions(self.resolve).filter(|function| wrap.needs_shim(info, function)).count()
    }
}

impl Wrap {
    pub(crate) fn functions<'r>(
        &'r self,
        resolve: &'r Resolve,
    ) -> Box<dyn Iterator<Item = &'r Function> + 'r> {
        match &self.item {
            Item::Interface(id) => Box::new(resolve.interfaces[*id].functions.values()),
            Item::Function(function) => Box::new(std::iter::once(&**function)),
        }
    }

    pub(super) fn needs_shim(&self, info: TypeInfo<'_>, function: &Function) -> bool {
        self.lifecycle != Lifecycle::Untouched || info.function_mentions_io(function)
    }
}
