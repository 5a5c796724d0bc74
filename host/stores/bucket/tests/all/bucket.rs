//! A bucket in memory that remembers its calls, stops at any of them, and takes turns among threads.

use crate::random::Random;
use kvfs_bucket_store::{Bucket, BucketError};
use kvfs_trust::cuts::Mark;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};

pub(crate) type Values = BTreeMap<String, Vec<u8>>;

/// What a bucket holds, and how it got there.
#[derive(Clone, Default)]
pub(crate) struct Contents {
    pub(crate) values: Values,
    /// Calls that changed something, in their order: the name, and what it had afterwards.
    pub(crate) log: Vec<(String, Option<Vec<u8>>)>,
    /// How far the work was that made them, for each.
    pub(crate) marks: Vec<Mark>,
    /// How far it is now.
    pub(crate) mark: Mark,
    /// What the bucket held before them.
    pub(crate) before: Values,
    /// Calls that change something, until the power is cut in the middle of one.
    pub(crate) calls_left: Option<u64>,
    /// Decides what a set leaves that is cut short.
    pub(crate) torn: u64,
    /// Decides for every call if it fails: none, before it did anything, or after.
    pub(crate) fail: Option<fn(&Call<'_>) -> Failing>,
    pub(crate) calls: u64,
}

/// A call, as a decision sees it.
pub(crate) struct Call<'a> {
    pub(crate) number: u64,
    pub(crate) what: &'static str,
    pub(crate) name: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    No,
    Before,
    After,
}

impl Contents {
    pub(crate) fn new(values: Values) -> Self {
        Self { before: values.clone(), values, ..Self::default() }
    }

    /// Returns what some first part of the calls left, of which the last may be torn.
    pub(crate) fn after_losing(&self, calls: usize, torn: Option<u64>) -> Values {
        let mut values = self.before.clone();
        let kept = &self.log[..self.log.len() - calls];
        for (number, (name, value)) in kept.iter().enumerate() {
            match value {
                Some(value) if number + 1 == kept.len() => {
                    let value =
                        torn.map_or_else(|| Some(value.clone()), |torn| part(torn, values.get(name), value));
                    change(&mut values, name, value);
                }
                value => change(&mut values, name, value.clone()),
            }
        }
        values
    }

    fn change(&mut self, what: &'static str, name: &str, value: Option<&[u8]>) -> Result<(), BucketError> {
        let power = || BucketError::Failed("the power is gone".into());
        match &mut self.calls_left {
            None => {}
            Some(0) => return Err(power()),
            Some(1) => {
                self.calls_left = Some(0);
                let value = value.and_then(|value| part(self.torn, self.values.get(name), value));
                self.put(name, value);
                return Err(power());
            }
            Some(left) => *left -= 1,
        }
        let failing = self.failing(what, name);
        if failing != Failing::Before {
            self.put(name, value.map(<[u8]>::to_vec));
        }
        fails(failing)
    }

    fn put(&mut self, name: &str, value: Option<Vec<u8>>) {
        change(&mut self.values, name, value.clone());
        self.log.push((name.to_owned(), value));
        self.marks.push(self.mark);
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, BucketError> {
        if self.calls_left == Some(0) {
            return Err(BucketError::Failed("the power is gone".into()));
        }
        fails(self.failing("get", name)).map(|()| self.values.get(name).cloned())
    }

    fn failing(&mut self, what: &'static str, name: &str) -> Failing {
        self.calls += 1;
        self.fail.map_or(Failing::No, |fail| fail(&Call { number: self.calls, what, name }))
    }

    /// Returns how many pages there are.
    pub(crate) fn pages(&self) -> usize {
        self.values.keys().filter(|name| name.starts_with("kvfs.page.")).count()
    }
}

fn fails(failing: Failing) -> Result<(), BucketError> {
    if failing == Failing::No { Ok(()) } else { Err(BucketError::Failed("this call fails".into())) }
}

pub(crate) fn change(values: &mut Values, name: &str, value: Option<Vec<u8>>) {
    match value {
        Some(value) => drop(values.insert(name.to_owned(), value)),
        None => drop(values.remove(name)),
    }
}

/// Returns what a set that is cut short leaves: all, nothing new, a part, or a part before the end of the old value.
pub(crate) fn part(torn: u64, old: Option<&Vec<u8>>, value: &[u8]) -> Option<Vec<u8>> {
    let cut = value.len() * (torn as usize / 5 % 8) / 8;
    match torn % 5 {
        0 => Some(value.to_vec()),
        1 => old.cloned(),
        2 => Some(value[..cut].to_vec()),
        3 => Some(Vec::new()),
        _ => {
            let mut mixed = value[..cut].to_vec();
            mixed.extend(old.into_iter().flatten().skip(cut));
            Some(mixed)
        }
    }
}

/// Lets one thread at a time make one call, in an order that a seed decides.
struct Turns {
    random: Random,
    running: Vec<usize>,
    current: usize,
    /// After how many calls, on average, it is another's turn.
    calls_per_turn: u64,
}

impl Turns {
    fn pass_on(&mut self) {
        let goes_on = self.running.contains(&self.current) && !self.random.chance(self.calls_per_turn);
        if !self.running.is_empty() && !goes_on {
            self.current = self.running[self.random.below(self.running.len() as u64) as usize];
        }
    }
}

struct Shared {
    contents: Mutex<Contents>,
    turns: Mutex<Option<Turns>>,
    changed: Condvar,
}

/// A handle on a bucket, for one thread if there are turns.
#[derive(Clone)]
pub(crate) struct SimBucket {
    shared: Arc<Shared>,
    thread: usize,
}

impl SimBucket {
    pub(crate) fn new(contents: Contents) -> Self {
        let shared =
            Shared { contents: Mutex::new(contents), turns: Mutex::new(None), changed: Condvar::new() };
        Self { shared: Arc::new(shared), thread: 0 }
    }

    /// Makes handles for threads that take turns.
    pub(crate) fn taking_turns(contents: Contents, threads: usize, seed: u64) -> Vec<Self> {
        let first = Self::new(contents);
        let turns = Turns {
            random: Random::new(seed),
            running: (0..threads).collect(),
            current: 0,
            calls_per_turn: [1, 3, 10, 40][seed as usize % 4],
        };
        *first.shared.turns.lock().unwrap() = Some(turns);
        (0..threads).map(|thread| Self { thread, ..first.clone() }).collect()
    }

    pub(crate) fn contents<T>(&self, look: impl FnOnce(&mut Contents) -> T) -> T {
        look(&mut self.shared.contents.lock().unwrap())
    }

    /// Ends the turns of this handle's thread.
    pub(crate) fn done(&self) {
        let mut turns = self.shared.turns.lock().unwrap();
        if let Some(turns) = &mut *turns {
            turns.running.retain(|&thread| thread != self.thread);
            turns.pass_on();
        }
        self.shared.changed.notify_all();
    }

    fn call<T>(&self, call: impl FnOnce(&mut Contents) -> T) -> T {
        let mut turns = self.shared.turns.lock().unwrap();
        while turns.as_ref().is_some_and(|turns| turns.current != self.thread) {
            turns = self.shared.changed.wait(turns).unwrap();
        }
        let result = call(&mut self.shared.contents.lock().unwrap());
        if let Some(turns) = &mut *turns {
            turns.pass_on();
            self.shared.changed.notify_all();
        }
        result
    }
}

impl Bucket for SimBucket {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BucketError> {
        self.call(|contents| contents.get(name))
    }

    fn set(&self, name: &str, value: &[u8]) -> Result<(), BucketError> {
        assert!(value.len() <= 64 << 10, "{name} has {} bytes", value.len());
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'), "{name}");
        self.call(|contents| contents.change("set", name, Some(value)))
    }

    fn delete(&self, name: &str) -> Result<(), BucketError> {
        self.call(|contents| contents.change("delete", name, None))
    }
}
