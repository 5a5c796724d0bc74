//! Runs a component composed with `kvfs compose` on a store in memory:
//!
//!     cargo run -p kvfs-host --example embed -- app.wasm [ARGS]
//!
//! Three numbered steps come on top of what any WASI host does. The example trusts app.wasm: a
//! component made by somebody else goes through `kvfs_compose::recompose` first, or it may ask for
//! the store itself.

use kvfs_host::{KvCtx, KvView, MemoryStore};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    kv: KvCtx,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

// 1. Say where the store is in the host's state.
impl KvView for State {
    fn kv(&mut self) -> &mut KvCtx {
        &mut self.kv
    }
}

fn main() -> wasmtime::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(path) = args.first() else { wasmtime::bail!("usage: embed APP.wasm [ARGS]") };

    // WASI 0.2 needs no concurrent calls, and file calls take half the time without support for
    // them.
    let engine = Engine::new(Config::new().concurrency_support(false))?;
    let component = Component::from_file(&engine, path)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    // 2. Define kvfs:store for the guest. The host needs to know nothing about files.
    kvfs_host::add_to_linker(&mut linker)?;

    // 3. Give the guest a store. No directory is preopened: its files are only in the store.
    //    `FileStore::open("state")?` instead keeps them for the next run.
    let kv = KvCtx::new(MemoryStore::new());
    let wasi = WasiCtx::builder().args(&args).inherit_stdio().build();
    let mut store = Store::new(&engine, State { wasi, table: ResourceTable::new(), kv });

    let command = Command::instantiate(&mut store, &component, &linker)?;
    let result = command.wasi_cli_run().call_run(&mut store);
    eprintln!("the guest made {} calls to the store", store.data().kv.calls().total());
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(())) => std::process::exit(1),
        Err(error) => std::process::exit(error.downcast::<I32Exit>()?.0),
    }
}
