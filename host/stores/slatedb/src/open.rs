//! Opening a store.

use crate::clock::{Clock, LOOK_INTERVAL};
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
use slatedb::{Db, DbReader, DbReaderMode, DbStatus};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// The longest that a buffered apply waits in memory before its log object is put.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// How old an object is before it is removed as garbage. An hour is far more than the 15 minutes
/// by which a clock may be wrong before S3 and Azure refuse a request.
const GARBAGE_AGE: Duration = Duration::from_secs(60 * 60);

/// How old an object is that keeps an older writer out before it is removed. Until then each opening
/// leaves one, and the next ones list them.
const FENCE_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Most bytes that wait in memory to be put, in tables, of which each has 32 MiB; then applies wait.
const MAX_WAITING_TABLES: usize = 4;

/// New tables that are worth merging: SlateDB merges at least so many.
const MIN_MERGED_TABLES: usize = 4;

/// Most tables and runs that one merge takes. The more, the less often a stream's bytes are merged.
const MAX_MERGED_TABLES: usize = 16;

/// Most new tables; then applies wait for a merge. A look for one key may ask each of them. Twice
/// what one merge takes, so that a stream goes on meanwhile.
const MAX_NEW_TABLES: usize = 2 * MAX_MERGED_TABLES;

/// One request brings a block. Its latency costs more than its bytes.
const BLOCK: SstBlockSize = SstBlockSize::Block32Kib;

impl SlateStore {
    /// Opens a store. [`Config::create`] makes it where its path holds nothing, and a bucket of S3 that
    /// is missing; other buckets and containers must be there.
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
        let check = async || {
            if config.read_only {
                return marker::check_only(&*objects, &config.path).await;
            }
            marker::check(&*objects, &config.path, create).await
        };
        match (within(patience, &requests, check()).await?, made.bucket) {
            (Err(OpenError::MissingBucket { .. }), Some(bucket)) => {
                if !create || config.read_only {
                    return Err(OpenError::MissingBucket { can_be_made: true });
                }
                within(patience, &requests, bucket.make()).await??;
                within(patience, &requests, check()).await??;
            }
            (checked, _) => checked?,
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
        Ok(Self::new(database, made.durable, (patience, config.idle), requests))
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
        .with_settings(settings(config.table_bytes, overwrites_conditionally))
        .with_db_cache(cache(config), 0)
        .with_sst_block_size(BLOCK)
        .with_system_clock(clock.clone())
        .build()
        .await?;
    clock.raise(newest_stamp(&database).await?);
    tokio::spawn(watch(database.subscribe(), clock));
    Ok(database)
}

/// Lets a database look for work often while new tables wait to be merged, until it is dropped.
async fn watch(mut statuses: Receiver<DbStatus>, clock: Arc<Clock>) {
    loop {
        let tables = statuses.borrow_and_update().current_manifest.l0().len();
        clock.set_busy(tables >= MIN_MERGED_TABLES);
        if statuses.changed().await.is_err() {
            break;
        }
    }
}

fn settings(table_bytes: usize, overwrites_conditionally: bool) -> Settings {
    let old = GarbageCollectorDirectoryOptions { min_age: GARBAGE_AGE, ..Default::default() };
    let garbage = GarbageCollectorOptions {
        manifest_options: Some(old),
        wal_options: Some(old),
        wal_fence_options: Some(GarbageCollectorDirectoryOptions { min_age: FENCE_AGE, ..old }),
        compacted_options: Some(old),
        compactions_options: Some(old),
        detach_options: None,
        boundary_files_enabled: overwrites_conditionally,
        ..Default::default()
    };
    let worker = CompactionWorkerOptions { compactions_poll_interval: LOOK_INTERVAL, ..Default::default() };
    let compactor = CompactorOptions {
        poll_interval: LOOK_INTERVAL,
        commit_compacted_interval: LOOK_INTERVAL,
        max_concurrent_compactions: 1,
        scheduler_options: HashMap::from([
            ("min_compaction_sources".to_owned(), MIN_MERGED_TABLES.to_string()),
            ("max_compaction_sources".to_owned(), MAX_MERGED_TABLES.to_string()),
        ]),
        worker: Some(worker),
        ..Default::default()
    };
    Settings {
        flush_interval: Some(FLUSH_INTERVAL),
        manifest_poll_interval: LOOK_INTERVAL,
        l0_sst_size_bytes: table_bytes,
        l0_max_ssts: MAX_NEW_TABLES,
        l0_max_ssts_per_key: MAX_NEW_TABLES,
        max_unflushed_bytes: MAX_WAITING_TABLES * table_bytes,
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
    let options = DbReaderOptions { manifest_poll_interval: LOOK_INTERVAL, ..Default::default() };
    DbReader::builder(config.path.clone(), objects)
        .with_reader_mode(DbReaderMode::FollowLatest)
        .with_options(options)
        .with_db_cache(cache(config), 0)
        .build()
        .await
}
