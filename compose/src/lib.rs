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
//! [`Compose::mount`] puts more than one volume into the guest's tree, and packs trees into the component.
//!
//! Bytes that somebody else made, composed or not, are never given a store as they are: see [`recompose`].
//!
//! What is not a guest is told apart:
//!
//! ```
//! use kvfs_compose::{Compose, ComposeError};
//!
//! let error = Compose::new(b"#!/bin/sh").build().unwrap_err();
//! assert!(matches!(error, ComposeError::NotWasm));
//! ```

mod adapter;
mod bridge;
mod check;
mod code;
mod compose;
mod configure;
mod contract;
mod embed;
mod encode;
mod error;
mod graph;
mod guest;
mod inspect;
mod link;
mod mounts;
mod names;
mod parts;
mod provider;
mod recompose;
mod report;
mod shared;
mod visible;

pub use adapter::{ADAPTER, ADAPTER_WITH_HOST};
pub use compose::{Compose, Composed, Link};
pub use configure::{ConfigError, MAX_VOLUME_NAME_BYTES, Mode};
pub use error::ComposeError;
pub use inspect::{Inspection, Kind, configuration, fixed_provider, inspect};
pub use kvfs_size::{BadSize, ByteSize};
pub use mounts::{
    FixedMount, FixedSource, MappedFile, Mount, MountAccess, MountError, MountLimits, MountSource, Mounted,
    PackedTree, Packing, fixed_mounts,
};
pub use provider::{
    DEFAULT_FILE_PATH, FILE_PROVIDER, KEYVALUE_PROVIDER, MAX_MEMORY_BYTES, MEMORY_PROVIDER, MIN_MEMORY_BYTES,
    Provider,
};
pub use recompose::{Recomposed, may_be_same, recompose};
pub use report::{Report, Wrapped};
pub use visible::Visible;
