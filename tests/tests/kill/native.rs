//! The engine on redb without a guest: hundreds of kills on one file.

use super::worker::{Progress, Work, Worker};
use super::{check_size, contents, open};
use kvfs::{KvStore, Limits, Options, Volume, fsck};
use kvfs_trust::model::Model;
use kvfs_trust::rng::Rng;
use kvfs_trust::run::{Moment, Runner, TestClock, time};
use kvfs_trust::shrink::seeds;
use kvfs_trust::store::{Map, TestStore};
use kvfs_trust::tree;
use std::path::PathBuf;
use std::time::Duration;

const CYCLES: u64 = 200;

/// More operations than a process completes before it is killed.
const MAX_OPERATIONS: usize = 5_000;

/// The file under test, and its expected contents.
struct Life {
    path: PathBuf,
    limits: Limits,
    contents: Map,
    /// The model at the last state that was found.
    model: Model,
    seconds: i64,
    largest_contents_bytes: u64,
    /// Acknowledged operations.
    acknowledged: usize,
    /// Kills before the volume was open.
    early: u64,
    /// Kills after a sync.
    after_a_sync: u64,
    /// The most acknowledged operations that one kill lost.
    most_lost: usize,
}

#[test]
fn killed_over_and_over_a_store_keeps_what_was_synced_and_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    let limits = open(&path).limits().unwrap();
    let mut life = Life {
        path,
        limits,
        contents: Map::new(),
        model: Model::new(time(0)),
        seconds: 0,
        largest_contents_bytes: 0,
        acknowledged: 0,
        early: 0,
        after_a_sync: 0,
        most_lost: 0,
    };
    let mut largest_file_bytes = 0;
    let seeds = seeds(CYCLES);
    let cycles = seeds.end - seeds.start;
    for seed in seeds {
        life.cycle(seed).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        largest_file_bytes =
            largest_file_bytes.max(check_size(&life.path, &life.contents, &mut life.largest_contents_bytes));
    }
    let Life { acknowledged, early, after_a_sync, most_lost, largest_contents_bytes, .. } = life;
    println!(
        "{cycles} kills, {early} before the volume was open, {after_a_sync} after a sync; {acknowledged} operations \
         acknowledged, of which one kill lost {most_lost} at most; contents of up to {largest_contents_bytes} \
         bytes in a file of up to {largest_file_bytes}"
    );
    assert!(cycles < 10 || after_a_sync * 2 > cycles, "too few processes reach a sync: {after_a_sync}");
}

impl Life {
    fn cycle(&mut self, seed: u64) -> Result<(), String> {
        let work = Work { seed, start_seconds: self.seconds, count: MAX_OPERATIONS };
        // Different numbers from those that the process draws from the seed.
        let mut rng = Rng::new(!seed);
        let worker = Worker::start(&self.path, &work);
        if !rng.chance(5) {
            worker.wait_until_open();
        }
        std::thread::sleep(Duration::from_micros(rng.below(60_000)));
        let progress = worker.kill();
        if rng.chance(6) {
            // Kills again while a process opens and cleans up what the first kill left.
            let worker = Worker::start(&self.path, &Work { count: 0, ..work });
            std::thread::sleep(Duration::from_micros(rng.below(40_000)));
            worker.kill();
        }
        self.early += u64::from(!progress.is_open);
        self.acknowledged += progress.done;
        self.check(&work, progress)
    }

    /// Checks that the file holds the model's state at some moment, and none before the last
    /// promise.
    fn check(&mut self, work: &Work, progress: Progress) -> Result<(), String> {
        let found = contents(&self.path);
        let moments = self.moments(work, progress)?;
        let lowest = moments[progress.done].durable;
        if found.is_empty() && self.contents.is_empty() && lowest == 0 {
            return Ok(()); // A new volume is stored by its first sync.
        }
        let report = fsck(&mut TestStore::from_map(found.clone(), self.limits), "v");
        let report = report.map_err(|error| format!("fsck: {error:?}"))?;
        if let Some(finding) = report.findings.first() {
            return Err(format!("fsck: {finding}"));
        }
        let (mut volume, next) = self.look(&found)?;
        let tree = tree::of_volume(&mut volume).map_err(|error| format!("reading: {error:?}"))?;

        let same = |moment: &&usize| tree::of_model(&moments[**moment].model) == tree;
        let candidates: Vec<usize> = (lowest..moments.len()).rev().collect();
        let Some(moment) = candidates.iter().find(same) else {
            let what = tree::difference(&tree::of_model(&moments[lowest].model), &tree).unwrap_or_default();
            return Err(format!(
                "{progress:?}: no moment from {lowest} on matches; compared with that one: {what}"
            ));
        };
        self.after_a_sync += u64::from(lowest > 0);
        self.most_lost = self.most_lost.max(progress.done.saturating_sub(*moment));
        self.model = moments[*moment].model.clone();
        self.model.close_all();
        self.model.next = next;
        self.seconds += moments.len() as i64;
        self.contents = found;
        Ok(())
    }

    /// Opens a copy of the volume, and returns it with the next inode number: a kill may have used
    /// some up.
    fn look(&self, map: &Map) -> Result<(Volume, u64), String> {
        let open = || {
            let store = TestStore::from_map(map.clone(), self.limits);
            let options = Options { volume: "v".to_owned(), ..Options::default() };
            Volume::open(Box::new(store), Box::new(TestClock::default()), options)
        };
        let next = || -> Result<u64, kvfs::Error> {
            let mut volume = open()?;
            let root = volume.root()?;
            volume.create_directory_at(&root, "a name that no operation uses")?;
            let made = volume.stat_at(&root, "a name that no operation uses", kvfs::Follow::No)?;
            Ok(made.ino.0)
        };
        let opened = open().and_then(|volume| Ok((volume, next()?)));
        opened.map_err(|error| format!("opening: {error:?}"))
    }

    /// Returns the moments of the process's work, up to the operation after the last acknowledged
    /// one.
    fn moments(&self, work: &Work, progress: Progress) -> Result<Vec<Moment>, String> {
        let (setup, mut rng) = work.plan(self.limits);
        let store = TestStore::from_map(self.contents.clone(), self.limits);
        let mut runner = Runner::going_on(&setup, store, self.model.clone(), work.start_seconds, true)?;
        let begun = if progress.is_open { (progress.done + 1).min(work.count) } else { 0 };
        for index in 0..begun {
            runner.step(index, &Work::next_op(&mut rng))?;
        }
        Ok(std::mem::take(&mut runner.moments))
    }
}
