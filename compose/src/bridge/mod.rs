//! Generates the components that stand between a guest and the host.
//!
//! Two are generated, by the same code. The *bridge* is called by the guest and calls the host: it
//! turns the host's `wasi:io` into the file system's. The *envelope* is called by the host and calls
//! the guest's exports: it commits when a call returns. Each wraps interfaces: it imports one, and
//! exports it with the same functions and resources.
//!
//! - A function without a type of `wasi:io`, and with nothing to commit, is handed on as it is: no
//!   code, no cost.
//! - Any other gets a shim; see [`shim`](self::shim) for what it does with handles, and when it
//!   traps.
//! - Resources that an interface defines stay the ones of the component that defined them.
//!
//! No interface is known by name but `wasi:io` and `wasi:filesystem`, which the adapter exports,
//! `wasi:cli/exit`, which never returns and so has to commit before, and `wasi:cli/stderr`, where it is told
//! if a commit fails: the bridge has it, and exports a `commit` that does so to the envelope.

#[cfg(test)]
mod behaviour;
mod component;
mod handles;
mod imports;
mod memory;
mod nested;
mod output;
mod plan;
mod shim;
mod types;
mod walk;
mod write;

pub(crate) use component::generate;
pub(crate) use imports::{BRIDGE_IMPORT, COMMIT, EXPLAIN, virtual_import};
pub(crate) use plan::{plan_bridge, plan_envelope};
pub(crate) use types::{GET_STDERR, IoResource, Special, TypeInfo};

use crate::names::InterfaceName;
use wit_parser::{Function, InterfaceId, Resolve};

/// Which of the two `wasi:io` a component speaks.
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
    /// Before the call, which does not come back.
    CommitBefore,
    /// After the call has returned.
    CommitAfter,
}

/// What is wrapped.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// An interface, with all its types and functions.
    Interface(InterfaceId),
    /// A function that belongs to no interface.
    Function(Box<Function>),
}

/// One thing to import, wrap and export.
#[derive(Clone, Debug)]
pub(crate) struct Wrap {
    /// The name under which the generated component imports it.
    pub(crate) source: String,
    /// The name under which it exports it: the guest's own.
    pub(crate) target: String,
    pub(crate) item: Item,
    pub(crate) lifecycle: Lifecycle,
}

/// The host's `wasi:io` as the adapter needs it, under the names of the guest's version.
#[derive(Clone)]
pub(crate) struct HostIo<'a> {
    /// The adapter's types.
    pub(crate) resolve: &'a Resolve,
    /// Interfaces of `resolve`, in the order of their dependencies, with the names to import.
    pub(crate) interfaces: Vec<(InterfaceId, String)>,
}

/// All that a generated component is made from.
pub(crate) struct Job<'a> {
    /// The guest's types.
    pub(crate) resolve: &'a Resolve,
    /// Whose `wasi:io` the wrapped items speak. The other one is the caller's.
    pub(crate) callee: Io,
    pub(crate) wraps: Vec<Wrap>,
    pub(crate) host_io: HostIo<'a>,
}

impl Job<'_> {
    /// Returns true if any wrapped type mentions `wasi:io`, so that both sides' are imported.
    pub(crate) fn converts_io(&self) -> bool {
        let info = TypeInfo { resolve: self.resolve };
        self.wraps.iter().any(|wrap| match &wrap.item {
            Item::Interface(id) => info.interface_types(*id).iter().any(|ty| info.mentions_io(ty)),
            Item::Function(function) => info.function_mentions_io(function),
        })
    }

    /// Returns the wrapped interface that gives the host's standard error, where a commit that fails is told.
    pub(crate) fn stderr(&self) -> Option<usize> {
        let gives = |wrap: &&Wrap| {
            let mut functions = wrap.functions(self.resolve);
            is_stderr(&wrap.target) && functions.any(|f| TypeInfo { resolve: self.resolve }.gives_stderr(f))
        };
        let place = self.wraps.iter().position(|wrap| gives(&wrap));
        place.filter(|_| self.callee == Io::Host)
    }

    /// Returns how many functions of a wrapped item get a shim.
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

    fn needs_shim(&self, info: TypeInfo<'_>, function: &Function) -> bool {
        self.lifecycle != Lifecycle::Untouched || info.function_mentions_io(function)
    }
}

/// Whether an interface is the one that gives standard error.
pub(crate) fn is_stderr(interface: &str) -> bool {
    let name = InterfaceName::parse(interface);
    name.is_wasi02("wasi:cli") && name.base == "wasi:cli/stderr"
}

/// A type that cannot be carried, before it is known where it was met.
#[derive(Debug)]
pub(crate) struct Unbridgeable {
    pub(crate) ty: String,
    pub(crate) reason: String,
}

impl Unbridgeable {
    pub(crate) fn new(ty: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { ty: ty.into(), reason: reason.into() }
    }

    pub(crate) fn at(self, interface: &str, function: Option<&str>) -> crate::ComposeError {
        crate::ComposeError::CannotBridge {
            interface: interface.to_owned(),
            function: function.map(str::to_owned),
            ty: self.ty,
            reason: self.reason,
        }
    }
}
