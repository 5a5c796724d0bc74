//! A bucket in memory that logs its calls, stops at any of them, and serves threads in turns.

use kvfs_bucket_store::{Bucket, BucketError};
use kvfs_store_rig::Handle;
use kvfs_trust::cuts::Mark;
use std::collections::BTreeMap;

pub(crate) type Values = BTreeMap<String, Vec<u8>>;

/// The values of a bucket, and their history.
#[derive(Clone, Default)]
pub(crate) struct Contents {
    pub(crate) values: Values,
    /// Calls that changed something, in order: the name, and its value afterwards.
    pub(crate) log: Vec<(String, Option<Vec<u8>>)>,
    /// For each of them, the progress of the run.
    pub(crate) marks: Vec<Mark>,
    /// The progress of the run now.
    pub(crate) mark: Mark,
    /// The values before all of them.
    pub(crate) before: Values,
    /// Calls that change something until the power goes in the middle of one.
    pub(crate) calls_left: Option<u64>,
    /// Decides what a set that is cut short leaves.
    pub(crate) torn: u64,
    /// Decides for every call whether it fails: not at all, before it did anything, or after.
    pub(crate) fail: Option<fn(&Call<'_>) -> Failing>,
    pub(crate) calls: u64,
}

/// A call, for a decision about it.
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

    /// Returns what some first part of the calls leaves; the last of them may be torn.
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

/// Returns what a set that is cut short leaves: all, nothing new, a part, or a part in front of the
/// end of the old value.
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

/// A handle on a bucket.
#[derive(Clone)]
pub(crate) struct SimBucket(pub(crate) Handle<Contents>);

impl SimBucket {
    pub(crate) fn new(contents: Contents) -> Self {
        Self(Handle::new(contents))
    }

    pub(crate) fn contents<T>(&self, look: impl FnOnce(&mut Contents) -> T) -> T {
        self.0.look(look)
    }
}

impl Bucket for SimBucket {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BucketError> {
        self.0.call(|contents| contents.get(name))
    }

    fn set(&self, name: &str, value: &[u8]) -> Result<(), BucketError> {
        assert!(value.len() <= 64 << 10, "{name} has {} bytes", value.len());
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'), "{name}");
        self.0.call(|contents| contents.change("set", name, Some(value)))
    }

    fn delete(&self, name: &str) -> Result<(), BucketError> {
        self.0.call(|contents| contents.change("delete", name, None))
    }
}
