//! The subcommands, one file each, and what they share.

#[cfg(feature = "run")]
mod bounds;
#[cfg(feature = "run")]
mod buckets;
#[cfg(feature = "run")]
pub(crate) mod check_store;
pub(crate) mod compose;
#[cfg(feature = "run")]
mod engine_store;
#[cfg(feature = "run")]
pub(crate) mod fsck;
pub(crate) mod inspect;
#[cfg(feature = "run")]
mod interrupt;
#[cfg(feature = "run")]
mod mounted;
#[cfg(feature = "run")]
mod provider_store;
#[cfg(feature = "run")]
pub(crate) mod run;
pub(crate) mod terminal;

use crate::Fixed;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use kvfs_compose::{Compose, Packing, Visible};
use std::path::Path;
use std::time::Duration;
pub(crate) use terminal::{complain, say};
#[cfg(feature = "run")]
pub(crate) use terminal::{one_line, warn};

/// Reads a whole file; an error names it.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}; check the path", path.display()))
}

/// Starts composing with the options that the command line gave.
pub(crate) fn composer<'a>(guest: &'a [u8], fixed: &Fixed) -> Compose<'a> {
    let mut compose = Compose::new(guest);
    if let Some(mode) = fixed.mode {
        compose = compose.mode(mode);
    }
    if let Some(link) = fixed.link {
        compose = compose.link(link);
    }
    if let Some(volume) = &fixed.volume {
        compose = compose.volume(volume);
    }
    compose = fixed.share.iter().fold(compose, Compose::share);
    fixed.mount.iter().cloned().fold(compose, Compose::mount)
}

/// Shows that something takes its time, if someone is looking; gone when dropped.
pub(crate) struct Busy(ProgressBar);

impl Busy {
    pub(crate) fn new(what: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what).with_style(Self::spinner());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says what is being done now.
    #[cfg(feature = "run")]
    pub(crate) fn doing(&self, what: &'static str) {
        self.0.set_message(what);
    }

    /// Makes room for output, and comes back after it.
    #[cfg(feature = "run")]
    pub(crate) fn aside<T>(&self, output: impl FnOnce() -> T) -> T {
        self.0.suspend(output)
    }

    /// Shows how far the packing of a tree has come, and when it is done, that work goes on.
    pub(crate) fn packing(&self, packing: Packing<'_>) {
        let bar = &self.0;
        if packing.entries_done == 0 {
            bar.set_length(packing.bytes);
            bar.set_message(format!("packing {}", Visible(packing.path)));
            if let Ok(style) =
                ProgressStyle::with_template("{msg} [{wide_bar}] {bytes}/{total_bytes} ({elapsed})")
            {
                bar.set_style(style.progress_chars("=> "));
            }
        }
        bar.set_position(packing.bytes_done);
        if packing.entries_done == packing.entries {
            bar.set_message("composing");
            bar.set_style(Self::spinner());
        }
    }

    fn spinner() -> ProgressStyle {
        ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
