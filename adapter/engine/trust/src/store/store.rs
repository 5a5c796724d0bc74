//! A store for tests: strict about its limits, with a log of applies, counts of calls, faults, and a
//! saboteur that breaks what the engine asks for, to see whether the suites notice.

use crate::below::{Below, Kept};
use kvfs::{Durability, Entry, Guard, KvStore, Limits, Mutation, StoreError};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

pub type Map = BTreeMap<Vec<u8>, Rc<[u8]>>;

/// A key and its new value, `None` for a delete.
pub type Change = (Vec<u8>, Option<Rc<[u8]>>);

/// One successful apply.
#[derive(Debug, Clone)]
pub struct Applied {
    pub changes: Vec<Change>,
    pub durable: bool,
    /// Puts a committed journal in place, or deletes one: losing it changes nothing.
    pub settles: bool,
}

/// Whether a key is that of a journal's commit record.
fn is_commit_record(key: &[u8]) -> bool {
    tag_of(key) == 0x02 && key.len() == 2 + usize::from(key.first().copied().unwrap_or_default())
}

/// Whether a value says that what lies below is gone.
fn is_tombstone(value: &[u8]) -> bool {
    value.len() == 16 && value[9] == 0x40
}

impl Applied {
    pub fn replay(&self, map: &mut Map) {
        for (key, value) in &self.changes {
            match value {
                Some(value) => map.insert(key.clone(), Rc::clone(value)),
                None => map.remove(key),
            };
        }
    }

    /// Sends bytes of a file ahead: a commit that was split has this before its last apply.
    pub fn is_stage(&self) -> bool {
        let is_bytes = |value: &Option<Rc<[u8]>>| value.as_ref().is_some_and(|value| !is_tombstone(value));
        let puts_extent = self.changes.iter().any(|(key, value)| tag_of(key) == 0x20 && is_bytes(value));
        puts_extent && !self.settles && !self.ends_commit()
    }

    /// Makes a commit's metadata valid: directly, or with a journal's commit record.
    pub fn ends_commit(&self) -> bool {
        self.commits_journal() || (!self.settles && self.changes.iter().any(|(key, _)| tag_of(key) == 0x10))
    }

    pub fn commits_journal(&self) -> bool {
        self.changes.iter().any(|(key, value)| is_commit_record(key) && value.is_some())
    }

    /// Whether it would settle something if it was made on this.
    fn settles(&self, map: &Map) -> bool {
        let deletes_part = |(key, value): &Change| tag_of(key) == 0x02 && value.is_none();
        let key = self.changes.iter().map(|(key, _)| key).find(|key| tag_of(key) == 0);
        let commit = key.map(|key| [&key[..key.len() - 1], &[0x02]].concat());
        self.changes.iter().any(deletes_part) || commit.is_some_and(|key| map.contains_key(&key))
    }
}

/// The tag of a record's key.
pub fn tag_of(key: &[u8]) -> u8 {
    let name = usize::from(key.first().copied().unwrap_or_default());
    key.get(1 + name).copied().unwrap_or_default()
}

/// A superblock with a name less in its count, which is the last number but one.
fn miscounted(key: &[u8], value: &[u8]) -> Rc<[u8]> {
    let mut body = value[16..].to_vec();
    let at = body.len() - 16;
    let names = u64::from_be_bytes(body[at..at + 8].try_into().expect("eight bytes"));
    body[at..at + 8].copy_from_slice(&names.wrapping_sub(1).to_be_bytes());
    kvfs::fuzzing::framed(key, 0, &body).into()
}

/// What goes wrong, at which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Unavailable,
    UnknownApplied,
    UnknownNotApplied,
    Conflict,
    QuotaExceeded,
    ReadOnly,
    AccessDenied,
    Corrupt,
    /// The store goes away while it applies: the outcome is unknown, and after that nothing answers.
    GoneApplied,
    GoneNotApplied,
}

impl Fault {
    fn error(self) -> StoreError {
        match self {
            Fault::Unavailable => StoreError::Unavailable("by the test".to_owned()),
            Fault::UnknownApplied | Fault::UnknownNotApplied => StoreError::UnknownOutcome,
            Fault::Conflict => StoreError::Conflict,
            Fault::QuotaExceeded => StoreError::QuotaExceeded,
            Fault::ReadOnly => StoreError::ReadOnly,
            Fault::AccessDenied => StoreError::AccessDenied,
            Fault::Corrupt => StoreError::Corrupt("by the test".to_owned()),
            Fault::GoneApplied | Fault::GoneNotApplied => unreachable!("resolved by `turn`"),
        }
    }

    /// Whether it can happen to a call that only reads.
    fn hits_reads(self) -> bool {
        matches!(self, Fault::Unavailable | Fault::AccessDenied | Fault::Corrupt)
    }
}

/// How the saboteur breaks the engine's promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Guards are not checked.
    NoGuards,
    /// Orphan records never reach the store.
    NoOrphanRecords,
    /// Reap records never reach the store.
    NoReapRecords,
    /// In an apply with metadata and bytes, the metadata is cut off and becomes visible first.
    MetadataFirst,
    /// Entries reach the store one apply before the inodes they name.
    EntriesFirst,
    /// Deletes of extents are forgotten.
    NoExtentDeletes,
    /// Tombstones never reach the store.
    NoTombstones,
    /// Every superblock counts a name too few.
    MiscountsNames,
    /// A durable apply is only buffered.
    NotDurable,
    /// Of every seventh apply only the superblock reaches the store.
    LosesAnApply,
    /// A journal's commit record never reaches the store.
    NoCommitRecords,
    /// A journal's commit record is deleted before what it changes is in place.
    JournalDeletedFirst,
    /// An apply that is refused leaves the names that it carried.
    RefusalLeavesNames,
}

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
    /// What keeps the entries; the map is then what it must hold.
    pub below: Option<Kept>,
    pub log: Vec<Applied>,
    pub limits: Limits,
    pub calls: Calls,
    /// The fault, the call (counted from now on) that it starts with, and how many calls it lasts.
    pub fault: Option<(Fault, u64, u64)>,
    /// What all calls fail with when those of `fault` are over.
    pub then: Option<Fault>,
    pub faults_injected: u64,
    pub sabotage: Option<Sabotage>,
    /// Bytes of keys and values over which nothing grows.
    pub bytes_max: usize,
    /// Scans return no more than this many entries, as a host is free to do.
    pub scan_entries_max: u32,
    /// Calls from now on, behind which the next one panics: a loop without an end becomes a failure.
    pub calls_left: u64,
    calls_since: u64,
    applies_seen: u64,
}

/// Clones share one store.
#[derive(Debug, Clone)]
pub struct TestStore(pub Rc<RefCell<Inner>>);

pub const LARGE: Limits = Limits {
    max_key_bytes: 1 << 10,
    max_value_bytes: 2 << 20,
    max_batch_entries: 10_000,
    max_batch_bytes: 16 << 20,
    durable: true,
};

/// The smallest limits on which a commit is one apply: commits are split all the time.
pub const SMALL: Limits = Limits {
    max_key_bytes: 520,
    max_value_bytes: 16 << 10,
    max_batch_entries: 16,
    max_batch_bytes: 16 << 10,
    durable: true,
};

/// The smallest limits that the file system takes: nearly every commit goes through the journal.
pub const TINY: Limits = Limits {
    max_key_bytes: 520,
    max_value_bytes: 640,
    max_batch_entries: 2,
    max_batch_bytes: 4 << 10,
    durable: true,
};

/// Limits on which commits go through the journal: in many parts, in one, in pieces of several entries.
pub const JOURNALLED: [Limits; 5] = [
    TINY,
    Limits { max_value_bytes: 4 << 10, ..TINY },
    Limits { max_value_bytes: 4 << 10, max_batch_entries: 3, ..TINY },
    Limits { max_value_bytes: 4 << 10, max_batch_entries: 5, max_batch_bytes: 8 << 10, ..TINY },
    Limits { max_batch_entries: 10_000, ..TINY },
];

impl TestStore {
    pub fn new(limits: Limits) -> TestStore {
        TestStore::from_map(Map::new(), limits)
    }

    pub fn from_map(map: Map, limits: Limits) -> TestStore {
        TestStore(Rc::new(RefCell::new(Inner {
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
        })))
    }

    /// A store whose entries another one keeps, which holds those of the map.
    pub fn over(map: Map, limits: Limits, below: Box<dyn Below>) -> TestStore {
        let store = TestStore::from_map(map, limits);
        store.0.borrow_mut().below = Some(Kept(below));
        store
    }

    /// Opens what keeps the entries again, if that is another store.
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

    /// From the `call`th call from now on, `count` calls fail.
    pub fn set_fault(&self, fault: Fault, call: u64, count: u64) {
        let mut inner = self.0.borrow_mut();
        inner.calls_since = 0;
        (inner.fault, inner.then) = (Some((fault, call, count)), None);
    }

    /// All calls fail so once those of the fault that is set are over.
    pub fn then_fault(&self, fault: Fault) {
        self.0.borrow_mut().then = Some(fault);
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.0.borrow().map.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// From now on nothing grows over so many bytes more than there are.
    pub fn set_room(&self, bytes: usize) {
        let bytes_max = self.bytes().saturating_add(bytes);
        self.0.borrow_mut().bytes_max = bytes_max;
    }

    pub fn clear_fault(&self) {
        let mut inner = self.0.borrow_mut();
        (inner.fault, inner.then) = (None, None);
    }
}

impl Inner {
    /// The fault of this call, if it is its turn.
    fn turn(&mut self, is_apply: bool) -> Option<Fault> {
        let left = self.calls_left.checked_sub(1);
        self.calls_left = left.expect("no more calls of the store than one operation may make");
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

    /// Whether changes make the entries more than they are and more than they may be.
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

    /// What the saboteur leaves of an apply that is refused.
    fn refused(&mut self, changes: Vec<Change>) {
        if self.sabotage == Some(Sabotage::RefusalLeavesNames) {
            let changes: Vec<_> = changes.into_iter().filter(|(key, _)| tag_of(key) == 0x11).collect();
            if !changes.is_empty() {
                self.put_on_record(Applied { changes, durable: false, settles: false });
            }
        }
    }

    fn put_on_record(&mut self, mut applied: Applied) {
        applied.settles = applied.settles(&self.map);
        applied.replay(&mut self.map);
        self.log.push(applied);
    }

    fn sabotaged(&mut self, mut applied: Applied) {
        self.applies_seen += 1;
        let mut forget = |tag: u8, puts: bool| {
            applied.changes.retain(|(key, value)| tag_of(key) != tag || value.is_some() != puts);
        };
        let mut first: fn(u8) -> bool = |_| true;
        match self.sabotage {
            None | Some(Sabotage::NoGuards | Sabotage::RefusalLeavesNames) => {}
            Some(Sabotage::NoOrphanRecords) => forget(0x31, true),
            Some(Sabotage::NoReapRecords) => forget(0x30, true),
            Some(Sabotage::NoExtentDeletes) => forget(0x20, false),
            Some(Sabotage::NoTombstones) => {
                applied.changes.retain(|(_, value)| !value.as_ref().is_some_and(|value| is_tombstone(value)));
            }
            Some(Sabotage::MiscountsNames) => {
                for (key, value) in applied.changes.iter_mut().filter(|(key, _)| tag_of(key) == 0) {
                    *value = value.as_ref().map(|value| miscounted(key, value));
                }
            }
            Some(Sabotage::NotDurable) => applied.durable = false,
            Some(Sabotage::LosesAnApply) if self.applies_seen.is_multiple_of(7) => {
                applied.changes.retain(|(key, _)| tag_of(key) == 0);
            }
            Some(Sabotage::LosesAnApply) => {}
            Some(Sabotage::NoCommitRecords) => {
                applied.changes.retain(|(key, value)| !is_commit_record(key) || value.is_none());
            }
            Some(Sabotage::JournalDeletedFirst) if applied.settles(&self.map) => {
                if let Some((key, _)) = self.map.iter().find(|(key, _)| is_commit_record(key)) {
                    applied.changes.push((key.clone(), None));
                }
            }
            Some(Sabotage::JournalDeletedFirst) => {}
            Some(Sabotage::MetadataFirst) => first = |tag| tag != 0x20,
            Some(Sabotage::EntriesFirst) => first = |tag| tag == 0x11,
        }
        let durable = applied.durable;
        let (ahead, behind): (Vec<_>, Vec<_>) =
            applied.changes.into_iter().partition(|(key, _)| first(tag_of(key)));
        if behind.is_empty() || ahead.is_empty() {
            let changes = if behind.is_empty() { ahead } else { behind };
            self.put_on_record(Applied { changes, durable, settles: false });
        } else {
            self.put_on_record(Applied { changes: ahead, durable: false, settles: false });
            self.put_on_record(Applied { changes: behind, durable, settles: false });
        }
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
        let bytes: usize = mutations.iter().map(Mutation::batch_bytes).sum();
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
        inner.sabotaged(Applied { changes, durable: level == Durability::Durable, settles: false });
        match fault {
            Some(fault) => Err(fault.error()),
            None => Ok(()),
        }
    }
}
