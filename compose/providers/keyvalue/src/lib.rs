//! The provider `keyvalue`: a store in a bucket of `wasi:keyvalue`.
//!
//! The store itself is `kvfs-bucket-store`; this gives it a bucket of WASI and exports it.
//! Composition may write a line `bucket=NAME`: the name of the bucket, [`DEFAULT_BUCKET`] unless
//! told.

#[cfg(target_arch = "wasm32")]
mod wasi;

/// The default name of the bucket: the only one that wasmtime has.
pub const DEFAULT_BUCKET: &str = "";

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::DEFAULT_BUCKET;
    use crate::wasi::{WasiBucket, random};
    use kvfs_bucket_store::{BucketStore, OpenError};
    use kvfs_provider_kit::{Singleton, StoreError};
    use std::cell::RefCell;

    #[global_allocator]
    static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

    /// The one store of the component.
    enum Open {
        NotYet,
        Is(BucketStore<WasiBucket>),
        /// A newer opener has the store. Another attempt would take it from that one.
        Overtaken,
    }

    thread_local! {
        static STORE: RefCell<Open> = const { RefCell::new(Open::NotYet) };
    }

    struct Component;

    impl Singleton for Component {
        type Store = BucketStore<WasiBucket>;

        fn with<T>(ask: impl FnOnce(&mut Self::Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
            STORE.with(|held| {
                // Nothing in here calls out to anybody who could call back in.
                let Ok(mut held) = held.try_borrow_mut() else {
                    return Err(StoreError::Other("the bucket's store was called from within itself".into()));
                };
                if let Open::NotYet = *held {
                    // The next call tries again to open what cannot be opened.
                    *held = open()?;
                }
                match &mut *held {
                    Open::Is(store) => ask(store),
                    Open::NotYet | Open::Overtaken => Err(StoreError::AccessDenied),
                }
            })
        }
    }

    fn open() -> Result<Open, StoreError> {
        let text = kvfs_wasm_config::text();
        let name = text.lines().find_map(|line| line.strip_prefix("bucket=")).unwrap_or(DEFAULT_BUCKET);
        // Opened once: wasmtime copies its buckets in memory each time.
        let bucket = WasiBucket::open(name).map_err(|error| {
            StoreError::Unavailable(format!("the bucket `{name}` cannot be opened: {error}"))
        })?;
        match BucketStore::open(bucket, random()) {
            Ok(store) => Ok(Open::Is(store)),
            Err(OpenError::Overtaken) => Ok(Open::Overtaken),
            Err(OpenError::Store(error)) => Err(error),
        }
    }

    #[allow(unsafe_code, unreachable_pub)]
    mod exports {
        use super::Component;
        kvfs_provider_kit::bindings::export!(Component with_types_in kvfs_provider_kit::bindings);
    }
}
