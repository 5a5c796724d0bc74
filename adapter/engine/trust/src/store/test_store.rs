//! The store with its log, counts and faults.

use super::applied::{Applied, Change, Map};
use super::fault::Fault;
use super::sabotage::Sabotage;
use crate::below::{Below, Kept};
use kvfs::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    pub limits: u64,
    pub gets: u64,
    pub keys_got: u64,
    pub scans: u64,
    pub entries_scanned: u64,
    pub applies: u64,
}

impl Calls {
    pub fn total(&self) -> u64 {
        self.limits + self.gets + self.scans + self.applies
    }
}

#[derive(Debug)]
pub struct Inner {
    pub map: Map,
    /// The store that keeps the entries, if it is another one. `map` is then what it must hold.
    pub below: Option<Kept>,
    pub log: Vec<Applied>,
    pub limits: Limits,
    pub calls: Calls,
    /// The fault, the call that it starts with (counted from when it was set), and the number of
    /// calls it lasts.
    pub fault: Option<(Fault, u64, u64)>,
    /// The fault of all calls after those of `fault`.
    pub then: Option<Fault>,
    pub faults_injected: u64,
    pub sabotage: Option<Sabotage>,
    /// Bytes of keys and values beyond which nothing may grow.
    pub bytes_max: usize,
    /// The largest number of entries that a scan returns, as a host is free to choose.
    pub scan_entries_max: u32,
    /// Calls left before a panic, so that an endless loop becomes a failure.
    pub calls_left: u64,
    calls_since: u64,
    applies_seen: u64,
    /// Acts before every apply but its own.
    pub tool: Option<Box<dyn Tool>>,
    /// It acts before every reading call too.
    pub tool_acts_on_reads: bool,
    /// The tool waits where it is asked to.
    pub tool_can_wait: bool,
    /// The tool acts now.
    tool_acts: bool,
}

/// Another user of the store, beside the one that a test is about.
pub trait Tool: std::fmt::Debug {
    fn act(&mut self, store: &TestStore);
}

/// A store for tests. Clones share its entries.
#[derive(Debug, Clone)]
pub struct TestStore(pub Rc<RefCell<Inner>>);

impl TestStore {
    pub fn new(limits: Limits) -> Self {
        Self::from_map(Map::new(), limits)
    }

    pub fn from_map(map: Map, limits: Limits) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            map,
            below: None,
            log: Vec::new(),
            limits,
            calls: Calls::default(),
            fault: None,
            then: None,
            faults_injected: 0,
            sabotage: None,
            bytes_max: usize::MAX,
            scan_entries_max: u32::MAX,
            calls_left: u64::MAX,
            calls_since: 0,
            applies_seen: 0,
            tool: None,
            tool_acts_on_reads: false,
            tool_can_wait: false,
            tool_acts: false,
        })))
    }

    /// Wraps a store that keeps the entries and holds those of `map`.
    pub fn over(map: Map, limits: Limits, below: Box<dyn Below>) -> Self {
        let store = Self::from_map(map, limits);
        store.0.borrow_mut().below = Some(Kept(below));
        store
    }

    /// Reopens the store below, if there is one.
    pub fn reopen(&self) -> Result<(), StoreError> {
        self.0.borrow_mut().below.as_mut().map_or(Ok(()), |below| below.0.reopen())
    }

    pub fn calls(&self) -> Calls {
        self.0.borrow().calls
    }

    pub fn reset_calls(&self) {
        self.0.borrow_mut().calls = Calls::default();
    }

    pub fn log_len(&self) -> usize {
        self.0.borrow().log.len()
    }

    /// Makes `count` calls fail, from the `call`th call from now on.
    pub fn set_fault(&self, fault: Fault, call: u64, count: u64) {
        let mut inner = self.0.borrow_mut();
        inner.calls_since = 0;
        (inner.fault, inner.then) = (Some((fault, call, count)), None);
    }

    /// Sets the fault of all calls after those of the fault that is set.
    pub fn then_fault(&self, fault: Fault) {
        self.0.borrow_mut().then = Some(fault);
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.0.borrow().map.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// Lets the entries grow by so many bytes and no further.
    pub fn set_room(&self, bytes: usize) {
        let bytes_max = self.bytes().saturating_add(bytes);
        self.0.borrow_mut().bytes_max = bytes_max;
    }

    /// Does something while no tool acts.
    pub fn undisturbed<T>(&self, act: impl FnOnce() -> T) -> T {
        let tool = self.0.borrow_mut().tool.take();
        let done = act();
        self.0.borrow_mut().tool = tool;
        done
    }

    fn let_tool_act(&self, on_read: bool) {
        if on_read && !self.0.borrow().tool_acts_on_reads {
            return;
        }
        let Some(mut tool) = self.0.borrow_mut().tool.take() else { return };
        let before = {
            let mut inner = self.0.borrow_mut();
            inner.tool_acts = true;
            (inner.calls, inner.calls_left, inner.fault.take())
        };
        tool.act(self);
        let mut inner = self.0.borrow_mut();
        inner.tool_acts = false;
        (inner.calls, inner.calls_left, inner.fault) = before;
        inner.tool = Some(tool);
    }

    pub fn clear_fault(&self) {
        let mut inner = self.0.borrow_mut();
        (inner.fault, inner.then) = (None, None);
    }
}

impl Inner {
    /// Counts a call and returns its fault, if any.
    fn turn(&mut self, is_apply: bool) -> Option<Fault> {
        let left = self.calls_left.checked_sub(1);
        self.calls_left = left.expect("more calls of the store than one operation may make");
        let (fault, at, count) = self.fault?;
        let may_be_gone = matches!(fault, Fault::GoneApplied | Fault::GoneNotApplied);
        if !is_apply && !fault.hits_reads() && !may_be_gone {
            return None;
        }
        let gone = match fault {
            Fault::GoneApplied => Some(Fault::UnknownApplied),
            Fault::GoneNotApplied => Some(Fault::UnknownNotApplied),
            _ => None,
        };
        if let Some(first) = gone {
            self.calls_since += u64::from(is_apply && self.calls_since <= at);
            if self.calls_since <= at {
                return None;
            }
            self.faults_injected += 1;
            self.calls_since += 1;
            return Some(if self.calls_since == at + 2 { first } else { Fault::Unavailable });
        }
        self.calls_since += 1;
        if let Some(then) = self.then.filter(|_| self.calls_since > at.saturating_add(count)) {
            self.fault = Some((then, 0, u64::MAX));
            self.faults_injected += 1;
            return Some(then);
        }
        if self.calls_since <= at || self.calls_since > at.saturating_add(count) {
            return None;
        }
        self.faults_injected += 1;
        Some(fault)
    }

    /// Returns whether the changes grow the entries beyond their bound.
    fn is_over(&self, changes: &[Change]) -> bool {
        if self.bytes_max == usize::MAX {
            return false;
        }
        let last: BTreeMap<_, _> = changes.iter().map(|(key, value)| (key, value)).collect();
        let (mut before, mut after) = (0, 0);
        for (key, value) in last {
            before += self.map.get(key).map_or(0, |old| key.len() + old.len());
            after += value.as_ref().map_or(0, |value| key.len() + value.len());
        }
        let total: usize = self.map.iter().map(|(key, value)| key.len() + value.len()).sum();
        after > before && total - before + after > self.bytes_max
    }

    /// Records what the saboteur leaves of a refused apply.
    fn refused(&mut self, changes: Vec<Change>) {
        let left = self.sabotage.map_or_else(Vec::new, |sabotage| sabotage.left_of_refused(changes));
        if !left.is_empty() {
            self.put_on_record(Applied { changes: left, durable: false, settles: false, by_tool: false });
        }
    }

    fn put_on_record(&mut self, mut applied: Applied) {
        applied.settles = applied.settles(&self.map);
        applied.replay(&mut self.map);
        self.log.push(applied);
    }

    fn put_all_on_record(&mut self, applied: Applied) {
        self.applies_seen += 1;
        let made = match self.sabotage {
            None => vec![applied],
            Some(sabotage) => sabotage.broken(applied, self.applies_seen, &self.map),
        };
        made.into_iter().for_each(|applied| self.put_on_record(applied));
    }
}

fn changes_of(mutations: &[Mutation<'_>]) -> Vec<Change> {
    let change = |mutation: &Mutation<'_>| match *mutation {
        Mutation::Put { key, value } => (key.to_vec(), Some(Rc::from(value))),
        Mutation::Delete { key } => (key.to_vec(), None),
    };
    mutations.iter().map(change).collect()
}

impl KvStore for TestStore {
    fn limits(&mut self) -> Result<Limits, StoreError> {
        let mut inner = self.0.borrow_mut();
        inner.calls.limits += 1;
        match inner.turn(false) {
            Some(fault) => Err(fault.error()),
            None => Ok(inner.limits),
        }
    }

    fn get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.let_tool_act(true);
        let mut inner = self.0.borrow_mut();
        inner.calls.gets += 1;
        inner.calls.keys_got += keys.len() as u64;
        if let Some(fault) = inner.turn(false) {
            return Err(fault.error());
        }
        assert!(keys.len() <= inner.limits.max_batch_entries as usize, "a get of {} keys", keys.len());
        let found = keys.iter().map(|key| inner.map.get(*key).map(|value| value.to_vec())).collect();
        match &mut inner.below {
            Some(below) => below.get(keys, found),
            None => Ok(found),
        }
    }

    fn scan(
        &mut self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.let_tool_act(true);
        let mut inner = self.0.borrow_mut();
        inner.calls.scans += 1;
        if let Some(fault) = inner.turn(false) {
            return Err(fault.error());
        }
        let upper = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
        if !end.is_empty() && end <= start {
            return Ok(Vec::new());
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        let most = max_entries.min(inner.scan_entries_max) as usize;
        for (key, value) in inner.map.range::<[u8], _>((Bound::Included(start), upper)).take(most) {
            bytes += key.len() + value.len();
            if bytes > max_bytes as usize && !found.is_empty() {
                break;
            }
            found.push(Entry { key: key.clone(), value: value.to_vec() });
        }
        if let Some(below) = &mut inner.below {
            found = below.scan((start, end), (most as u32, max_bytes), found)?;
        }
        inner.calls.entries_scanned += found.len() as u64;
        Ok(found)
    }

    fn apply(
        &mut self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.let_tool_act(false);
        let mut inner = self.0.borrow_mut();
        inner.calls.applies += 1;
        let fault = inner.turn(true);
        if let Some(fault) = fault.filter(|fault| *fault != Fault::UnknownApplied) {
            inner.refused(changes_of(mutations));
            return Err(fault.error());
        }
        let unguarded = inner.sabotage == Some(Sabotage::NoGuards);
        let holds = |guard: &Guard<'_>| inner.map.get(guard.key).map(|value| &value[..]) == guard.expected;
        if !unguarded && !guards.iter().all(holds) {
            return Err(StoreError::Conflict);
        }
        let limits = inner.limits;
        let bytes: usize = mutations.iter().map(Mutation::size_bytes).sum();
        if mutations.len() > limits.max_batch_entries as usize || bytes > limits.max_batch_bytes as usize {
            return Err(StoreError::TooLarge);
        }
        let changes = changes_of(mutations);
        let too_large = |(key, value): &Change| {
            key.len() > limits.max_key_bytes as usize
                || value.as_ref().is_some_and(|value| value.len() > limits.max_value_bytes as usize)
        };
        if changes.iter().any(too_large) {
            return Err(StoreError::TooLarge);
        }
        if inner.is_over(&changes) {
            inner.faults_injected += 1;
            inner.refused(changes);
            return Err(StoreError::QuotaExceeded);
        }
        if let Some(below) = &mut inner.below {
            below.apply(guards, mutations, level)?;
        }
        let (durable, by_tool) = (level == Durability::Durable, inner.tool_acts);
        inner.put_all_on_record(Applied { changes, durable, settles: false, by_tool });
        match fault {
            Some(fault) => Err(fault.error()),
            None => Ok(()),
        }
    }

    fn exclusively(&mut self, work: &mut dyn FnMut(&mut dyn KvStore)) -> bool {
        if !self.0.borrow().tool_can_wait {
            return false;
        }
        let tool = self.0.borrow_mut().tool.take();
        work(self);
        self.0.borrow_mut().tool = tool;
        true
    }
}
