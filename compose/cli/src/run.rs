//! `kvfs run`: a guest on a store, with wasmtime.

use super::bounds::{self, Watchdog};
use super::mounted::{MountedDirectory, MountedVolume};
use super::terminal::warn_with;
use super::{Busy, composer, interrupt, one_line, read, warn};
use crate::{Bounds, RunArgs};
use anyhow::{Context, Result, bail};
use kvfs_compose::{
    ComposeError, DEFAULT_FILE_PATH, Provider, Visible, fixed_mounts, may_be_same, recompose,
};
use kvfs_host::{AnyStore, KvCtx, KvView, MemoryLimit, open_store};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store, Trap, WasmBacktrace};
use wasmtime_wasi::p2::bindings::sync::{Command, LinkOptions};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxView, WasiView};

/// Exit code after a trap: what a shell shows for a program that aborted.
const TRAPPED: u8 = 134;

/// Stack that a guest may use. Interpreters recurse deeply on deeply nested input, and bound it
/// themselves, expecting a stack as large as a process has.
const GUEST_STACK_BYTES: usize = 64 << 20;

/// Stack that the host's part of a call needs below the guest's.
const HOST_STACK_BYTES: usize = 4 << 20;

/// The options that tell composition something.
const FIXED: &str = "--link, --mode, --volume, --mount and --share";

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

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let guest = args.guest().display().to_string();
    let Loaded { component, volumes, directories, provider } = load(args).with_context(|| guest.clone())?;
    if let Some(Provider::File { path }) = &provider {
        let path = path.as_deref().unwrap_or(DEFAULT_FILE_PATH);
        if !args.dir.iter().any(|(_, preopen)| preopen == path) {
            bail!("{guest}: its store is in the directory {path}; name it with --dir STATE::{path}");
        }
    }
    for mount in &directories {
        if !args.dir.iter().any(|(_, preopen)| *preopen == mount.preopen) {
            let MountedDirectory { path, preopen, .. } = mount;
            bail!(
                "{guest}: a directory of the host is mounted at {path}; name it with --dir HOST-DIR::{preopen}"
            );
        }
    }
    for (_, preopen) in &args.dir {
        if !asks_for(preopen, &directories, provider.as_ref(), &component) {
            bail!("{guest}: no mount and no provider in it asks for a directory {preopen}; leave --dir out");
        }
    }
    interrupt::end_in_order()?;
    let kv = open_store(&args.store)?;
    for volume in &volumes {
        volume.probe(&kv).with_context(|| format!("{}: volume `{}`", args.store, volume.name))?;
    }
    let result = std::thread::scope(|scope| {
        let call = || call(args, &component, &directories, kv.clone());
        let stack_bytes = GUEST_STACK_BYTES + HOST_STACK_BYTES;
        let guest = std::thread::Builder::new().stack_size(stack_bytes).spawn_scoped(scope, call)?;
        guest.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    // However the guest ended: what the store has acknowledged must not be lost with this process.
    let closed = kv.close().with_context(|| format!("{}: cannot make the data durable", args.store));
    let code = result.with_context(|| guest)?;
    closed?;
    Ok(code)
}

/// Whether a component has a use for a directory of this name: a mount, or its provider.
fn asks_for(
    preopen: &str,
    mounts: &[MountedDirectory],
    provider: Option<&Provider>,
    component: &Component,
) -> bool {
    let of_provider = match provider {
        Some(Provider::File { path }) => path.as_deref().unwrap_or(DEFAULT_FILE_PATH) == preopen,
        // A provider of its own knows its directories by names of its own.
        Some(Provider::Component(_)) => imports(component, "wasi:filesystem/"),
        _ => false,
    };
    of_provider || mounts.iter().any(|mount| mount.preopen == preopen)
}

/// Whether a component imports anything whose name begins so.
fn imports(component: &Component, prefix: &str) -> bool {
    component.component_type().imports(component.engine()).any(|(name, _)| name.starts_with(prefix))
}

/// A guest, and what it mounts.
struct Loaded {
    component: Component,
    volumes: Vec<MountedVolume>,
    directories: Vec<MountedDirectory>,
    /// Where the store of one that was composed before is.
    provider: Option<Provider>,
}

/// Reads the guest, composes it or, if it is composed, its parts again, and compiles it.
fn load(args: &RunArgs) -> Result<Loaded> {
    let input = Arc::new(read(args.guest())?);
    let busy = Busy::new("composing");
    let built = composer(&input, &args.fixed).on_packing(&|packing| busy.packing(packing)).build();
    drop(busy);
    let (mut as_it_is, mut again) = (false, None);
    let composed = match built {
        Ok(done) => Some(done.bytes),
        Err(ComposeError::AsksForStore { .. }) if args.allow_raw_store => {
            if args.fixed.is_given() {
                bail!("it is run as it is, and nothing is composed; run it without {FIXED}");
            }
            as_it_is = true;
            None
        }
        Err(ComposeError::AlreadyComposed) => {
            if args.fixed.is_given() {
                bail!("already composed, with all that composition fixes; run it without {FIXED}");
            }
            as_it_is = args.allow_raw_store;
            again = if as_it_is { None } else { Some(Again::start(&input)) };
            None
        }
        Err(error) => return Err(error.into()),
    };

    let mut config = Config::new();
    // Guests of WASI 0.2 run one call at a time. The bookkeeping for those that do not would make
    // calls from component to component take about twice as long.
    config.concurrency_support(false);
    config.max_wasm_stack(GUEST_STACK_BYTES);
    config.async_stack_size(GUEST_STACK_BYTES + HOST_STACK_BYTES);
    bounds::configure(&mut config, &args.bounds);
    match compile_cache() {
        Ok(cache) => drop(config.cache(Some(cache))),
        Err(error) => tracing::warn!("compiling without a cache: {error:#}"),
    }
    let engine = Engine::new(&config).map_err(plain)?;
    let _busy = Busy::new("compiling");
    let compile = |bytes: &[u8]| Component::new(&engine, bytes).map_err(plain).context("cannot compile it");
    let (compiled, composed, provider) = match again {
        None => (compile(composed.as_deref().unwrap_or(&input)), composed, None),
        Some(again) => {
            // It takes minutes where little is cached: only for what is likely to be run.
            let early = may_be_same(&input).then(|| compile(&input));
            let (made, provider) = again.finish()?;
            let compiled = match (&made, early) {
                // Nobody has to know why what is not run cannot be compiled.
                (Some(made), _) => compile(made),
                (None, Some(compiled)) => compiled,
                (None, None) => compile(&input),
            };
            (compiled, made, Some(provider))
        }
    };
    // What is run as it is may say of its mounts what it likes.
    let mounts = if as_it_is { Vec::new() } else { fixed_mounts(composed.as_deref().unwrap_or(&input)) };
    let (volumes, directories) = (MountedVolume::all(&mounts)?, MountedDirectory::all(&mounts));
    Ok(Loaded { component: compiled?, volumes, directories, provider })
}

/// A result whose parts are composed again. What it says of itself is worth nothing; what is made of its parts is like
/// any composition. Mostly the same comes out, so it is done while that is compiled, or found in the cache.
struct Again(JoinHandle<Result<Made, ComposeError>>);

/// What is to be run, unless it is the input, and where its store is.
type Made = (Option<Vec<u8>>, Provider);

impl Again {
    fn start(input: &Arc<Vec<u8>>) -> Self {
        let input = input.clone();
        Self(std::thread::spawn(move || {
            let made = recompose(&input)?;
            let other = if made.is_same() { None } else { Some(made.bytes.into_owned()) };
            Ok((other, made.provider))
        }))
    }

    fn finish(self) -> Result<Made> {
        let made = self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        if made.0.is_some() {
            tracing::info!(
                "it was made by another build, or changed since: what this one makes of its parts is run"
            );
        }
        Ok(made)
    }
}

/// Keeps compiled guests in the user's cache directory, by what they contain and the runtime's
/// version. An entry that cannot be read is compiled again.
fn compile_cache() -> Result<Cache> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(absolute).or_else(home);
    let base = base.context("neither XDG_CACHE_HOME nor HOME is set")?;
    let mut config = CacheConfig::new();
    config.with_directory(base.join("kvfs"));
    Cache::new(config).map_err(plain)
}

fn call(
    args: &RunArgs,
    component: &Component,
    directories: &[MountedDirectory],
    kv: AnyStore,
) -> Result<ExitCode> {
    let mut linker = Linker::new(component.engine());
    // A part of WASI 0.2 that is not on by default, and that toolchains import nevertheless.
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
    // The one tick is that of the watchdog.
    store.set_epoch_deadline(1);
    let guest = args.guest().display();
    let watchdog = timeout.map(|limit| Watchdog::start(component.engine(), limit, guest.to_string()));
    let called = Command::instantiate(&mut store, component, &linker)
        .map(|command| command.wasi_cli_run().call_run(&mut store));
    drop(watchdog);
    // A guest that has standard error has said so itself.
    if !matches!(called, Ok(Ok(Ok(()))))
        && !imports(component, "wasi:cli/stderr@")
        && let Some(why) = store.data().kv.failure()
    {
        warn(format_args!("not all that was written could be stored: {}", one_line(why)));
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
    warn_with(format_args!("{guest}: the guest trapped"), told(&error).lines());
    Ok(ExitCode::from(TRAPPED))
}

/// Writes a trap with its causes and the frames of the stack, a line each whatever the names in it are.
fn told(error: &wasmtime::Error) -> String {
    let mut text = format!("{error:?}");
    // The runtime writes the names of functions as they are, and a name may have lines.
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

/// Makes one line of a runtime's error.
fn plain(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", one_line(&format!("{error:#}")))
}
