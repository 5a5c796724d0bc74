//! Tools that work on a store while a volume's writer does: they fork the volume, and change, restore,
//! rename and remove the forks.

use crate::differences;
use crate::merging;
use crate::ops::Setup;
use crate::rng::Rng;
use crate::run::{Check, TestClock};
use crate::store::{Map, TestStore, Tool};
use crate::tree::{self, Tree};
use kvfs::volumes::{self, Conflict, Doing, Outcome, Side, Taken};
use kvfs::{Access, At, Error, Follow, Kind, Mode, OpenFlags, Options, Quota, StoreError, Volume};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The volume of the writer.
const WRITERS: &str = "v";

/// Most forks at once.
const FORKS: usize = 5;

/// The tools, and what they know of their forks.
#[derive(Debug)]
struct State {
    rng: Rng,
    setup: Setup,
    clock: TestClock,
    /// What each fork must hold.
    forks: BTreeMap<String, Tree>,
    /// What is in layers with all that lies below them.
    layers: BTreeMap<String, Tree>,
    next: u32,
    failure: Option<String>,
    /// How often each kind of action was done.
    done: BTreeMap<&'static str, u64>,
}

/// Handles of the tools: one for the store, one for the test.
#[derive(Debug, Clone)]
pub struct Tools(Rc<RefCell<State>>);

impl Tools {
    /// Lets tools act on a store, by these numbers.
    pub fn on(store: &TestStore, setup: &Setup, seed: u64) -> Self {
        let setup = Setup { quota: None, scrubs: false, ..setup.clone() };
        let clock = TestClock::default();
        clock.0.set(1 << 40);
        let state = State {
            rng: Rng::new(seed),
            setup,
            clock,
            forks: BTreeMap::new(),
            layers: BTreeMap::new(),
            next: 0,
            failure: None,
            done: BTreeMap::new(),
        };
        let tools = Self(Rc::new(RefCell::new(state)));
        let mut inner = store.0.borrow_mut();
        inner.tool = Some(Box::new(tools.clone()));
        inner.tool_acts_on_reads = seed.is_multiple_of(2);
        drop(inner);
        tools
    }

    /// How often each kind of action was done.
    pub fn done(&self) -> BTreeMap<&'static str, u64> {
        self.0.borrow().done.clone()
    }

    /// Checks every volume, and that nothing is left once all are removed.
    pub fn finish(&self, store: &TestStore) -> Check {
        store.0.borrow_mut().tool = None;
        let mut state = self.0.borrow_mut();
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        if state.setup.limits.max_batch_entries < kvfs::limits::MIN_FORK_BATCH_ENTRIES {
            return Ok(());
        }
        check_layers(store)?;
        let forks = state.forks.clone();
        for (name, expected) in &forks {
            state.compare(store, name, expected).map_err(|what| format!("at the end, {name}: {what}"))?;
        }
        state.check_differences(store)?;
        for name in forks.keys() {
            volumes::remove(&mut store.clone(), name)
                .map_err(|error| format!("removing {name}: {error:?}"))?;
            state.collect(store, u64::MAX)?;
            state.check(store, WRITERS)?;
            check_layers(store)?;
        }
        volumes::remove(&mut store.clone(), WRITERS).map_err(|error| format!("removing: {error:?}"))?;
        state.collect(store, u64::MAX)?;
        match store.0.borrow().map.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!("{key:x?} is left, and no volume")),
        }
    }
}

/// Requires that the layers of a whole store fit together.
pub fn check_layers(store: &TestStore) -> Check {
    let report = volumes::check_layers(&mut store.clone()).map_err(|error| format!("layers: {error:?}"))?;
    report.findings.first().map_or(Ok(()), |finding| Err(format!("layers: {finding}")))
}

impl Tool for Tools {
    fn act(&mut self, store: &TestStore) {
        let mut state = self.0.borrow_mut();
        if state.failure.is_none()
            && let Err(what) = state.act(store)
        {
            state.failure = Some(what);
        }
    }
}

impl State {
    fn act(&mut self, store: &TestStore) -> Check {
        // Opening raises the epoch of a volume that is new.
        let exists = volumes::info(&mut store.clone(), WRITERS).is_ok();
        if !exists || self.rng.chance(2) {
            return Ok(());
        }
        self.clock.0.set(self.clock.0.get() + 1);
        match self.rng.below(14) {
            0..4 => self.fork(store, WRITERS),
            4 => match self.any() {
                Some(name) => self.fork(store, &name),
                None => Ok(()),
            },
            5 | 6 => self.change(store),
            7 => self.remove(store),
            8 => self.restore(store),
            9 => self.rename(store),
            10 => self.collect(store, 3),
            11 | 12 => self.merge(store),
            _ => {
                let name = if self.rng.chance(2) { Some(WRITERS.to_owned()) } else { self.any() };
                let name = name.unwrap_or(WRITERS.to_owned());
                let outcome = volumes::flatten(&mut store.clone(), &mut self.clock.clone(), &name);
                self.note("flatten", outcome).map(drop)
            }
        }
    }

    fn any(&mut self) -> Option<String> {
        let count = self.forks.len() as u64;
        if count == 0 {
            return None;
        }
        let at = self.rng.below(count) as usize;
        self.forks.keys().nth(at).cloned()
    }

    fn new_name(&mut self) -> String {
        self.next += 1;
        format!("fork {}", self.next)
    }

    /// Counts a success. A writer in the middle of a commit through the journal, and a store that is too
    /// small, are no failures.
    fn note(&mut self, what: &'static str, outcome: Result<(), Error>) -> Result<bool, String> {
        match outcome {
            Ok(()) => {
                *self.done.entry(what).or_default() += 1;
                Ok(true)
            }
            Err(
                Error::StoreLimits(_)
                | Error::Store(StoreError::Unavailable(_) | StoreError::QuotaExceeded)
                | Error::ReadOnly,
            ) => Ok(false),
            Err(error) => Err(format!("{what}: {error:?}")),
        }
    }

    /// Compares every volume with every other.
    fn check_differences(&mut self, store: &TestStore) -> Check {
        let mut trees = self.forks.clone();
        let mut volume = self.open(store, WRITERS)?;
        let tree = tree::of_volume(&mut volume).map_err(|error| format!("reading: {error:?}"))?;
        trees.insert(WRITERS.to_owned(), tree);
        let image = self.setup.base.as_ref().map(|base| base.image.clone());
        for (first, before) in &trees {
            for (second, after) in &trees {
                match volumes::diff(&mut store.clone(), first, second, image.as_ref()) {
                    Ok(found) => {
                        *self.done.entry("differences").or_default() += found.len() as u64;
                        differences::check(before, after, &found)
                            .map_err(|what| format!("from {first} to {second}: {what}\n{found:#?}"))?;
                    }
                    Err(Error::Store(StoreError::Unavailable(_))) => {}
                    Err(error) => return Err(format!("from {first} to {second}: {error:?}")),
                }
            }
        }
        Ok(())
    }

    fn fork(&mut self, store: &TestStore, from: &str) -> Check {
        if self.forks.len() >= FORKS {
            return Ok(());
        }
        let taken = if self.rng.chance(3) { Taken::ReadOnly } else { Taken::Writable };
        let name = self.new_name();
        let before: Map = store.0.borrow().map.clone();
        let outcome = volumes::fork(&mut store.clone(), &mut self.clock.clone(), from, &name, taken);
        if !self.note("fork", outcome)? {
            return Ok(());
        }
        let expected = match self.forks.get(from) {
            Some(tree) => tree.clone(),
            // As a kill at this moment would leave it.
            None => {
                let store = TestStore::from_map(before, self.setup.limits);
                let mut volume = self.open(&store, from)?;
                tree::of_volume(&mut volume).map_err(|error| format!("reading before a fork: {error:?}"))?
            }
        };
        let layers = self.layers_of(store, &name)?;
        if let Some(layer) = layers.get(1) {
            self.layers.insert(layer.clone(), expected.clone());
        }
        self.forks.insert(name, expected);
        Ok(())
    }

    fn layers_of(&self, store: &TestStore, name: &str) -> Result<Vec<String>, String> {
        let info = volumes::info(&mut store.clone(), name);
        info.map(|info| info.layers).map_err(|error| format!("info of {name}: {error:?}"))
    }

    /// Merges a fork, or the writer's volume, into a fork.
    fn merge(&mut self, store: &TestStore) -> Check {
        let (from, Some(into)) = (self.any(), self.any()) else { return Ok(()) };
        let from = if self.rng.chance(3) { WRITERS.to_owned() } else { from.unwrap_or_default() };
        if from == into {
            return Ok(());
        }
        let side = self.rng.pick(&[None, Some(Side::Ours), Some(Side::Theirs)]);
        let before: Map = store.0.borrow().map.clone();
        let (theirs, ours) = (self.layers_of(store, &from)?, self.layers_of(store, &into)?);
        let image = self.setup.base.as_ref().map(|base| base.image.clone());
        let mut resolved = false;
        let outcome = volumes::merge(
            &mut store.clone(),
            &mut self.clock.clone(),
            &from,
            &into,
            image.as_ref(),
            Doing::Merge,
            &mut |_: &Conflict| {
                resolved = true;
                side
            },
        );
        let outcome = match outcome {
            // Flattened, or over the limits of the volume that is merged into.
            Err(Error::Unrelated | Error::TooManyLinks | Error::Quota | Error::FileTooLarge) => return Ok(()),
            Err(error) => return self.note("merge", Err(error)).map(drop),
            Ok(outcome) => outcome,
        };
        check_layers(store).map_err(|what| format!("after a merge: {what}"))?;
        self.check(store, &into).map_err(|what| format!("after a merge: {what}"))?;
        match outcome {
            Outcome::Conflicts(found) => {
                *self.done.entry("conflict").or_default() += found.len() as u64;
                let is_same = store.0.borrow().map == before;
                return if is_same { Ok(()) } else { Err("conflicts changed something".to_owned()) };
            }
            Outcome::Merged(_) => *self.done.entry("merge").or_default() += 1,
        }
        let mut volume = self.open(store, &into)?;
        let merged = tree::of_volume(&mut volume).map_err(|error| format!("reading {into}: {error:?}"))?;
        drop(volume);
        let into_before = self.forks[&into].clone();
        let from_before = match self.forks.get(&from) {
            Some(tree) => tree.clone(),
            None => {
                let store = TestStore::from_map(before, self.setup.limits);
                let mut volume = self.open(&store, &from)?;
                tree::of_volume(&mut volume).map_err(|error| format!("reading before a merge: {error:?}"))?
            }
        };
        let common = theirs.iter().find(|layer| ours.contains(layer));
        if let Some(base) = common.and_then(|layer| self.layers.get(layer)).filter(|_| !resolved) {
            let told = |what: String| format!("{from} into {into}: {what}");
            merging::check_one_sided(base, &from_before, &into_before, &merged).map_err(told)?;
            let looked = merging::check(base, &from_before, &into_before, &merged).map_err(told)?;
            *self.done.entry("merged path").or_default() += looked;
        }
        self.forks.insert(into, merged);
        Ok(())
    }

    fn open(&self, store: &TestStore, name: &str) -> Result<Volume, String> {
        let options = Options {
            volume: name.to_owned(),
            mode: Mode::Close,
            quota: Some(Quota::default()),
            ..self.setup.options()
        };
        let outcome = self.setup.open(Box::new(store.clone()), Box::new(self.clock.clone()), options);
        outcome.map_err(|error| format!("opening {name}: {error:?}"))
    }

    fn check(&self, store: &TestStore, name: &str) -> Check {
        let report = match &self.setup.base {
            Some(base) => kvfs::fsck_overlay(&mut store.clone(), name, base.image.clone()),
            None => kvfs::fsck(&mut store.clone(), name),
        };
        let report = report.map_err(|error| format!("fsck of {name}: {error:?}"))?;
        match report.findings.first() {
            None => Ok(()),
            Some(finding) => Err(format!("fsck of {name}: {finding}")),
        }
    }

    fn compare(&self, store: &TestStore, name: &str, expected: &Tree) -> Check {
        self.check(store, name)?;
        let mut volume = self.open(store, name)?;
        let found = tree::of_volume(&mut volume).map_err(|error| format!("reading {name}: {error:?}"))?;
        tree::difference(expected, &found).map_or(Ok(()), Err)
    }

    /// Changes a fork: removes a file, changes one in the middle, or makes one.
    fn change(&mut self, store: &TestStore) -> Check {
        let Some(name) = self.any() else { return Ok(()) };
        let mut volume = self.open(store, &name)?;
        let kind = self.rng.below(3);
        let files: Vec<&String> = self.forks[&name]
            .iter()
            .filter(|(_, leaf)| leaf.kind == Kind::File)
            .map(|(path, _)| path)
            .collect();
        let at = self.rng.below(files.len().max(1) as u64) as usize;
        let path = files.get(at).map(|path| (*path).clone());
        let act = |volume: &mut Volume| -> Result<(), Error> {
            let root = volume.root()?;
            let write = Access { read: true, write: true, ..Access::default() };
            let create = OpenFlags { create: true, ..OpenFlags::default() };
            match (kind, path) {
                (0, Some(path)) => volume.unlink_file_at(&root, &path)?,
                (1, Some(path)) => {
                    let file = volume.open_at(&root, &path, Follow::No, OpenFlags::default(), write)?;
                    volume.write(&file, At::Offset(600), &[7; 30])?;
                    volume.close(file)?;
                }
                _ => {
                    let file = volume.open_at(&root, &name, Follow::No, create, write)?;
                    volume.write(&file, At::End, &[8; 700])?;
                    volume.close(file)?;
                }
            }
            volume.sync_all()
        };
        let outcome = act(&mut volume);
        self.note("change", outcome)?;
        let mut volume = self.open(store, &name)?;
        let tree = tree::of_volume(&mut volume).map_err(|error| format!("reading {name}: {error:?}"))?;
        self.forks.insert(name, tree);
        Ok(())
    }

    fn remove(&mut self, store: &TestStore) -> Check {
        let Some(name) = self.any() else { return Ok(()) };
        let outcome = volumes::remove(&mut store.clone(), &name);
        if self.note("remove", outcome)? {
            self.forks.remove(&name);
        }
        Ok(())
    }

    /// Gives a fork the files of another one, or of the writer's volume.
    fn restore(&mut self, store: &TestStore) -> Check {
        let (Some(name), Some(from)) = (self.any(), self.any()) else { return Ok(()) };
        let expected = self.forks[&from].clone();
        if name == from {
            return Ok(());
        }
        let outcome = volumes::restore(&mut store.clone(), &mut self.clock.clone(), &name, &from);
        if self.note("restore", outcome)? {
            self.forks.insert(name, expected);
        }
        Ok(())
    }

    fn rename(&mut self, store: &TestStore) -> Check {
        let Some(name) = self.any() else { return Ok(()) };
        let to = self.new_name();
        let outcome = volumes::rename(&mut store.clone(), &mut self.clock.clone(), &name, &to);
        if self.note("rename", outcome)?
            && let Some(tree) = self.forks.remove(&name)
        {
            self.forks.insert(to, tree);
        }
        Ok(())
    }

    fn collect(&mut self, store: &TestStore, records: u64) -> Check {
        let outcome = volumes::collect_garbage(&mut store.clone(), records);
        let outcome = outcome.map_err(|error| format!("collecting: {error:?}"))?;
        if outcome.layers > 0 {
            *self.done.entry("collect").or_default() += 1;
        }
        Ok(())
    }
}
