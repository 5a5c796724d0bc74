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

mod bridge;
mod clock;
mod codes;
mod config;
mod descriptor;
#[cfg(not(feature = "host-mounts"))]
mod direct;
mod errors;
#[cfg(feature = "host-mounts")]
mod host;
mod input;
mod output;
mod poll;
mod preopens;
mod store;
mod table;

/// What wit-bindgen makes of a world.
macro_rules! bindings {
    ($world:tt) => {
        #[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
        mod bindings {
            wit_bindgen::generate!({
                path: "../wit",
                world: $world,
                generate_all,
                // Calls to the store lend what they carry: nothing is copied on the way out.
                ownership: Borrowing { duplicate_if_necessary: true },
                pub_export_macro: true,
            });
        }
    };
}

#[cfg(not(feature = "host-mounts"))]
bindings!("kvfs:adapter/adapter");
#[cfg(feature = "host-mounts")]
bindings!("kvfs:adapter/adapter-with-host");

/// What a descriptor that the guest has is open on.
#[cfg(not(feature = "host-mounts"))]
use descriptor::Object as Root;
#[cfg(feature = "host-mounts")]
use host::Object as Root;

/// What implements the exported interfaces.
struct Adapter;

#[allow(unsafe_code, unreachable_pub)]
mod exports {
    use crate::Adapter;
    crate::bindings::export!(Adapter with_types_in crate::bindings);
}
