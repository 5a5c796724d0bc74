//! The engines, and a cache of compiled components: compiling CPython takes half a minute.

use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use anyhow::Context;
use wasmtime::component::Component;
use wasmtime::{Cache, CacheConfig, Config, Engine, ProfilingStrategy};

use crate::target_dir;

/// How often a running guest checks whether its time is up.
pub const TICK: Duration = Duration::from_millis(50);

/// The guest's stack. CPython counts the depth of its own calls and raises before this is used up.
/// With 16 MiB it does not, and deeply nested JSON traps. Only the part in use occupies memory.
pub const STACK_BYTES: usize = 64 << 20;

/// Returns the tests' engine, whose guests can be stopped.
pub fn interruptible() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let engine = make(true);
        let ticker = engine.weak();
        std::thread::spawn(move || {
            while let Some(engine) = ticker.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        });
        engine
    })
}

/// Returns the benchmark's engine, whose guests carry no checks that an ordinary host does without.
pub fn plain() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| make(false));
    &ENGINE
}

fn make(interruptible: bool) -> Engine {
    let mut config = Config::new();
    config.cache(Some(cache()));
    config.epoch_interruption(interruptible);
    // Off, as in the command: WASI 0.2 needs no concurrent calls.
    config.concurrency_support(false);
    config.max_wasm_stack(STACK_BYTES);
    config.async_stack_size(STACK_BYTES + (1 << 20));
    if std::env::var_os("KVFS_PERF_MAP").is_some() {
        config.profiler(ProfilingStrategy::PerfMap);
    }
    Engine::new(&config).expect("an engine with the default settings")
}

/// Returns the cache of what was compiled.
pub(crate) fn cache() -> Cache {
    let mut cache = CacheConfig::new();
    cache.with_directory(target_dir().join("kvfs-tests/compiled"));
    Cache::new(cache).expect("a cache under the target directory")
}

/// Compiles a component, or takes it from the cache.
///
/// # Cost
///
/// CPython: half a minute on two cores the first time, under a second after that.
pub fn compile(engine: &Engine, component: &[u8]) -> anyhow::Result<Component> {
    Component::new(engine, component).map_err(anyhow::Error::from).context("compiling the guest")
}
