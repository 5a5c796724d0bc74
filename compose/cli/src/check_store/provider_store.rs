//! A provider component as a store of the host: an instance of it in wasmtime.

use crate::runtime::{base_config, plain};
use crate::terminal::one_line;
use anyhow::{Context, Result};
use bindings::exports::kvfs::store::kv_store as wit;
use kvfs_buckets::{Buckets, BucketsView};
use kvfs_contract::convert_error;
use kvfs_host::{Bytes, Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store, Trap};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

#[allow(missing_docs)]
mod bindings {
    wasmtime::component::bindgen!({ path: "../../wit/store", world: "kvfs:store/provider" });
}

/// A compiled provider, and the directories and buckets for its instances.
pub(super) struct Program<'a> {
    component: Component,
    directories: &'a [(PathBuf, String)],
    /// Outlives the instances: each finds what earlier ones have stored.
    buckets: Buckets,
}

impl<'a> Program<'a> {
    pub(super) fn new(bytes: &[u8], directories: &'a [(PathBuf, String)]) -> Result<Self> {
        let mut config = base_config();
        // A provider that does not return can then be ended.
        config.epoch_interruption(true);
        let engine = Engine::new(&config).map_err(plain)?;
        let component = Component::new(&engine, bytes).map_err(plain).context("cannot compile it")?;
        Ok(Self { component, directories, buckets: Buckets::default() })
    }

    /// Makes every instance trap, at the latest at its next call.
    pub(super) fn interrupt(&self) {
        self.component.engine().increment_epoch();
    }
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    buckets: Buckets,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

struct Instance {
    store: Store<State>,
    provider: bindings::Provider,
}

/// An instance of a provider. Dropping it ends it without notice, as a kill would.
pub(super) struct ProviderStore(Mutex<Instance>);

impl ProviderStore {
    /// Makes an instance.
    pub(super) fn start(program: &Program<'_>) -> Result<Self> {
        let engine = program.component.engine();
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).map_err(plain)?;
        kvfs_buckets::add_to_linker(&mut linker, |state: &mut State| BucketsView {
            buckets: &state.buckets,
            table: &mut state.table,
        })
        .map_err(plain)?;
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr().allow_blocking_current_thread(true);
        for (host, guest) in program.directories {
            wasi.preopened_dir(host, guest, FsPerms::ReadWrite)
                .map_err(plain)
                .with_context(|| format!("cannot open {}; check the path", host.display()))?;
        }
        let buckets = program.buckets.clone();
        let mut store =
            Store::new(engine, State { wasi: wasi.build(), table: ResourceTable::new(), buckets });
        store.set_epoch_deadline(1);
        let provider = bindings::Provider::instantiate(&mut store, &program.component, &linker)
            .map_err(plain)
            .context("cannot start it; it may import interfaces that only its own host provides")?;
        Ok(Self(Mutex::new(Instance { store, provider })))
    }

    fn lock(&self) -> Result<MutexGuard<'_, Instance>, StoreError> {
        self.0.lock().map_err(|_| StoreError::Fault("a thread panicked while it called the provider".into()))
    }
}

/// Makes a trap of a call a fault of the store.
fn answer<T>(function: &str, called: wasmtime::Result<Result<T, wit::Error>>) -> Result<T, StoreError> {
    match called {
        Ok(answer) => answer.map_err(store_error),
        Err(error) => Err(StoreError::Fault(match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => {
                format!("the provider was still in `{function}` when the time was over, and was interrupted")
            }
            // The errors around the root cause are stack frames.
            _ => {
                format!("the provider trapped in `{function}`: {}", one_line(&error.root_cause().to_string()))
            }
        })),
    }
}

impl SyncStore for ProviderStore {
    fn limits(&self) -> Result<Limits, StoreError> {
        let Instance { store, provider } = &mut *self.lock()?;
        let limits = answer("get-limits", provider.kvfs_store_kv_store().call_get_limits(store))?;
        Ok(Limits {
            max_key_bytes: limits.max_key_bytes,
            max_value_bytes: limits.max_value_bytes,
            max_batch_entries: limits.max_batch_entries,
            max_batch_bytes: limits.max_batch_bytes,
            durable: limits.durable,
        })
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let Instance { store, provider } = &mut *self.lock()?;
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
        let values = answer("get", provider.kvfs_store_kv_store().call_get(store, &keys))?;
        Ok(values.into_iter().map(|value| value.map(Bytes::from)).collect())
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let Instance { store, provider } = &mut *self.lock()?;
        let called = provider.kvfs_store_kv_store().call_scan(store, start, end, max_entries, max_bytes);
        let entry = |entry: wit::Entry| Entry { key: entry.key.into(), value: entry.value.into() };
        Ok(answer("scan", called)?.into_iter().map(entry).collect())
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let guard = |guard: &Guard<'_>| wit::Guard {
            key: guard.key.to_vec(),
            expected: guard.expected.map(<[u8]>::to_vec),
        };
        let guards: Vec<_> = guards.iter().map(guard).collect();
        let mutation = |mutation: &Mutation<'_>| match mutation.value() {
            Some(value) => {
                wit::Mutation::Put(wit::Entry { key: mutation.key().to_vec(), value: value.to_vec() })
            }
            None => wit::Mutation::Delete(mutation.key().to_vec()),
        };
        let mutations: Vec<_> = mutations.iter().map(mutation).collect();
        let level = match level {
            Durability::Buffered => wit::Durability::Buffered,
            Durability::Durable => wit::Durability::Durable,
        };
        let Instance { store, provider } = &mut *self.lock()?;
        answer("apply", provider.kvfs_store_kv_store().call_apply(store, &guards, &mutations, level))
    }
}

fn store_error(error: wit::Error) -> StoreError {
    use wit::Error;
    convert_error!(error, Error => StoreError)
}
