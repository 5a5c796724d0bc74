//! Prepares the inputs of a guest, runs it, and collects its results:
//!
//!     cargo run -p kvfs-host --features files --example files -- INPUTS RESULTS [APP.wasm]
//!
//! INPUTS is a directory, whose files the guest finds in `/in`. What it leaves in `/out` comes to RESULTS.
//! APP.wasm is a component composed with `kvfs compose`, whose volume is `main`. Without it, the work is
//! done here: each input is copied in capital letters.

use kvfs::{Follow, Kind, Mode, Options};
use kvfs_host::{Files, FilesError, KvCtx, KvView, MemoryStore, Report, Volumes};
use std::ops::ControlFlow;
use std::path::Path;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

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

fn main() -> wasmtime::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [inputs, results, app @ ..] = &args[..] else {
        wasmtime::bail!("name a directory of inputs and one for results");
    };
    let store = MemoryStore::new();
    let volumes = Volumes::new(store.clone());
    volumes.create("main")?;

    // In mode `lazy`, files are handed to the store many at once.
    let mut files = volumes.files(Options { mode: Mode::Lazy, ..Options::default() })?;
    let report = files.import_tree(Path::new(inputs), "/in", &mut quiet)?;
    files.make_directories("/out")?;
    files.close()?;
    println!("in: {} files, {} bytes", report.files, report.bytes);
    for (loss, lost) in report.lost() {
        eprintln!("not held: {} {}, such as {}", lost.count, loss.words(), lost.named.join(", "));
    }

    match app {
        [app, ..] => run(&store, app)?,
        [] => shout(&mut volumes.files(Options::default())?)?,
    }

    let report = volumes.look("main", None)?.export_tree("/out", Path::new(results), &mut quiet)?;
    println!("out: {} files, {} bytes", report.files, report.bytes);
    Ok(())
}

fn quiet(_: &Report) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn run(store: &MemoryStore, app: &str) -> wasmtime::Result<()> {
    let engine = Engine::new(Config::new().concurrency_support(false))?;
    let component = Component::from_file(&engine, app)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    kvfs_host::add_to_linker(&mut linker)?;
    let state = State {
        wasi: WasiCtx::builder().inherit_stdio().arg(app).build(),
        table: ResourceTable::new(),
        kv: KvCtx::new(store.clone()),
    };
    let mut instance = Store::new(&engine, state);
    let command = Command::instantiate(&mut instance, &component, &linker)?;
    match command.wasi_cli_run().call_run(&mut instance)? {
        Ok(()) => Ok(()),
        Err(()) => wasmtime::bail!("the guest failed"),
    }
}

/// The work of the guest, for those who have none.
fn shout(files: &mut Files) -> Result<(), FilesError> {
    let mut walk = files.walk("/in", Follow::No);
    while let Some(step) = walk.next(files)? {
        if step.stat.kind == Kind::File {
            let text = files.read(walk.path(), 1 << 20)?;
            files.write(&format!("/out/{}", walk.name()), &text.to_ascii_uppercase())?;
        }
    }
    files.sync()
}
