//! The file system as a component: translates `wasi:filesystem` and `wasi:io` to the engine, and the
//! engine's store calls to `kvfs:store`. No policy of its own.
//!
//! It is compiled for `wasm32-unknown-unknown`, where no libc imports WASI behind its back, and natively
//! is an empty crate. See `wit/adapter.wit` for what it imports and exports.
#![cfg(target_arch = "wasm32")]

// Faster than the target's default and 35 KB smaller. Like it, it takes only what `memory.grow` gives,
// so data that composition places behind the initial memory stays where it is.
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

// The ground: generated bindings, the host's clock and store as the engine takes them, error codes.
mod adapter;
mod bindings;
mod clock;
mod codes;
mod config;
mod errors;
mod store;

// The mounts of the component.
mod table;

// Streams, and what waits for them.
mod poll;

mod input;

mod output;

// Files and directories of volumes.
mod descriptor;

// Those of the host beside them.
#[cfg(feature = "host-mounts")]
mod host;

// Either.
mod root;

// What is exported beside them.
mod bridge;
#[cfg(not(feature = "host-mounts"))]
mod direct;
mod preopens;

#[allow(unsafe_code, unreachable_pub)]
mod exports {
    use crate::adapter::Adapter;
    crate::bindings::export!(Adapter with_types_in crate::bindings);
}
