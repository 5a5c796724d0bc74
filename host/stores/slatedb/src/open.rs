//! Opening a store.

use crate::clock::Clock;
use crate::error::{OpenError, meaning};
use crate::marker;
use crate::place::objects;
use crate::requests::{Counted, Requests};
use crate::store::{Database, SlateStore};
use crate::url::{Config, Place};
use kvfs_contract::StoreError;
use object_store::ObjectStore;
use slatedb::config::{
    CompactionWorkerOptions, CompactorOptions, DbReaderOptions, GarbageCollectorDirectoryOptions,
    GarbageCollectorOptions, Settings, SstBlockSize,
};
use slatedb::db_cache::moka::{MokaCache, MokaCacheOptions};
use slatedb::{Db, DbReader, DbReaderMode};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// The longest that a buffered apply waits in memory before its log object is put.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// How often an idle writer or reader looks for a newer manifest. Each look is a list.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// How old an object is before it is removed as garbage. An hour is far more than the 15 minutes
/// by which a clock may be wrong before S3 and Azure refuse a request.
const GARBAGE_AGE: Duration = Duration::from_secs(60 * 60);

/// Size at which what was written since the last table becomes the next one, in bytes.
const TABLE_BYTES: usize = 32 << 20;

/// Most bytes that wait in memory to be put; then applies wait.
const MAX_WAITING_BYTES: usize = 128 << 20;

/// One request brings a block. Its latency costs more than its bytes.
const BLOCK: SstBlockSize = SstBlockSize::Block32Kib;

impl SlateStore {
    /// Opens a store. [`Config::create`] makes it where its path holds nothing; a bucket must be there.
    ///
    /// A writer takes the database over from the one that had it: that one's next durable apply
    /// fails.
    ///
    /// # Errors
    /// [`OpenError`] says what to do. Nothing was written if the path holds something else, or the
    /// server cannot hold writers apart.
    ///
    /// # Cost
    /// About 30 requests, most of them one after the other, whatever the store holds, and one get for
    /// each log object since the last table.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let made = objects(&config)?;
        let requests = Arc::new(Requests::default());
        let objects: Arc<dyn ObjectStore> =
            Arc::new(Counted { inner: made.store, requests: requests.clone() });
        // SlateDB retries for ever, so what a person can mend is found before.
        let patience = config.patience;
        let create = config.create || matches!(config.place, Place::Directory { .. });
        if config.read_only {
            within(patience, &requests, marker::check_only(&*objects, &config.path)).await??;
        } else {
            within(patience, &requests, marker::check(&*objects, &config.path, create)).await??;
        }
        let failed = |error: slatedb::Error| {
            let source = match meaning(&error) {
                StoreError::AccessDenied => {
                    StoreError::Unavailable("another program opened it at the same moment".to_owned())
                }
                source => source,
            };
            OpenError::Store { source }
        };
        let database = if config.read_only {
            let reader = open_reader(&config, objects);
            Database::Reader(Box::new(within(patience, &requests, reader).await?.map_err(failed)?))
        } else {
            let writer = open_writer(&config, objects, made.overwrites_conditionally);
            Database::Writer(within(patience, &requests, writer).await?.map_err(failed)?)
        };
        Ok(Self::new(database, made.durable, patience, requests))
    }
}

async fn within<T>(
    patience: Duration,
    requests: &Requests,
    opening: impl Future<Output = T>,
) -> Result<T, OpenError> {
    tokio::time::timeout(patience, opening).await.map_err(|_| {
        let why = requests.failure().unwrap_or_else(|| "no answer".to_owned());
        let source = StoreError::Unavailable(format!("{why} (for {} s)", patience.as_secs_f32()));
        OpenError::Store { source }
    })
}

fn cache(config: &Config) -> Arc<MokaCache> {
    let options = MokaCacheOptions { max_capacity: config.cache_bytes, ..Default::default() };
    Arc::new(MokaCache::new_with_opts(options))
}

async fn open_writer(
    config: &Config,
    objects: Arc<dyn ObjectStore>,
    overwrites_conditionally: bool,
) -> Result<Db, slatedb::Error> {
    let clock = Clock::new(config.clock_ahead_millis);
    let database = Db::builder(config.path.clone(), objects)
        .with_settings(settings(overwrites_conditionally))
        .with_db_cache(cache(config), 0)
        .with_sst_block_size(BLOCK)
        .with_system_clock(clock.clone())
        .build()
        .await?;
    clock.raise(newest_stamp(&database).await?);
    Ok(database)
}

fn settings(overwrites_conditionally: bool) -> Settings {
    let old = GarbageCollectorDirectoryOptions { min_age: GARBAGE_AGE, ..Default::default() };
    let garbage = GarbageCollectorOptions {
        manifest_options: Some(old),
        wal_options: Some(old),
        // A fence that is gone would let a writer that slept write again.
        wal_fence_options: None,
        compacted_options: Some(old),
        compactions_options: Some(old),
        detach_options: None,
        boundary_files_enabled: overwrites_conditionally,
        ..Default::default()
    };
    let worker = CompactionWorkerOptions { compactions_poll_interval: POLL_INTERVAL, ..Default::default() };
    let compactor = CompactorOptions {
        poll_interval: POLL_INTERVAL,
        commit_compacted_interval: POLL_INTERVAL,
        max_concurrent_compactions: 1,
        worker: Some(worker),
        ..Default::default()
    };
    Settings {
        flush_interval: Some(FLUSH_INTERVAL),
        manifest_poll_interval: POLL_INTERVAL,
        l0_sst_size_bytes: TABLE_BYTES,
        max_unflushed_bytes: MAX_WAITING_BYTES,
        l0_flush_parallelism: 2,
        compactor_options: Some(compactor),
        garbage_collector_options: Some(garbage),
        ..Settings::default()
    }
}

/// Returns the stamp of the newest write of a database that was just opened: of the newest table,
/// or of the log's last entry, which is in memory now.
async fn newest_stamp(database: &Db) -> Result<i64, slatedb::Error> {
    let manifest = database.manifest();
    let mut newest = manifest.last_l0_clock_tick();
    let last = database.status().durable_seq;
    if last > manifest.last_l0_seq() {
        let mut entries = database.scan_prefix_by_recency(b"").await?;
        while let Some(entry) = entries.next_entry().await? {
            newest = newest.max(entry.create_ts.unwrap_or(newest));
            if entry.seq >= last {
                break;
            }
        }
    }
    Ok(newest)
}

async fn open_reader(config: &Config, objects: Arc<dyn ObjectStore>) -> Result<DbReader, slatedb::Error> {
    let options = DbReaderOptions { manifest_poll_interval: POLL_INTERVAL, ..Default::default() };
    DbReader::builder(config.path.clone(), objects)
        .with_reader_mode(DbReaderMode::FollowLatest)
        .with_options(options)
        .with_db_cache(cache(config), 0)
        .build()
        .await
}
