//! The provider `http`: a store that `kvfs store-server` keeps on another machine, over `wasi:http`.
//!
//! Composition writes these lines:
//! - `server=URL`: where the server is;
//! - `token=TOKEN`: what the server asks for.
//!
//! Each call of the store is one request.

#[cfg(target_arch = "wasm32")]
mod store;
#[cfg(target_arch = "wasm32")]
mod wasi;

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::store::HttpStore;
    use kvfs_provider_kit::{Singleton, StoreError};
    use std::cell::RefCell;

    #[global_allocator]
    static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

    thread_local! {
        static STORE: RefCell<Option<HttpStore>> = const { RefCell::new(None) };
    }

    struct Component;

    impl Singleton for Component {
        type Store = HttpStore;

        fn with<T>(ask: impl FnOnce(&mut Self::Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
            STORE.with(|held| {
                // Nothing in here calls out to anybody who could call back in.
                let Ok(mut held) = held.try_borrow_mut() else {
                    return Err(StoreError::Other("the store was called from within itself".into()));
                };
                let store = match &mut *held {
                    Some(store) => store,
                    None => held.insert(HttpStore::of_config(&kvfs_wasm_config::text())?),
                };
                ask(store)
            })
        }
    }

    #[allow(unsafe_code, unreachable_pub)]
    mod exports {
        use super::Component;
        kvfs_provider_kit::bindings::export!(Component with_types_in kvfs_provider_kit::bindings);
    }
}
