//! The common part of the provider components of kvfs.
//!
//! A provider is a component that exports `kvfs:store/kv-store`. Here it is a type that implements
//! [`Provider`], as every [`KvStore`] does, and a [`Singleton`] that holds the component's one
//! provider. [`export!`](bindings::export) makes the exports of the singleton.
//!
//! Everything compiles natively too. The feature `native` makes a store of the host crate of any
//! provider, to test it as such.

mod exports;
#[cfg(feature = "native")]
pub mod native;
mod provider;

/// The contract's types and the macro `export!`, generated from `wit/store`.
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/store",
        world: "kvfs:store/provider",
        pub_export_macro: true,
        default_bindings_module: "kvfs_provider_kit::bindings",
    });
}

pub use exports::Singleton;
pub use kvfs_contract::{Durability, KvStore, Limits, StoreError};
pub use provider::{Entry, Guard, Mutation, Provider};
