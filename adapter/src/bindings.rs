//! What wit-bindgen makes of the adapter's world.
#![allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]

#[cfg(not(feature = "host-mounts"))]
wit_bindgen::generate!({
    path: "../wit",
    world: "kvfs:adapter/adapter",
    generate_all,
    // Calls to the store lend what they carry: nothing is copied on the way out.
    ownership: Borrowing { duplicate_if_necessary: true },
    pub_export_macro: true,
});

#[cfg(feature = "host-mounts")]
wit_bindgen::generate!({
    path: "../wit",
    world: "kvfs:adapter/adapter-with-host",
    generate_all,
    // Calls to the store lend what they carry: nothing is copied on the way out.
    ownership: Borrowing { duplicate_if_necessary: true },
    pub_export_macro: true,
});
