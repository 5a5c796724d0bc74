//! The provider `memory`: a store in the component's own memory, gone with the instance.
//!
//! It imports nothing. Composition fixes its size with a line `size=BYTES`.

mod store;

pub use kvfs_contract::ENTRY_OVERHEAD_BYTES;
pub use store::{DEFAULT_SIZE_BYTES, MAX_SIZE_BYTES, MemoryStore};

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::MemoryStore;
    use kvfs_provider_kit::{Singleton, StoreError};
    use std::cell::RefCell;

    #[global_allocator]
    static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

    thread_local! {
        static STORE: RefCell<MemoryStore> =
            RefCell::new(MemoryStore::configured(&kvfs_wasm_config::text()));
    }

    struct Component;

    impl Singleton for Component {
        type Store = MemoryStore;

        fn with<T>(ask: impl FnOnce(&mut MemoryStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
            STORE.with(|store| match store.try_borrow_mut() {
                Ok(mut store) => ask(&mut store),
                // Nothing in here calls out, so nothing can call back in.
                Err(_) => Err(StoreError::Other("the memory store was called from within itself".into())),
            })
        }
    }

    #[allow(unsafe_code, unreachable_pub)]
    mod exports {
        use super::Component;
        kvfs_provider_kit::bindings::export!(Component with_types_in kvfs_provider_kit::bindings);
    }
}
