//! Cuts of a run on a store below. At a call of the store's medium the program is killed or the
//! machine goes down; then the store is opened on what is left, and the volume in it.
//!
//! The volume found must keep the promises given before the cut. The store must hold a prefix of
//! the applies: no store may lose one and keep a later one.

use crate::below::Below;
use crate::moments::{Ran, check_sound, grow_everything};
use crate::ops::Setup;
use crate::run::Check;
use crate::store::{Map, TestStore, tag_of};
use crate::tree;
use kvfs::{Entry, Limits};

/// The progress of a run at a call of the medium.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Applies requested from the store.
    pub begun: usize,
    /// Applies that it acknowledged.
    pub acknowledged: usize,
}

/// What a cut loses beside applies that were not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the program was killed.
    Nothing,
    /// All applies behind the last durable one: the machine went down.
    NotDurable,
}

/// Counts of cuts by kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Met {
    pub cuts: u64,
    /// Cuts inside split commits.
    pub split: u64,
    /// Cuts with a journal in the store.
    pub journal: u64,
    /// Cuts that lost acknowledged applies.
    pub lost: u64,
}

impl Met {
    pub fn add(&mut self, other: Met) {
        self.cuts += other.cuts;
        self.split += other.split;
        self.journal += other.journal;
        self.lost += other.lost;
    }
}

/// Reduces a setup's limits to those of the store below.
pub fn within(setup: &Setup, below: &Limits) -> Setup {
    let mut setup = setup.clone();
    setup.limits = Limits {
        max_key_bytes: setup.limits.max_key_bytes.min(below.max_key_bytes),
        max_value_bytes: setup.limits.max_value_bytes.min(below.max_value_bytes),
        max_batch_entries: setup.limits.max_batch_entries.min(below.max_batch_entries),
        max_batch_bytes: setup.limits.max_batch_bytes.min(below.max_batch_bytes),
        durable: setup.limits.durable && below.durable,
    };
    setup
}

/// A finished run and what each cut of it may leave.
pub struct Cuts<'s> {
    pub ran: Ran<'s>,
    pub met: Met,
    /// The store's content by number of applies.
    maps: Vec<Map>,
    /// By number of applies: the last moment promised before the next apply.
    stored: Vec<usize>,
    durable: Vec<usize>,
}

impl Cuts<'_> {
    pub fn new(ran: Ran<'_>) -> Cuts<'_> {
        let mut maps = vec![Map::new()];
        for applied in &ran.log {
            let mut map = maps.last().cloned().unwrap_or_default();
            applied.replay(&mut map);
            maps.push(map);
        }
        let (mut stored, mut durable) = (vec![0; maps.len()], vec![0; maps.len()]);
        for moment in &ran.moments {
            for applies in moment.applies..maps.len() {
                stored[applies] = stored[applies].max(moment.stored);
                durable[applies] = durable[applies].max(moment.durable);
            }
        }
        Cuts { ran, met: Met::default(), maps, stored, durable }
    }

    /// Checks `store`, opened on what a cut left.
    pub fn check(&mut self, mark: Mark, loss: Loss, mut store: Box<dyn Below>) -> Check {
        self.met.cuts += 1;
        let setup = self.ran.setup;
        let map = entries(&mut *store).map_err(|error| format!("reading the store: {error:?}"))?;
        // Several numbers of applies may leave the same content; the greatest counts.
        let applies = self.maps[..=mark.begun].iter().rposition(|expected| *expected == map);
        let promised = match loss {
            Loss::Nothing => self.stored[mark.acknowledged],
            Loss::NotDurable => self.durable[mark.acknowledged],
        };
        let journal = map.keys().any(|key| tag_of(key) == 0x02);
        let store = TestStore::over(map, setup.limits, store);
        store.0.borrow_mut().scan_entries_max = setup.scan_entries_max;

        if applies.is_none_or(|applies| applies >= self.ran.first()) || promised > 0 {
            check_sound(&store, setup, "as it is found")?;
        }
        let mut volume = self.ran.open(&store)?;
        let found = tree::of_volume(&mut volume).map_err(|error| format!("reading: {error:?}"))?;
        let most = applies.unwrap_or(mark.begun);
        let split = self.ran.is_split(most);
        // Where the cut left no volume yet, opening creates it as the first moment.
        let (lowest, highest) = if most < self.ran.first() { (0, 0) } else { self.ran.bounds(most) };
        let lowest = if applies.is_some() { lowest.max(promised) } else { promised };
        self.ran.check_found(&found, split, lowest, highest.max(lowest))?;

        let Some(applies) = applies else {
            return Err("the store holds what no prefix of the applies leaves".to_owned());
        };
        let least = match loss {
            Loss::Nothing => mark.acknowledged,
            Loss::NotDurable => self.ran.log[..mark.acknowledged]
                .iter()
                .rposition(|applied| applied.durable)
                .map_or(0, |at| at + 1),
        };
        if applies < least {
            return Err(format!(
                "of {mark:?} the store holds {applies} applies, not {least} (lost: {loss:?})"
            ));
        }
        self.met.split += u64::from(split);
        self.met.journal += u64::from(journal);
        self.met.lost += u64::from(applies < mark.acknowledged);
        if split || journal || self.met.cuts.is_multiple_of(4) {
            grow_everything(&mut volume, &found, setup)?;
            drop(volume);
            store.reopen().map_err(|error| format!("opening the store again: {error:?}"))?;
            check_sound(&store, setup, "after files grew")?;
        }
        Ok(())
    }
}

/// Reads every entry of a store.
fn entries(store: &mut dyn Below) -> Result<Map, kvfs::StoreError> {
    let mut map = Map::new();
    let mut start = Vec::new();
    loop {
        let page = store.scan(&start, b"", u32::MAX, u32::MAX)?;
        let Some(last) = page.last() else { return Ok(map) };
        start = [&last.key[..], &[0]].concat();
        map.extend(page.into_iter().map(|Entry { key, value }| (key, value.into())));
    }
}
