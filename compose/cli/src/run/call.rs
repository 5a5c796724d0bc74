//! Calls a compiled guest, and makes an exit code and messages of how it ended.

use super::args::RunArgs;
use super::bounds::{self, Bounds, Watchdog};
use crate::mounted::MountedDirectory;
use crate::runtime::{imports, plain};
use crate::terminal::{one_line, warn, warn_with};
use anyhow::{Context, Result};
use kvfs_compose::Visible;
use kvfs_host::{KvCtx, KvView, MemoryLimit, StoreError, how_to_make_room};
use std::process::ExitCode;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Store, Trap, WasmBacktrace};
use wasmtime_wasi::p2::bindings::sync::{Command, LinkOptions};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxView, WasiView};

/// Exit code after a trap: what a shell shows for a program that aborted.
const TRAPPED: u8 = 134;

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

pub(super) fn call(
    args: &RunArgs,
    component: &Component,
    directories: &[MountedDirectory],
    kv: impl kvfs_host::Store + 'static,
) -> Result<ExitCode> {
    let mut linker = Linker::new(component.engine());
    // Toolchains import this part of WASI 0.2, which is off by default.
    let mut options = LinkOptions::default();
    options.network_error_code(true);
    wasmtime_wasi::p2::add_to_linker_with_options_sync(&mut linker, &options).map_err(plain)?;
    kvfs_host::add_to_linker(&mut linker).map_err(plain)?;

    let mut wasi = WasiCtx::builder();
    // One guest, one thread: nothing else is held up.
    wasi.allow_blocking_current_thread(true);
    wasi.inherit_stdio().envs(&args.env);
    wasi.arg(args.guest().file_name().unwrap_or_default().to_string_lossy());
    wasi.args(args.guest_args());
    if args.inherit_network {
        wasi.inherit_network().allow_tcp(true).allow_udp(true).allow_ip_name_lookup(true);
    }
    // A provider in the component may use directories for itself.
    let has_provider = !imports(component, "kvfs:store/kv-store@");
    for (host, preopen) in &args.dir {
        let mut mounts = directories.iter().filter(|mount| mount.preopen == *preopen).peekable();
        let only_read = !has_provider && mounts.peek().is_some() && mounts.all(|mount| mount.read_only);
        let access = if only_read { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        wasi.preopened_dir(host, preopen, access)
            .map_err(plain)
            .with_context(|| format!("cannot open the directory {}", host.display()))?;
    }
    let Bounds { timeout, max_memory, max_fuel } = args.bounds;
    let max_bytes = max_memory.map_or(usize::MAX, |size| size.0.try_into().unwrap_or(usize::MAX));
    let (kv, memory) = (KvCtx::new(kv), MemoryLimit::new(max_bytes));
    let state = State { wasi: wasi.build(), table: ResourceTable::new(), kv, memory };
    let mut store = Store::new(component.engine(), state);
    store.limiter(|state| &mut state.memory);
    if let Some(fuel) = max_fuel {
        store.set_fuel(fuel).map_err(plain)?;
    }
    // The watchdog's tick is the only one.
    store.set_epoch_deadline(1);
    let guest = args.guest().display();
    let watchdog = timeout.map(|limit| Watchdog::start(component.engine(), limit, guest.to_string()));
    let called = Command::instantiate(&mut store, component, &linker)
        .map(|command| command.wasi_cli_run().call_run(&mut store));
    drop(watchdog);
    if !matches!(called, Ok(Ok(Ok(()))))
        && let Some(why) = store.data().kv.failure()
    {
        tell_unstored(args, component, &one_line(why));
    }
    let has_started = called.is_ok();
    let error = match called.flatten() {
        Ok(Ok(())) => return Ok(ExitCode::SUCCESS),
        Ok(Err(())) => return Ok(ExitCode::FAILURE),
        Err(error) => error,
    };
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Ok(ExitCode::from(exit.0.clamp(0, 255) as u8));
    }
    let trap = error.downcast_ref::<Trap>();
    if let Some((why, code)) = bounds::ended_by(&args.bounds, trap, store.data().memory.has_refused()) {
        warn(format_args!("{guest}: {why}"));
        return Ok(code);
    }
    if !has_started {
        return Err(plain(error));
    }
    warn_with(format_args!("{guest}: the guest trapped"), describe_trap(&error).lines());
    Ok(ExitCode::from(TRAPPED))
}

/// Tells why not all that the guest wrote could be stored.
fn tell_unstored(args: &RunArgs, component: &Component, why: &str) {
    // With standard error among the imports, composition has made the component report this itself.
    if !imports(component, "wasi:cli/stderr@") {
        warn(format_args!("not all that was written could be stored: {why}"));
    }
    // Where the store is, and so what to do about it, the component does not know.
    if why == StoreError::QuotaExceeded.to_string() {
        let room = how_to_make_room(&args.store);
        warn(format_args!("{}: {why}; make room for it: {room}", args.store));
    }
}

/// Formats a trap with its causes and stack frames, one line each even if names in it contain line
/// ends.
fn describe_trap(error: &wasmtime::Error) -> String {
    let mut text = format!("{error:?}");
    // The runtime does not escape the names of functions.
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    for frame in frames {
        let symbols = frame.symbols().iter().flat_map(|symbol| [symbol.name(), symbol.file()]);
        let names = [frame.func_name(), frame.module().name()].into_iter().chain(symbols).flatten();
        for name in names.filter(|name| name.contains(['\n', '\r'])) {
            text = text.replace(name, &Visible(name).to_string());
        }
    }
    text
}
