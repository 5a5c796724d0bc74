//! The provider `keyvalue`: a store in a bucket of `wasi:keyvalue`.
//!
//! The store itself is `kvfs-bucket-store`; this is its contract and its bucket. Composition may write a line
//! `bucket=NAME`: what the bucket is called, [`DEFAULT_BUCKET`] unless told.

mod provider;
#[cfg(target_arch = "wasm32")]
mod wasi;

pub use provider::BucketProvider;

/// What the bucket is called: the only one that wasmtime has.
pub const DEFAULT_BUCKET: &str = "";

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::wasi::{WasiBucket, random};
    use crate::{BucketProvider, DEFAULT_BUCKET};
    use kvfs_provider_kit::{Error, Place};
    use std::cell::RefCell;

    #[global_allocator]
    static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

    /// The one store of the component.
    enum Open {
        NotYet,
        Is(BucketProvider<WasiBucket>),
        /// Another opener was newer: to try again would take the store from it.
        Overtaken,
    }

    thread_local! {
        static STORE: RefCell<Open> = const { RefCell::new(Open::NotYet) };
    }

    struct Component;

    impl Place for Component {
        type Store = BucketProvider<WasiBucket>;

        fn with<T>(ask: impl FnOnce(&mut Self::Store) -> Result<T, Error>) -> Result<T, Error> {
            STORE.with(|place| {
                // Nothing in here calls out to anybody who could call back in.
                let Ok(mut place) = place.try_borrow_mut() else {
                    return Err(Error::Other("the bucket's store was called from within itself".into()));
                };
                if let Open::NotYet = *place {
                    // What cannot be opened is tried again at the next call.
                    *place = open()?;
                }
                match &mut *place {
                    Open::Is(store) => ask(store),
                    Open::NotYet | Open::Overtaken => Err(Error::AccessDenied),
                }
            })
        }
    }

    fn open() -> Result<Open, Error> {
        let text = kvfs_wasm_config::text();
        let name = text.lines().find_map(|line| line.strip_prefix("bucket=")).unwrap_or(DEFAULT_BUCKET);
        // Opened once: wasmtime's buckets in memory are copied each time.
        let bucket = WasiBucket::open(name)
            .map_err(|error| Error::Unavailable(format!("the bucket `{name}` cannot be opened: {error}")))?;
        Ok(BucketProvider::open(bucket, random())?.map_or(Open::Overtaken, Open::Is))
    }

    #[allow(unsafe_code, unreachable_pub)]
    mod exports {
        use super::Component;
        kvfs_provider_kit::bindings::export!(Component with_types_in kvfs_provider_kit::bindings);
    }
}
