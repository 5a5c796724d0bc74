//! The cache of frozen layers, for a run.

use crate::terminal::{one_line, warn};
use anyhow::{Context, Result, bail};
use clap::Args;
use kvfs_compose::ByteSize;
use kvfs_host::{DEFAULT_MEMORY_BYTES, LayerCache};
use std::path::PathBuf;

// No doc comment: clap would take it for the command's.
#[derive(Args)]
pub(super) struct LayerCacheArgs {
    /// Keeps what the guest reads of frozen layers (what forks and snapshots share) in up to this much
    /// memory. Together with --layer-cache-dir the default is 64M, and else nothing is kept.
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| text.parse::<ByteSize>())]
    layer_cache: Option<ByteSize>,
    /// Keeps it in this directory too, in the clear, where the next runs find it: a fork of a store at a
    /// distance then starts without asking for what others have read. Of an encrypted store, nothing is
    /// put there. Any number of runs may use the directory, and it may be deleted at any time.
    #[arg(long, value_name = "DIR")]
    layer_cache_dir: Option<PathBuf>,
    /// Most that the directory holds.
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1G",
        value_parser = |text: &str| text.parse::<ByteSize>(),
        requires = "layer_cache_dir"
    )]
    layer_cache_dir_size: ByteSize,
    /// Says on standard error how often the cache had the answer, once the guest has ended.
    #[arg(long)]
    layer_cache_report: bool,
}

impl LayerCacheArgs {
    /// True if anything is to be kept.
    pub(super) fn is_given(&self) -> bool {
        self.layer_cache.is_some() || self.layer_cache_dir.is_some()
    }

    /// Says that a directory which was asked for stays empty.
    pub(super) fn warn_of_key(&self) {
        if let Some(path) = &self.layer_cache_dir {
            warn(format_args!(
                "--layer-cache-dir {}: the store is encrypted, so its frozen layers are kept in memory only",
                one_line(&path.display().to_string())
            ));
        }
    }

    /// Makes the cache that the arguments ask for, if they do.
    pub(super) fn open(&self) -> Result<Option<LayerCache>> {
        let memory = LayerCache::new(self.layer_cache.as_ref().map_or(DEFAULT_MEMORY_BYTES, |size| size.0));
        match (&self.layer_cache_dir, &self.layer_cache) {
            (Some(path), _) => {
                let cache = memory.on_disk(path, self.layer_cache_dir_size.0);
                cache.map(Some).with_context(|| format!("--layer-cache-dir {}", path.display()))
            }
            (None, Some(_)) => Ok(Some(memory)),
            (None, None) if self.layer_cache_report => {
                bail!(
                    "--layer-cache-report: nothing is kept; add --layer-cache SIZE or --layer-cache-dir DIR"
                )
            }
            (None, None) => Ok(None),
        }
    }

    /// Writes what waits, and tells what went wrong, and how often the cache had the answer.
    pub(super) fn end(&self, cache: Option<&LayerCache>) {
        let Some(cache) = cache else { return };
        cache.flush();
        if let Some(trouble) = cache.trouble() {
            warn(format_args!("--layer-cache-dir: {}", one_line(&trouble)));
        }
        if self.layer_cache_report {
            let counts = cache.counts();
            warn(format_args!(
                "layer cache: {} answers from the cache, {} of them from disk; {} asked of the store; {} answers in \
                 memory, {} bytes",
                counts.hits, counts.disk_hits, counts.misses, counts.answers, counts.memory_bytes
            ));
        }
    }
}
