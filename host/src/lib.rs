//! The host's side of `wasi-kvfs`: implements `kvfs:store` for [wasmtime]. A component whose file
//! system was turned into calls of a key-value store finds the store here.
//!
//! ```
//! use kvfs_host::{KvCtx, KvView, MemoryStore};
//! use wasmtime::component::Linker;
//! use wasmtime::{Engine, Store};
//!
//! struct State {
//!     kv: KvCtx, // beside a WasiCtx and whatever else the guest is given
//! }
//!
//! impl KvView for State {
//!     fn kv(&mut self) -> &mut KvCtx {
//!         &mut self.kv
//!     }
//! }
//!
//! # fn main() -> wasmtime::Result<()> {
//! let engine = Engine::default();
//! let mut linker: Linker<State> = Linker::new(&engine);
//! kvfs_host::add_to_linker(&mut linker)?; // or add_to_linker_async
//!
//! let store = Store::new(&engine, State { kv: KvCtx::new(MemoryStore::new()) });
//! # let _ = store;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/embed.rs` runs a whole program this way. `examples/bounded.rs` bounds the time and
//! memory of a program that is not trusted, the memory with [`MemoryLimit`].
//!
//! # Which component
//!
//! The linker gives the store to any component that asks for it, and a hostile one could read and
//! change every volume in it. Compose guests yourself, or pass compositions from elsewhere through
//! `kvfs_compose::recompose`: see [`add_to_linker`].
//!
//! # Which store
//!
//! | store | keeps its entries | after the guest's end | after the host's crash |
//! |---|---|---|---|
//! | [`MemoryStore`] | in memory | while a handle lives | nothing |
//! | [`RedbStore`] | in one file | everything | everything up to the last durable apply |
//! | [`FileStore`] | in the files of a directory, without locks | everything | everything up to the last durable apply |
//!
//! A `FileStore` that is had alone ([`StoreAccess`]) takes small changes faster, and loses the last of
//! them to a kill, as a `RedbStore` does.
//!
//! [`RedbReader`] reads the file of a `RedbStore`, [`FileStoreReader`] the directory of a
//! `FileStore`; neither changes anything.
//!
//! [`Namespaced`] puts many guests into one store, [`Limited`] bounds how much one may hold,
//! [`Sealed`] encrypts what is stored, and [`Audited`] hands you the audit log of a guest. To bring
//! a store of your own, implement [`SyncStore`] (answers at once) or [`Store`] (answers later),
//! four functions each, and check it with the module `conformance` (feature of the same name).
//! [`key_range`], [`ScanBudget`] and [`gather`] help with the answers.
//!
//! # Volumes
//!
//! [`EngineStore`] opens volumes without a guest. With the feature `volumes`, `Volumes` forks,
//! snapshots, restores and removes them, also while guests use them. [`Aliased`] lets a guest work on
//! a fork under the name that its composition fixes. `examples/forks.rs` runs a thousand of them.
//! `LayerCached` (feature `layer-cache`) keeps what forks share on this host.
//!
//! With the feature `files`, `Volumes::files` gives the files of a volume by path: to be read, written
//! and walked, and trees and tars to be imported and exported. `examples/files.rs` prepares the inputs of
//! a guest, runs it and collects its results.
//!
//! # What a store has lost
//!
//! [`open_store`] notices that the file of a [`RedbStore`] has lost durable applies that it had
//! acknowledged, by damage or because an older copy was put in its place: see [`Marked`], which does
//! the same for a store of your own. [`OpenOptions::accept_loss`] opens it all the same.
//! [`RedbSalvage`] reads around damage of a file, [`OpenOptions::repair_copy`] makes a sound store of
//! what can be read, and [`copy_store`] takes a store to another kind.
//!
//! # Closing
//!
//! A store is closed in order when its last handle is dropped, and, wherever handles are left, when
//! the process ends by returning from `main` or by [`std::process::exit`]. [`AnyStore::close`]
//! closes it at once and reports a failure, which the other ways can only print. A signal that ends
//! the process closes nothing, so a host that may be interrupted should catch it and exit.
//! [`RedbStore`] says what an unclosed file costs.
//!
//! # Errors
//!
//! A store's [`StoreError`] reaches the guest as an error code, which the file system turns into
//! the code of the file operation. A fault of the host ([`StoreError::Fault`], a panic of the
//! store) ends the guest with a trap.

#![warn(missing_docs)]

mod contract;
mod ends;
mod gate;
mod memory_limit;
mod store;

mod file_names;
mod marked;
mod open_error;
mod room;
mod std_directory;
mod view;
#[cfg(feature = "volumes")]
mod volumes_error;
mod wire;

mod alone;
mod audited;
mod below;
mod engine_store;
mod file_store;
mod limited;
mod linker;
mod memory;
mod namespaced;
mod redb_store;
#[cfg(feature = "remote")]
mod remote_store;

mod aliased;
#[cfg(feature = "layer-cache")]
mod layer_cached;
mod sealed;
#[cfg(feature = "volumes")]
mod volumes;

#[cfg(feature = "files")]
mod volume_files;

mod any_store;
mod store_url;

mod distant;

mod copying;
mod file_salvage;

mod open;

mod copy_store;
mod repair_copy;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use aliased::Aliased;
pub use any_store::AnyStore;
pub use audited::{AuditLine, Audited};
pub use contract::{
    Durability, Entry, Guard, Limits, MAX_ANSWER_BYTES, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_KEY_BYTES,
    MAX_SCAN_BYTES, MAX_SCAN_ENTRIES, MAX_VALUE_BYTES, Mutation, ScanBudget, StoreError, gather, key_range,
};
pub use copy_store::{CopyError, CopySide, CopyStep, StoreCopy, copy_store};
pub use copying::Amount;
pub use engine_store::EngineStore;
pub use file_salvage::FileSalvage;
pub use file_store::{FileOptions, FileStore, FileStoreReader, StoreAccess};
pub use kvfs_file_store::{Lost, Salvaged};
pub use kvfs_gathered::{MAX_BUFFERED_AGE, MAX_BUFFERED_BYTES};
#[cfg(feature = "layer-cache")]
pub use kvfs_layer_cache::{Counts as LayerCacheCounts, DEFAULT_MEMORY_BYTES, LayerCache, MAX_UNCHECKED};
pub use kvfs_sealed_store::{BadKey, OpenError as SealError, UserKey};
#[cfg(feature = "layer-cache")]
pub use layer_cached::LayerCached;
pub use limited::{Limited, Quota};
pub use linker::{INTERFACE, MAX_GUARDS, add_to_linker, add_to_linker_async};
pub use marked::{Mark, Marked, Rollback, mark_path, read_mark};
pub use memory::MemoryStore;
pub use memory_limit::MemoryLimit;
pub use namespaced::Namespaced;
pub use open::{
    OpenOptions, open_sealed_store, open_sealed_store_read_only, open_store, open_store_read_only,
    rekey_store, salvage_sealed_store, salvage_sealed_store_read_only,
};
pub use open_error::OpenError;
pub use redb_store::{Damage, RedbReader, RedbSalvage, RedbStore};
#[cfg(feature = "remote")]
pub use remote_store::RemoteStore;
pub use repair_copy::RepairCopy;
pub use sealed::Sealed;
pub use store::{BlockOn, Store, StoreFuture, SyncStore};
pub use store_url::{how_to_make_room, store_forms, without_secrets};
pub use view::{Calls, KvCtx, KvView};
#[cfg(feature = "volumes")]
pub use volumes::{SystemClock, Volumes};
#[cfg(feature = "volumes")]
pub use volumes_error::VolumesError;

pub use bytes::Bytes;
pub use kvfs_audit::RunId as AuditRun;
#[cfg(feature = "files")]
pub use kvfs_files::{
    Compression, Entry as FileEntry, Files, FilesError, Loss, Lost as LostEntries, Progress, Report,
    SharedFiles, Step, Walk, host_name, volume_name,
};
pub use kvfs_size::BadSize;
