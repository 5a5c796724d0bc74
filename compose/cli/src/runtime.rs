//! Settings and helpers for wasmtime that the commands share.

use crate::terminal::one_line;
use wasmtime::Config;
use wasmtime::component::Component;

/// Returns the settings for everything that the command runs.
pub(crate) fn base_config() -> Config {
    let mut config = Config::new();
    // Guests of WASI 0.2 run one call at a time. The bookkeeping for those that do not would make
    // calls from component to component take about twice as long.
    config.concurrency_support(false);
    config
}

/// Returns whether a component imports anything whose name starts with `prefix`.
pub(crate) fn imports(component: &Component, prefix: &str) -> bool {
    component.component_type().imports(component.engine()).any(|(name, _)| name.starts_with(prefix))
}

/// Puts a runtime's error on one line.
pub(crate) fn plain(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", one_line(&format!("{error:#}")))
}
