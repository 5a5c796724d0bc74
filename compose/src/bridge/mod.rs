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

// What to generate.
mod job;
mod names;
mod plan;

// The core module of shims, and the module with its memory.
mod handles;
mod memory;
mod output;
mod shim;
mod walk;

// The component around them.
mod component;
mod generator;
mod imports;
mod nested;
mod write;

#[cfg(test)]
mod behaviour;

pub(crate) use component::generate;
pub(crate) use job::{HostIo, Io, Job, Lifecycle};
pub(crate) use names::{BRIDGE_IMPORT, COMMIT, EXPLAIN, virtual_import};
pub(crate) use plan::{plan_bridge, plan_envelope};
