//! Generates the components between a guest and the host.
//!
//! The same code generates two. The guest calls the *bridge*, which calls the host: it turns the
//! host's `wasi:io` into the file system's. The host calls the *envelope*, which calls the guest's
//! exports: it commits when a call returns. Each wraps interfaces: it imports one, and exports it
//! with the same functions and resources.
//!
//! - A function without a type of `wasi:io` and without a commit is passed on as it is: no code, no
//!   cost.
//! - Any other function gets a shim. See [`shim`] for how it converts handles, and when
//!   it traps.
//! - Resources that an interface defines stay those of the component that defined them.
//!
//! Only these interfaces are known by name: `wasi:io` and `wasi:filesystem`, which the adapter
//! exports; `wasi:cli/exit`, which never returns, so that it commits before the call; and
//! `wasi:cli/stderr`, for the report of a failed commit. The bridge has standard error, and exports
//! a `commit` with such a report to the envelope.

// The job.
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
