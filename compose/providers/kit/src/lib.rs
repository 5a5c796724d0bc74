//! What the provider components of kvfs share.
//!
//! A provider is a component that exports `kvfs:store/kv-store`. Here it is a type that implements
//! [`Provider`] and a place that holds the one of the component, [`Place`]; [`export!`](bindings::export)
//! makes the component's exports of the place. The rules of the contract that need nothing of a store
//! (limits, paging) are in [`limits`].
//!
//! Everything compiles natively too, where the feature `native` makes a store of the host crate of any
//! provider, so that it is tested as such.

pub mod limits;
#[cfg(feature = "native")]
pub mod native;

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

pub use bindings::exports::kvfs::store::kv_store::{
    Durability, Entry, Error, Guard, Guest, Limits, Mutation,
};

/// A store inside a component. The contract of each function is that of `kvfs:store/kv-store`.
///
/// What comes in is owned: a value can be kept without a copy.
pub trait Provider {
    /// Returns the store's limits. Always the same answer.
    fn limits(&self) -> Limits;

    /// Returns the values of keys, in their order.
    fn get(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error>;

    /// Returns a page of the entries with `start <= key < end`; an empty `end` is the end of the store.
    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, Error>;

    /// Applies all mutations if all guards hold, or changes nothing.
    fn apply(&mut self, guards: Vec<Guard>, mutations: Vec<Mutation>, level: Durability)
    -> Result<(), Error>;
}

/// Where a component keeps its one provider.
pub trait Place {
    /// The provider.
    type Store: Provider;

    /// Calls `ask` with the provider, made or opened before if this is the first call.
    fn with<T>(ask: impl FnOnce(&mut Self::Store) -> Result<T, Error>) -> Result<T, Error>;
}

impl<P: Place> Guest for P {
    fn get_limits() -> Result<Limits, Error> {
        P::with(|store| Ok(store.limits()))
    }

    fn get(keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        P::with(|store| store.get(&keys))
    }

    fn scan(start: Vec<u8>, end: Vec<u8>, max_entries: u32, max_bytes: u32) -> Result<Vec<Entry>, Error> {
        P::with(|store| store.scan(&start, &end, max_entries, max_bytes))
    }

    fn apply(guards: Vec<Guard>, mutations: Vec<Mutation>, level: Durability) -> Result<(), Error> {
        P::with(|store| store.apply(guards, mutations, level))
    }
}
