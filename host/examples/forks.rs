//! Runs a thousand jobs, each on a fork of one prepared volume, and keeps what one of them made:
//!
//!     cargo run -p kvfs-host --features volumes --example forks -- [APP.wasm]
//!
//! With APP.wasm, a component composed with `kvfs compose`, each job is a run of it; its volume is
//! `main`. Without, each job opens its fork by itself and changes one file.

use kvfs::{Access, At, Follow, OpenFlags, Options, Volume};
use kvfs_host::{Aliased, KvCtx, KvView, MemoryStore, Volumes, VolumesError};
use std::time::Instant;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

const JOBS: usize = 1_000;

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

impl KvView for State {
    fn kv(&mut self) -> &mut KvCtx {
        &mut self.kv
    }
}

/// A guest that is compiled once for all of its runs.
struct Guest {
    engine: Engine,
    component: Component,
    linker: Linker<State>,
}

impl Guest {
    fn load(path: &str) -> wasmtime::Result<Self> {
        let engine = Engine::new(Config::new().concurrency_support(false))?;
        let component = Component::from_file(&engine, path)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        kvfs_host::add_to_linker(&mut linker)?;
        Ok(Self { engine, component, linker })
    }

    fn run(&self, store: &MemoryStore, fork: &str) -> wasmtime::Result<()> {
        // The guest knows its volume as `main`: the fork takes this name for it alone.
        let kv = KvCtx::new(Aliased::new(store.clone(), fork, "main").map_err(wasmtime::Error::from)?);
        let wasi = WasiCtx::builder().arg("app").arg(fork).build();
        let mut instance = Store::new(&self.engine, State { wasi, table: ResourceTable::new(), kv });
        let command = Command::instantiate(&mut instance, &self.component, &self.linker)?;
        match command.wasi_cli_run().call_run(&mut instance)? {
            Ok(()) => Ok(()),
            Err(()) => wasmtime::bail!("{fork}: the guest failed"),
        }
    }
}

fn main() -> wasmtime::Result<()> {
    let guest = std::env::args().nth(1).map(|path| Guest::load(&path)).transpose()?;
    let store = MemoryStore::new();
    let volumes = Volumes::new(store.clone());

    // One prepared tree.
    let mut prepared = open(&volumes, "prepared")?;
    for number in 0..100 {
        write(&mut prepared, &format!("input-{number}"), &[b'x'; 2_000])?;
    }
    prepared.sync_all()?;
    drop(prepared);
    volumes.freeze("prepared")?;

    let began = Instant::now();
    for job in 0..JOBS {
        let fork = format!("job-{job}");
        volumes.fork("prepared", &fork)?;
        match &guest {
            Some(guest) => guest.run(&store, &fork)?,
            None => {
                let mut volume = open(&volumes, &fork)?;
                write(&mut volume, "input-7", fork.as_bytes())?;
                volume.sync_all()?;
            }
        }
    }
    println!("{JOBS} jobs on {JOBS} forks: {:?} each", began.elapsed() / JOBS as u32);

    // One of them is worth keeping; the others are thrown away.
    volumes.rename("job-7", "result")?;
    for name in volumes.names()? {
        if name.starts_with("job-") {
            volumes.remove(&name)?;
        }
    }
    let mut records = 0;
    loop {
        let step = volumes.collect(10_000)?;
        records += step.records;
        if step.done {
            break;
        }
    }
    println!("kept {:?}; freed {records} records of the others", volumes.names()?);
    Ok(())
}

fn open(volumes: &Volumes<MemoryStore>, name: &str) -> Result<Volume, VolumesError> {
    volumes.open(Options { volume: name.to_owned(), ..Options::default() })
}

fn write(volume: &mut Volume, name: &str, bytes: &[u8]) -> Result<(), kvfs::Error> {
    let root = volume.root()?;
    let create = OpenFlags { create: true, truncate: true, ..OpenFlags::default() };
    let write = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, name, Follow::No, create, write)?;
    volume.write(&file, At::Offset(0), bytes)?;
    volume.close(file)?;
    volume.close(root)
}
