//! The provider `file`: a store in the files of one directory that the host preopens.
//!
//! The store itself is `kvfs-file-store`, which the host crate opens too; this gives it a directory
//! of WASI and exports it. Composition may write these lines:
//! - `path=GUEST-PATH`: the name under which the host preopens the directory, [`DEFAULT_PATH`] unless
//!   told;
//! - `accept-loss=true`: a store that has lost what was durable is opened with what is left.
//!
//! With the feature `sealed`, the store is encrypted with a key from a second directory.

#[cfg(target_arch = "wasm32")]
mod wasi;

#[cfg(all(target_arch = "wasm32", feature = "sealed"))]
mod sealed;

/// The name under which the host preopens the directory.
pub const DEFAULT_PATH: &str = "/kvfs";

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::DEFAULT_PATH;
    use crate::wasi::WasiDirectory;
    use kvfs_file_store::{COPY_MARKER_KEY, FileStore, Options, with_remedy};
    use kvfs_provider_kit::{Singleton, StoreError};
    use std::cell::RefCell;

    #[cfg(not(feature = "sealed"))]
    type Store = FileStore<WasiDirectory>;
    #[cfg(feature = "sealed")]
    type Store = crate::sealed::Sealed;

    #[global_allocator]
    static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

    /// A component's memory never shrinks, so its cache is smaller than a host's.
    const OPTIONS: Options = Options { max_cache_bytes: 8 << 20, ..Options::DEFAULT };

    thread_local! {
        static STORE: RefCell<Option<Store>> = const { RefCell::new(None) };
    }

    struct Component;

    impl Singleton for Component {
        type Store = Store;

        fn with<T>(ask: impl FnOnce(&mut Self::Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
            STORE.with(|held| {
                // Nothing in here calls out to anybody who could call back in.
                let Ok(mut held) = held.try_borrow_mut() else {
                    return Err(StoreError::Other("the file store was called from within itself".into()));
                };
                let store = match &mut *held {
                    Some(store) => store,
                    // The next call tries again to open what cannot be opened.
                    None => held.insert(open()?),
                };
                ask(store)
            })
        }
    }

    fn open() -> Result<Store, StoreError> {
        let text = kvfs_wasm_config::text();
        let path = text.lines().find_map(|line| line.strip_prefix("path=")).unwrap_or(DEFAULT_PATH);
        let directory = WasiDirectory::find(path).ok_or_else(|| {
            StoreError::Unavailable(format!(
                "no directory is preopened as {path}; run with --dir DIR::{path}"
            ))
        })?;
        let accept_loss = text.lines().any(|line| line == "accept-loss=true");
        let options = Options { accept_loss, ..OPTIONS };
        let mut store = FileStore::open_with(directory, options).map_err(with_remedy)?;
        if store.value(COPY_MARKER_KEY).map_err(with_remedy)?.is_some() {
            return Err(StoreError::Unavailable(format!(
                "the store in {path} is a copy that was cut off; go on with `kvfs store copy --continue`, or remove it"
            )));
        }
        #[cfg(feature = "sealed")]
        let store = crate::sealed::seal(store)?;
        Ok(store)
    }

    #[allow(unsafe_code, unreachable_pub)]
    mod exports {
        use super::Component;
        kvfs_provider_kit::bindings::export!(Component with_types_in kvfs_provider_kit::bindings);
    }
}
