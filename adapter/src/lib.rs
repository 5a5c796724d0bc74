//! The file system as a component. It translates `wasi:filesystem` and `wasi:io` to the engine, and
//! the engine's store calls to `kvfs:store`. It has no policy of its own.
//!
//! It is compiled for `wasm32-unknown-unknown`, where no libc adds imports. Natively the crate is
//! empty. `wit/adapter.wit` has its imports and exports.
#![cfg(target_arch = "wasm32")]

// Faster than the target's default allocator, and 35 KB smaller. Like the default, it uses only
// memory from `memory.grow`, so data that composition places behind the initial memory stays
// intact.
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

// The ground: generated bindings, configuration, error codes, and the imported clock and store.
mod adapter;
mod bindings;
mod clock;
mod codes;
mod config;
mod errors;
mod heap;
#[cfg(feature = "host-mounts")]
mod host_slot;
mod store;

// Events: the audit log.
mod audit;

// The mounts of the component.
mod table;

// Pollables and streams.
mod poll;

mod input;

mod output;

// Files and directories of volumes.
mod descriptor;

// Files and directories of the host.
#[cfg(feature = "host-mounts")]
mod host;

// The type behind descriptors, which may be of either.
mod root;

// The exported interfaces of files, listings and streams.
mod calls;

// The other exports.
mod bridge;
#[cfg(feature = "volume-control")]
mod control;
#[cfg(not(feature = "host-mounts"))]
mod direct;
mod preopens;

#[allow(unsafe_code, unreachable_pub)]
mod exports {
    use crate::adapter::Adapter;
    crate::bindings::export!(Adapter with_types_in crate::bindings);
}
