//! A run: the engine, the reference, and the moments for crash checks.

use super::answers::Check;
use super::clock::{TestClock, time};
use super::slots::{Listing, OpenFile, opened};
use crate::model::{Id, Layout, Model, ROOT};
use crate::ops::{DIRS, FILES, LISTINGS, Op, Setup};
use crate::store::TestStore;
use kvfs::{Descriptor, Error, Volume};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A file, an offset, and the bytes written there.
pub type Wrote = (Id, u64, Vec<u8>);

/// The state after an operation.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The reference after the operation.
    pub model: Model,
    /// The number of applies in the store's log after the operation.
    pub applies: usize,
    /// Index of the oldest moment that the store may show from here on after a kill.
    pub stored: usize,
    /// Index of the oldest moment that the store may show after a crash: not later than `stored`.
    pub durable: usize,
    /// What the operation wrote, if it was a write.
    pub wrote: Option<Wrote>,
}

pub struct Runner {
    pub setup: Setup,
    pub store: TestStore,
    pub clock: TestClock,
    pub(super) volume: Option<Volume>,
    pub model: Model,
    pub(super) start_seconds: i64,
    pub(super) files: [Option<OpenFile>; FILES],
    pub(super) dirs: [Option<(Descriptor, Id)>; DIRS],
    pub(super) listings: [Option<Listing>; LISTINGS],
    /// Number of the current operation, counted from one: the index of its moment.
    pub(super) moment: usize,
    /// What the current operation wrote.
    pub(super) wrote: Option<Wrote>,
    /// Whether moments are kept.
    keep: bool,
    pub moments: Vec<Moment>,
    /// The last moment that changed each file's content or times and is not known to be stored.
    pub(super) changed: BTreeMap<Id, usize>,
    pub(super) last_stored: usize,
    pub(super) last_durable: usize,
    /// Whether closes are drops: the volume reports their failures later.
    pub drops: bool,
    /// If set, the store fails from this call on during every close of a file.
    pub closes_fail_at: Option<u64>,
    /// Whether the volume was opened more than once. Files that were open without a name may then
    /// wait for removal.
    pub(super) restarted: bool,
}

impl Runner {
    pub fn new(setup: &Setup, store: TestStore, keep: bool) -> Result<Self, String> {
        match &setup.base {
            Some(base) => Self::going_on(setup, store, base.model.clone(), base.seconds, keep),
            None => Self::going_on(setup, store, Model::new(time(0)), 0, keep),
        }
    }

    /// Continues on an existing volume that looks like `model`. The clock starts at
    /// `start_seconds`, after every time in it.
    pub fn going_on(
        setup: &Setup,
        store: TestStore,
        mut model: Model,
        start_seconds: i64,
        keep: bool,
    ) -> Result<Self, String> {
        model.target_bytes_max = 4095.min(setup.extent_bytes as usize);
        let clock = TestClock(Rc::new(Cell::new(start_seconds)));
        store.0.borrow_mut().scan_entries_max = setup.scan_entries_max;
        let mut runner = Self {
            setup: setup.clone(),
            clock,
            volume: None,
            model,
            start_seconds,
            files: [const { None }; FILES],
            dirs: [const { None }; DIRS],
            listings: [const { None }; LISTINGS],
            moment: 0,
            wrote: None,
            keep,
            moments: Vec::new(),
            changed: BTreeMap::new(),
            last_stored: 0,
            last_durable: 0,
            drops: false,
            closes_fail_at: None,
            restarted: false,
            store,
        };
        runner.model.layout = Layout {
            extent_bytes: u64::from(setup.extent_bytes),
            inline_bytes: u64::from(setup.inline_bytes.min(setup.extent_bytes)),
        };
        runner.open().map_err(|error| format!("opening: {error:?}"))?;
        runner.keep_moment();
        Ok(runner)
    }

    fn open(&mut self) -> Result<(), Error> {
        let (store, clock) = (Box::new(self.store.clone()), Box::new(self.clock.clone()));
        let mut volume = self.setup.open(store, clock, self.setup.options())?;
        self.dirs[0] = Some((volume.root()?, ROOT));
        self.model.opened(ROOT);
        self.model.quota = volume.quota();
        self.volume = Some(volume);
        Ok(())
    }

    pub fn volume(&mut self) -> &mut Volume {
        opened(&mut self.volume)
    }

    fn keep_moment(&mut self) {
        let wrote = self.wrote.take();
        if self.keep {
            let model = self.model.clone();
            let applies = self.store.log_len();
            self.moments.push(Moment {
                model,
                applies,
                stored: self.last_stored,
                durable: self.last_durable,
                wrote,
            });
        }
    }

    /// Does one operation on both sides and compares the answers. Returns whether it succeeded.
    pub fn step(&mut self, index: usize, op: &Op) -> Result<bool, String> {
        let seconds = self.start_seconds + index as i64 + 1;
        self.clock.0.set(seconds);
        self.model.now = time(seconds);
        self.moment = index + 1;
        self.wrote = None;
        let failed = self.store.0.borrow().faults_injected;
        let outcome = self.apply(op);
        let outcome = outcome.map_err(|what| format!("operation {index} {op:?}: {what}"))?;
        self.watch_listings();
        // An operation during which the store failed promises nothing: it may be deferred.
        if self.store.0.borrow().faults_injected == failed {
            self.acknowledge(op, outcome).map_err(|what| format!("operation {index} {op:?}: {what}"))?;
        }
        self.keep_moment();
        Ok(outcome)
    }

    /// The directory open in a slot.
    pub fn dir(&self, slot: usize) -> Option<Id> {
        self.dirs[slot].as_ref().map(|(_, id)| *id)
    }

    /// Drops the volume and everything open, as a kill does, and opens it again.
    pub fn restart(&mut self) -> Check {
        self.files = [const { None }; FILES];
        self.dirs = [const { None }; DIRS];
        self.listings = [const { None }; LISTINGS];
        self.volume = None;
        self.model.close_all();
        self.restarted = true;
        self.store.reopen().map_err(|error| format!("opening the store again: {error:?}"))?;
        self.open().map_err(|error| format!("opening again: {error:?}"))
    }
}
