//! Joins a WASI component with the kvfs file system at build time.
//!
//! The result runs on any host that gives it a key-value store: the file system is inside.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use kvfs_compose::{Compose, Mode};
//!
//! let guest = std::fs::read("app.wasm")?;
//! let composed = Compose::new(&guest).mode(Mode::Strict).volume("app").build()?;
//! println!("{}", composed.report);
//! std::fs::write("app.kvfs.wasm", &composed.bytes)?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Compose::mount`] puts more than one volume into the guest's tree, and packs trees into the
//! component.
//!
//! Never give a store to bytes that somebody else made, composed or not, as they are: see
//! [`recompose`](crate::recompose()).
//!
//! Every kind of bad input has an error of its own:
//!
//! ```
//! use kvfs_compose::{Compose, ComposeError};
//!
//! let error = Compose::new(b"#!/bin/sh").build().unwrap_err();
//! assert!(matches!(error, ComposeError::NotWasm));
//! ```

// Names, limits, errors, and text for terminals.
mod error;
mod limits;
mod names;
mod visible;

// Wasm: files, core code and WIT types.
mod types;
mod wasm;

// The choices of a caller: options, the audit log, mounts, and the provider of the store.
mod audit;
mod instance;
mod mounts;
mod options;
mod provider;

// The parts to join, and what a result states of them.
mod fixed;
mod parts;

// The two ways to join: bridge and graph for components, link for core modules.
mod bridge;
mod graph;
mod link;

// From the parts to a checked result.
mod check;
mod join;
mod report;
mod shared;

// The public verbs.
mod compose;
mod inspect;
mod recompose;

pub use audit::Audit;
pub use compose::Compose;
pub use error::{ComposeError, ConfigError, MountError};
pub use fixed::{configuration, fixed_mounts, fixed_provider, fixed_volume_control, keeps_audit_log};
pub use inspect::{Inspection, Kind, inspect};
pub use instance::InstanceLimits;
pub use join::Composed;
pub use kvfs::{Grant, Policy, PolicyError, Rights};
pub use kvfs_audit::Level as AuditLevel;
pub use kvfs_size::{BadSize, ByteSize};
pub use limits::{
    DEFAULT_OWN_VOLUMES, MAX_CACHED_BYTES, MAX_DESCRIPTORS, MAX_DIRTY_BYTES, MAX_EXTENT_BYTES,
    MAX_MEMORY_BYTES, MAX_OWN_VOLUMES, MAX_VOLUME_NAME_BYTES, MIN_CACHED_BYTES, MIN_DESCRIPTORS,
    MIN_DIRTY_BYTES, MIN_EXTENT_BYTES, MIN_MEMORY_BYTES,
};
pub use mounts::{
    FixedMount, FixedSource, MappedFile, Mount, MountAccess, MountLimits, MountRules, MountSource, Mounted,
    PackedTree, Packing,
};
pub use options::{Link, Mode};
pub use parts::{
    ADAPTER, ADAPTER_WITH_AUDIT, ADAPTER_WITH_CONTROL, ADAPTER_WITH_HOST, ADAPTER_WITH_HOST_AND_AUDIT,
    ADAPTER_WITH_HOST_AND_CONTROL,
};
pub use provider::{
    DEFAULT_FILE_PATH, FILE_PROVIDER, HTTP_PROVIDER, KEYVALUE_PROVIDER, MEMORY_PROVIDER, Provider, Token,
};
pub use recompose::{Recomposed, may_be_same, recompose};
pub use report::{Report, Wrapped};
pub use visible::Visible;
