//! `kvfs-contender-eryx WORKLOAD GUEST COMPONENT DIR [ARG...]`: runs a component on the file system
//! of eryx-vfs, with its in-memory storage.
//!
//! This is the command line of every contender. Only the component and its arguments matter here:
//! the files are in memory, and DIR stays empty. Standard output, standard error and the exit code
//! are the guest's; a trap ends with 1, and other failures with 2. Behind the guest's lines one says
//! how much memory the process took. `--name` prints the versions.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use eryx_vfs::{ArcStorage, InMemoryStorage, VfsCtx, VfsState, VfsView};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store};
use wasmtime_wasi::p2::bindings::{CommandPre, LinkOptions};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

const NAME: &str = "eryx-vfs 0.5.0 on wasmtime 44, in memory";
/// The guest's stack, as in the project's own benches. CPython needs more than the default.
const STACK_BYTES: usize = 64 << 20;
/// More than any workload prints.
const OUTPUT_BYTES: usize = 16 << 20;
/// Tells the guest to report an operation that fails as unsupported, and to go on.
const GO_ON: &str = "KVFS_BENCH_GO_ON";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments[..] {
        [only] if only == "--name" => {
            println!("{NAME}");
            Ok(ExitCode::SUCCESS)
        }
        [_workload, _guest, component, _dir, arguments @ ..] => run(Path::new(component), arguments),
        _ => Err(anyhow!("usage: kvfs-contender-eryx WORKLOAD GUEST COMPONENT DIR [ARG...], or --name")),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error:?}");
        ExitCode::from(2)
    })
}

fn run(path: &Path, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let engine = engine()?;
    let component = Component::from_file(&engine, path).map_err(anyhow::Error::from);
    let component = component.with_context(|| format!("compiling {}", path.display()))?;
    let output = MemoryOutputPipe::new(OUTPUT_BYTES);
    let mut store = Store::new(&engine, State::new(&output, arguments));
    // Its calls and their streams never wait for a reactor, so that one thread is the fastest.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(call(&mut store, &component));
    print!("{}", String::from_utf8_lossy(&output.contents()));
    if let Some(bytes) = peak_bytes() {
        println!("@process, peak\t1\t{bytes}");
    }
    Ok(match result {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(())) => ExitCode::FAILURE,
        Err(error) => match error.downcast_ref::<I32Exit>() {
            // WASI's codes have 8 bits.
            Some(exit) => ExitCode::from(exit.0 as u8),
            None => {
                eprintln!("the guest trapped: {error:?}");
                ExitCode::FAILURE
            }
        },
    })
}

/// Returns the most memory that this process has had, if the system tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// Makes an engine with the settings of the project's own benches.
fn engine() -> anyhow::Result<Engine> {
    let program = std::env::current_exe()?;
    let mut cache = CacheConfig::new();
    // Beside the program: it goes when the program goes.
    cache.with_directory(program.with_file_name("compiled"));
    let mut config = Config::new();
    config.cache(Some(Cache::new(cache)?));
    config.concurrency_support(false);
    config.max_wasm_stack(STACK_BYTES);
    config.async_stack_size(STACK_BYTES + (1 << 20));
    Ok(Engine::new(&config)?)
}

async fn call(store: &mut Store<State>, component: &Component) -> wasmtime::Result<Result<(), ()>> {
    let mut linker = Linker::new(store.engine());
    // The guests end with a code.
    let mut options = LinkOptions::default();
    options.cli_exit_with_code(true);
    wasmtime_wasi::p2::add_to_linker_with_options_async(&mut linker, &options)?;
    // It replaces wasi:filesystem alone, as its documentation shows.
    linker.allow_shadowing(true);
    eryx_vfs::add_vfs_to_linker(&mut linker).map_err(wasmtime::Error::from_anyhow)?;
    let command = CommandPre::new(linker.instantiate_pre(component)?)?.instantiate_async(&mut *store).await?;
    command.wasi_cli_run().call_run(store).await
}

struct State {
    wasi: WasiCtx,
    files: VfsCtx<ArcStorage>,
    table: ResourceTable,
}

impl State {
    fn new(output: &MemoryOutputPipe, arguments: &[String]) -> Self {
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(output.clone()).inherit_stderr().arg("guest").args(arguments).env(GO_ON, "1");
        let storage = ArcStorage::new(Arc::new(InMemoryStorage::new()));
        Self { wasi: wasi.build(), files: VfsCtx::new(storage), table: ResourceTable::new() }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl VfsView for State {
    type Storage = ArcStorage;

    fn vfs(&mut self) -> VfsState<'_, ArcStorage> {
        VfsState { ctx: &mut self.files, table: &mut self.table }
    }
}
