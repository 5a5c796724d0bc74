//! Small entries: batches of the shape of a create, durable puts, and a scan.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kvfs_host::{Durability, Mutation};

use super::entries::Pool;
use super::sizes::Sizes;
use super::timing::micros;
use crate::content::{MARK, key};
use crate::report::Report;
use crate::{Kind, Trial, Tuning};

/// Entries in a page of a scan.
const PAGE: u32 = 512;

/// Longest time for the batches: a store that waits for the disk each time does fewer.
const MAX_CREATING: Duration = Duration::from_secs(20);

/// Files in a directory.
const DIRECTORY: u64 = 1_000;

pub(super) fn run(kind: Kind, sizes: &Sizes, dir: &Path, report: &mut Report) -> Result<()> {
    let pool = Pool::new();
    let store = kind.open(dir, Tuning::default())?;
    let start = Instant::now();
    let (created, creating) = micros(|| {
        for number in 0..sizes.small {
            create(&*store, &pool, number, Durability::Buffered)?;
            if start.elapsed() > MAX_CREATING {
                return Ok(number + 1);
            }
        }
        Ok(sizes.small)
    })?;
    report.set_least(kind, "batch of 4 small puts, µs", creating / created as f64);
    store.apply(&[], &[], Durability::Durable)?;

    let (entries, scanning) = micros(|| scan(&*store))?;
    let expected = 2 * created + created.div_ceil(DIRECTORY) + 1;
    ensure!(entries == expected, "a scan found {entries} entries of {expected}");
    report.set_least(kind, "scan, µs/entry", scanning / entries as f64);

    let ((), committing) = micros(|| {
        for number in 0..sizes.durable {
            let put = Mutation::Put { key: MARK, value: pool.value(number, 120) };
            store.apply(&[], &[put], Durability::Durable)?;
        }
        Ok(())
    })?;
    report.set_most(kind, "durable commits/s", sizes.durable as f64 / (committing / 1e6));
    Ok(store.close()?)
}

/// Does what a create does: writes superblock, inode, dentry and parent.
pub(super) fn create(store: &dyn Trial, pool: &Pool, number: u64, level: Durability) -> Result<()> {
    let parent = number / DIRECTORY;
    let (inode, dentry) = (key(b'i', number, 0), key(b'd', parent, number));
    let parent = key(b'p', parent, 0);
    let put = |key, length| Mutation::Put { key, value: pool.value(number, length) };
    store.apply(&[], &[put(MARK, 200), put(&inode, 120), put(&dentry, 60), put(&parent, 120)], level)?;
    Ok(())
}

/// Returns the number of all entries.
pub(super) fn scan(store: &dyn Trial) -> Result<u64> {
    let mut start = Vec::new();
    let mut entries = 0;
    loop {
        let page = store.scan(&start, &[], PAGE, u32::MAX)?;
        let Some(last) = page.last() else { return Ok(entries) };
        entries += page.len() as u64;
        start.clear();
        start.extend_from_slice(&last.key);
        start.push(0);
    }
}
