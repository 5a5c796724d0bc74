//! Runs a component composed with `kvfs compose`, with bounds on its time, its memory and its
//! stored bytes:
//!
//!     cargo run -p kvfs-host --example bounded -- app.wasm [ARGS]
//!
//! host/BOUNDS.md says what each bound covers, and what it does not.

use std::process::ExitCode;
use std::time::Duration;

use kvfs_host::{KvCtx, KvView, Limited, MemoryLimit, MemoryStore, Quota};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store, Trap};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

/// The time the guest may run.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The memory of the guest and of the file system in it.
const MEMORY_BYTES: usize = 256 << 20;
/// The size of all keys and values in its store.
const STORED_BYTES: u64 = 64 << 20;

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    kv: KvCtx,
    memory: MemoryLimit,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl KvView for State {
    fn kv(&mut self) -> &mut KvCtx {
        &mut self.kv
    }
}

fn main() -> wasmtime::Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(path) = args.first() else { wasmtime::bail!("usage: bounded APP.wasm [ARGS]") };

    // Time: the guest checks a counter at each loop and call.
    let engine = Engine::new(Config::new().concurrency_support(false).epoch_interruption(true))?;
    let component = Component::from_file(&engine, path)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    kvfs_host::add_to_linker(&mut linker)?;

    // Stored bytes.
    let kv = KvCtx::new(Limited::new(MemoryStore::new(), Quota::total_bytes(STORED_BYTES)));
    let wasi = WasiCtx::builder().args(&args).inherit_stdio().build();
    let memory = MemoryLimit::new(MEMORY_BYTES);
    let mut store = Store::new(&engine, State { wasi, table: ResourceTable::new(), kv, memory });
    // Memory.
    store.limiter(|state| &mut state.memory);
    // The guest traps after one tick; the only tick comes when its time is over.
    store.set_epoch_deadline(1);
    std::thread::spawn(move || {
        std::thread::sleep(TIMEOUT);
        engine.increment_epoch();
    });

    let command = Command::instantiate(&mut store, &component, &linker)?;
    Ok(match command.wasi_cli_run().call_run(&mut store) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(())) => ExitCode::FAILURE,
        Err(error) => match (error.downcast_ref::<I32Exit>(), error.downcast_ref::<Trap>()) {
            (Some(exit), _) => ExitCode::from(exit.0.clamp(0, 255) as u8),
            (None, Some(Trap::Interrupt)) => {
                eprintln!("the guest was stopped after {TIMEOUT:?}");
                ExitCode::from(124)
            }
            _ if store.data().memory.has_refused() => {
                eprintln!("the guest needs more than {MEMORY_BYTES} bytes of memory");
                ExitCode::from(137)
            }
            _ => return Err(error),
        },
    })
}
