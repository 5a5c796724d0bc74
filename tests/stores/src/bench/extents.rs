//! Large files: streams of extents, extents at random, and the space that they take.

use std::path::Path;

use anyhow::{Result, ensure};
use kvfs_host::Durability;

use super::entries::{BATCH, Pool, extent_key, put_extents};
use super::sizes::Sizes;
use super::timing::micros;
use crate::random::Random;
use crate::report::Report;
use crate::{Kind, Tuning, disk};

const MIB: f64 = (1 << 20) as f64;

/// Applies between two looks at the space that is taken.
const LOOK_EVERY: u64 = 64;

pub(super) fn run(kind: Kind, sizes: &Sizes, dir: &Path, report: &mut Report) -> Result<()> {
    let length = sizes.extent_bytes;
    let count = ((sizes.stream_mib << 20) / length as u64).max(BATCH);
    let mib = count as f64 * length as f64 / MIB;
    let pool = Pool::new();
    let store = kind.open(dir, Tuning::default())?;
    let mut worst = 0;
    let mut writing = 0.0;
    for start in (0..count).step_by(BATCH as usize) {
        let batch = (start..(start + BATCH).min(count)).map(|index| (index, index));
        writing += micros(|| put_extents(&*store, &pool, batch, length, Durability::Buffered))?.1;
        worst = worst.max(disk::taken_bytes(dir)?);
    }
    let ((), syncing) = micros(|| Ok(store.apply(&[], &[], Durability::Durable)?))?;
    worst = worst.max(disk::taken_bytes(dir)?);
    let live = mib * MIB;
    report.set_most(kind, "large files: space as streamed", disk::taken_bytes(dir)? as f64 / live);
    report.set_least(kind, "stream write, µs/MiB", writing / mib);
    report.set_least(kind, "stream write with one sync, µs/MiB", (writing + syncing) / mib);

    for _ in 0..2 {
        let ((), reading) = micros(|| {
            for start in (0..count).step_by(BATCH as usize) {
                let keys: Vec<Vec<u8>> = (start..(start + BATCH).min(count)).map(extent_key).collect();
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                let found = store.get(&keys)?;
                ensure!(
                    found.iter().all(|value| value.as_ref().is_some_and(|value| value.len() == length)),
                    "an extent is missing or of another length"
                );
            }
            Ok(())
        })?;
        report.set_least(kind, "stream read, µs/MiB", reading / mib);
    }

    let mut random = Random::new(&[2]);
    let ((), reading) = micros(|| {
        for _ in 0..sizes.random {
            let index = random.below(count);
            let found = store.get(&[&extent_key(index)])?;
            ensure!(found[0].as_deref() == Some(pool.value(index, length)), "extent {index} reads wrong");
        }
        Ok(())
    })?;
    report.set_least(kind, "random extent read, µs", reading / sizes.random as f64);

    let mut written = 0;
    let mut writing = 0.0;
    for number in 0..sizes.random / 4 {
        let batch: Vec<(u64, u64)> =
            (0..1 + random.below(4)).map(|_| (random.below(count), random.next())).collect();
        written += batch.len();
        let apply = || put_extents(&*store, &pool, batch.iter().copied(), length, Durability::Buffered);
        writing += micros(apply)?.1;
        if number % LOOK_EVERY == 0 {
            worst = worst.max(disk::taken_bytes(dir)?);
        }
    }
    report.set_least(kind, "random extent write, µs", writing / (written as f64).max(1.0));
    worst = worst.max(disk::taken_bytes(dir)?);
    store.close()?;
    let rest = disk::taken_bytes(dir)? as f64;
    report.set_most(kind, "large files: space at worst", (worst as f64).max(rest) / live);
    report.set_most(kind, "large files: space at rest", rest / live);
    Ok(())
}
