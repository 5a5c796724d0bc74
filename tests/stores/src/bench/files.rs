//! Files of 1,000 bytes: the space that they take.

use std::path::Path;

use anyhow::Result;
use kvfs_host::{Durability, Mutation};

use super::entries::Pool;
use super::sizes::Sizes;
use super::small::create;
use super::timing::micros;
use crate::content::{HEAD_BYTES, key};
use crate::report::Report;
use crate::{Kind, Tuning, disk};

const FILE_BYTES: usize = 1_000;

/// Creates between two looks at the space that is taken.
const LOOK_EVERY: u64 = 512;

pub(super) fn run(kind: Kind, sizes: &Sizes, dir: &Path, report: &mut Report) -> Result<()> {
    let pool = Pool::new();
    let store = kind.open(dir, Tuning::default())?;
    let mut worst = 0;
    let mut writing = 0.0;
    for number in 0..sizes.files {
        writing += micros(|| {
            create(&*store, &pool, number, Durability::Buffered)?;
            let key = key(b'e', number, 0);
            let put = Mutation::Put { key: &key, value: pool.value(number, HEAD_BYTES + FILE_BYTES) };
            Ok(store.apply(&[], &[put], Durability::Buffered)?)
        })?
        .1;
        if number % LOOK_EVERY == 0 {
            worst = worst.max(disk::taken_bytes(dir)?);
        }
    }
    store.apply(&[], &[], Durability::Durable)?;
    worst = worst.max(disk::taken_bytes(dir)?);
    store.close()?;
    let rest = disk::taken_bytes(dir)?;
    let files = (sizes.files * FILE_BYTES as u64) as f64;
    report.set_least(kind, "1,000-byte file, µs", writing / sizes.files as f64);
    report.set_most(kind, "1,000-byte files: space at worst", worst.max(rest) as f64 / files);
    report.set_most(kind, "1,000-byte files: space at rest", rest as f64 / files);
    // What is stored for a file: its bytes, an inode, a dentry, and their keys.
    let entries = (FILE_BYTES + HEAD_BYTES + 120 + 60 + 3 * 19) as f64 / FILE_BYTES as f64;
    report.set(kind, "1,000-byte files: entries alone", entries);
    Ok(())
}
