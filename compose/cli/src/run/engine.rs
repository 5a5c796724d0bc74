//! The engine that guests are compiled for, and the cache of compiled guests.

use super::bounds::{self, Bounds};
use crate::runtime::{base_config, plain};
use anyhow::{Context, Result};
use std::path::PathBuf;
use wasmtime::{Cache, CacheConfig, Engine};

/// Stack that a guest may use. Interpreters recurse deeply on deeply nested input. They bound the
/// depth themselves, for a stack as large as a process has.
pub(super) const GUEST_STACK_BYTES: usize = 64 << 20;

/// Stack that the host's part of a call needs below the guest's.
pub(super) const HOST_STACK_BYTES: usize = 4 << 20;

/// Makes the engine that a guest is compiled for.
pub(super) fn engine(bounds: &Bounds) -> Result<Engine> {
    let mut config = base_config();
    config.max_wasm_stack(GUEST_STACK_BYTES);
    config.async_stack_size(GUEST_STACK_BYTES + HOST_STACK_BYTES);
    bounds::configure(&mut config, bounds);
    match compile_cache() {
        Ok(cache) => drop(config.cache(Some(cache))),
        Err(error) => tracing::warn!("compiling without a cache: {error:#}"),
    }
    Engine::new(&config).map_err(plain)
}

/// Keeps compiled guests in the user's cache directory, under a hash of their content and the
/// runtime's version. A guest is compiled again if its entry cannot be read.
fn compile_cache() -> Result<Cache> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(absolute).or_else(home);
    let base = base.context("neither XDG_CACHE_HOME nor HOME is set")?;
    let mut config = CacheConfig::new();
    config.with_directory(base.join("kvfs"));
    Cache::new(config).map_err(plain)
}
