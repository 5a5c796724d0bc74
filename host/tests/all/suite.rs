//! The suite itself is checked: which stores it lets pass, and by which claim it finds the others.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kvfs_host::conformance::{self, Progress, Report, Verdict};
use kvfs_host::{Bytes, Durability, Entry, Guard, Limits, Mutation, StoreError, SyncStore};

/// What the contract asks for at least.
const LEAST: Limits = Limits {
    max_key_bytes: 520,
    max_value_bytes: 640,
    max_batch_entries: 2,
    max_batch_bytes: 4096,
    durable: false,
};

pub(crate) const COMMON: Limits = Limits {
    max_key_bytes: 1024,
    max_value_bytes: 4096,
    max_batch_entries: 64,
    max_batch_bytes: 64 << 10,
    durable: false,
};

/// What a store does wrong, or what it is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Is {
    Right,
    /// Holds no more than so many bytes of keys and values.
    Small(usize),
    /// As the one before, and keeps a part of what it has no room for.
    SmallAndKeepsAPart(usize),
    FullForRemovals,
    ReadOnly,
    PagesOfTooManyEntries,
    PagesOfTooManyBytes,
    ScansWithoutEnd,
    ConflictsAlways,
    FewerValuesThanKeys,
    /// Fails once by a fault, in scans of so many entries, and from then on always.
    FaultsAtScansOf(u32),
    FaultsAtPuts,
    /// Says other limits from its third answer on.
    ChangesItsLimits,
    NeverRemoves,
}

pub(crate) type Data = BTreeMap<Vec<u8>, Vec<u8>>;

/// An ordered map with limits of any size.
pub(crate) struct Map {
    pub(crate) is: Is,
    pub(crate) limits: Limits,
    pub(crate) data: Mutex<Data>,
    pub(crate) faulty: AtomicBool,
    pub(crate) limits_asked: AtomicU32,
}

impl Map {
    pub(crate) fn new(limits: Limits, is: Is) -> Self {
        let (data, faulty, limits_asked) = Default::default();
        Self { is, limits, data, faulty, limits_asked }
    }

    fn fault<T>(&self) -> Result<T, StoreError> {
        self.faulty.store(true, Ordering::SeqCst);
        Err(StoreError::Fault("the first fault".into()))
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.faulty.load(Ordering::SeqCst) {
            return Err(StoreError::Fault("a later fault".into()));
        }
        Ok(())
    }
}

impl SyncStore for Map {
    fn limits(&self) -> Result<Limits, StoreError> {
        self.alive()?;
        let asked = self.limits_asked.fetch_add(1, Ordering::SeqCst);
        let more = u32::from(self.is == Is::ChangesItsLimits && asked > 2 && asked.is_multiple_of(2));
        Ok(Limits { max_key_bytes: self.limits.max_key_bytes + more, ..self.limits })
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.alive()?;
        self.limits.check_get(keys)?;
        let data = self.data.lock().unwrap();
        let mut values: Vec<_> =
            keys.iter().map(|key| data.get(*key).map(|value| Bytes::copy_from_slice(value))).collect();
        if self.is == Is::FewerValuesThanKeys {
            values.truncate(2);
        }
        Ok(values)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        self.alive()?;
        if matches!(self.is, Is::FaultsAtScansOf(number) if number == entries) {
            return self.fault();
        }
        if !end.is_empty() && end <= start {
            return Ok(Vec::new());
        }
        let data = self.data.lock().unwrap();
        if self.is == Is::ScansWithoutEnd && !data.is_empty() && entries > 0 {
            let entry =
                |n: u32| Entry { key: [start, &n.to_be_bytes()[..]].concat().into(), value: Bytes::new() };
            return Ok((0..entries.min(10_000)).map(entry).collect());
        }
        let entries = match self.is {
            Is::PagesOfTooManyEntries => entries,
            _ => entries.min(self.limits.max_batch_entries),
        };
        let mut left = match self.is {
            Is::PagesOfTooManyBytes => bytes,
            _ => bytes.min(self.limits.max_batch_bytes),
        } as usize;
        let end = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
        let range = data.range::<[u8], _>((Bound::Included(start), end)).take(entries as usize).enumerate();
        let page = range.map_while(|(i, (key, value))| {
            let size = key.len() + value.len();
            if size > left && i > 0 {
                return None;
            }
            left = left.saturating_sub(size);
            Some(Entry { key: key.clone().into(), value: value.clone().into() })
        });
        Ok(page.collect())
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        _level: Durability,
    ) -> Result<(), StoreError> {
        self.alive()?;
        self.limits.check_apply(guards, mutations)?;
        let puts = mutations.iter().any(|mutation| mutation.value().is_some());
        let mut data = self.data.lock().unwrap();
        if !guards.iter().all(|guard| guard.holds(data.get(guard.key).map(Vec::as_slice)))
            || self.is == Is::ConflictsAlways && !guards.is_empty()
        {
            return Err(StoreError::Conflict);
        }
        // What is small is copied first, the others change what is there.
        let next = |data: &Data| {
            let mut next = data.clone();
            change(&mut next, mutations);
            next
        };
        match self.is {
            Is::ReadOnly => return Err(StoreError::ReadOnly),
            Is::FaultsAtPuts if puts => return self.fault(),
            Is::FullForRemovals if !puts && !mutations.is_empty() => return Err(StoreError::QuotaExceeded),
            Is::NeverRemoves if !puts => return Ok(()),
            Is::Small(most) if size(&next(&data)) > size(&data).max(most) => {
                return Err(StoreError::QuotaExceeded);
            }
            Is::SmallAndKeepsAPart(most) if size(&next(&data)) > size(&data).max(most) => {
                change(&mut data, &mutations[..1]);
                return Err(StoreError::QuotaExceeded);
            }
            _ => {}
        }
        change(&mut data, mutations);
        Ok(())
    }
}

fn change(data: &mut Data, mutations: &[Mutation<'_>]) {
    for mutation in mutations {
        match mutation.value() {
            Some(value) => drop(data.insert(mutation.key().to_vec(), value.to_vec())),
            None => drop(data.remove(mutation.key())),
        }
    }
}

fn size(data: &Data) -> usize {
    data.iter().map(|(key, value)| key.len() + value.len()).sum()
}

fn check(limits: Limits, is: Is) -> Report {
    let mut open = || -> Result<Box<dyn SyncStore>, StoreError> { Ok(Box::new(Map::new(limits, is))) };
    conformance::check_all(&mut open, &mut |_| {})
}

fn claims(report: &Report, wanted: fn(&Verdict) -> bool) -> Vec<&'static str> {
    report.outcomes.iter().filter(|outcome| wanted(&outcome.verdict)).map(|outcome| outcome.claim).collect()
}

pub(crate) fn failing(report: &Report) -> Vec<&'static str> {
    claims(report, |verdict| matches!(verdict, Verdict::Fails(_)))
}

fn not_checked(report: &Report) -> Vec<&'static str> {
    claims(report, |verdict| matches!(verdict, Verdict::NotChecked(_)))
}

/// The one claim that fails, and nothing follows from it.
#[track_caller]
fn only(report: &Report, claim: &str, why: &str) {
    assert_eq!(failing(report), [claim], "\n{report}");
    let outcome = report.outcomes.iter().find(|outcome| outcome.claim == claim).unwrap();
    assert!(outcome.to_string().contains(why), "\n{outcome}");
}

#[test]
fn a_store_passes_with_whatever_limits_the_contract_allows() {
    let bytes = |max_value_bytes, max_batch_bytes| Limits { max_value_bytes, max_batch_bytes, ..COMMON };
    let cases = [
        (COMMON, 0),
        // Two of the shortest values are less than a batch may have: a batch over its bytes cannot be made.
        (LEAST, 1),
        (Limits { max_batch_entries: 15, max_value_bytes: 8192, ..COMMON }, 0),
        (Limits { max_key_bytes: 4096, ..LEAST }, 1),
        // A batch need not have room for the longest value.
        (bytes(1 << 20, 64 << 10), 0),
        (bytes(u32::MAX, 4096), 1),
        (bytes(640, 1 << 20), 1),
    ];
    for (limits, beyond) in cases {
        let report = check(limits, Is::Right);
        assert!(report.passed(), "{limits:?}\n{report}");
        assert_eq!(report.not_checked(), beyond, "{limits:?}\n{report}");
    }
}

#[test]
fn limits_without_a_bound_are_not_tried_out() {
    let limits = Limits { max_batch_entries: u32::MAX, max_batch_bytes: u32::MAX, ..COMMON };
    let report = check(limits, Is::Right);
    assert!(report.passed(), "\n{report}");
    assert_eq!(
        not_checked(&report),
        [
            "a_scan_of_too_many_entries_counts_as_one_of_as_many_as_allowed",
            "a_scan_of_too_many_bytes_counts_as_one_of_as_many_as_allowed",
            "a_batch_of_too_many_entries_is_refused_whole",
            "a_batch_of_too_many_bytes_is_refused_whole",
            "a_get_of_too_many_keys_is_refused",
        ],
        "\n{report}"
    );
}

#[test]
fn each_limit_below_the_least_is_named_and_fails_no_other_claim() {
    let cases = [
        (Limits { max_key_bytes: 519, ..LEAST }, "max-key-bytes is 519, less than 520"),
        (Limits { max_value_bytes: 639, ..LEAST }, "max-value-bytes is 639, less than 640"),
        (Limits { max_batch_entries: 1, ..LEAST }, "max-batch-entries is 1, less than 2"),
        (Limits { max_batch_bytes: 4095, ..LEAST }, "max-batch-bytes is 4095, less than 4096"),
        (Limits { max_batch_bytes: 100, ..LEAST }, "max-batch-bytes is 100, less than 4096"),
        (
            Limits { max_key_bytes: 3, max_value_bytes: 9, ..LEAST },
            "is 3, less than 520; max-value-bytes is 9",
        ),
    ];
    for (limits, why) in cases {
        only(&check(limits, Is::Right), "the_limits_suffice_for_a_file_system", why);
    }
    assert!(check(Limits { max_batch_entries: 0, ..LEAST }, Is::Right).failing() == 1);
}

#[test]
fn a_store_that_is_full_is_not_blamed_for_it() {
    for (small, some) in [(20 << 10, 5), (40 << 10, 3)] {
        let report = check(COMMON, Is::Small(small));
        assert!(report.passed(), "{small}\n{report}");
        assert!((1..=some).contains(&report.not_checked()), "{small}\n{report}");
        assert!(report.to_string().contains("the store is too small for it"), "{small}\n{report}");
    }
    let report = check(COMMON, Is::Small(1 << 20));
    assert!(report.passed() && report.not_checked() == 0, "\n{report}");
}

#[test]
fn a_store_that_only_says_it_is_full_fails() {
    let report = check(COMMON, Is::Small(200));
    assert!(failing(&report).contains(&"what_is_put_is_read_back"), "\n{report}");
    assert!(report.to_string().contains("no file system fits into"), "\n{report}");
    let report = check(COMMON, Is::FullForRemovals);
    assert!(report.to_string().contains("only removes was refused with quota-exceeded"), "\n{report}");
    assert!(!report.passed(), "\n{report}");
    let report = check(COMMON, Is::SmallAndKeepsAPart(40 << 10));
    only(&report, "a_batch_of_as_many_bytes_as_allowed_works", "but 1 entries are there");
}

#[test]
fn a_store_that_takes_nothing_is_not_checked() {
    for (is, why) in [(Is::ReadOnly, "read-only"), (Is::Small(0), "the store is full")] {
        let report = check(COMMON, is);
        assert!(!report.passed() && report.failing() == 0 && report.not_checked() == 1, "{is:?}\n{report}");
        assert!(report.to_string().contains(why), "{is:?}\n{report}");
    }
    let mut none = || -> Result<Box<dyn SyncStore>, StoreError> { Err(StoreError::Other("no disk".into())) };
    let report = conformance::check_all(&mut none, &mut |_| {});
    assert!(!report.passed() && report.failing() == 0, "\n{report}");
    assert!(report.to_string().contains("no disk"), "\n{report}");
}

#[test]
fn faults_are_found_by_the_claims_about_them() {
    let few = Limits { max_batch_entries: 20, ..COMMON };
    let report = check(few, Is::PagesOfTooManyEntries);
    let claim = "a_scan_of_too_many_entries_counts_as_one_of_as_many_as_allowed";
    only(&report, claim, "a page has 21 entries, max-batch-entries is 20");
    let report = check(COMMON, Is::PagesOfTooManyBytes);
    let claim = "a_scan_of_too_many_bytes_counts_as_one_of_as_many_as_allowed";
    only(&report, claim, "max-batch-bytes is 65536");
    only(&check(COMMON, Is::ChangesItsLimits), "the_limits_do_not_change", "then Limits");
    let report = check(COMMON, Is::FewerValuesThanKeys);
    assert!(report.to_string().contains("values"), "\n{report}");
    let random = "random_calls_agree_with_an_ordered_map";
    assert_eq!(failing(&report), [random, "a_batch_of_as_many_entries_as_allowed_works"], "\n{report}");
    let report = check(COMMON, Is::ConflictsAlways);
    assert!(failing(&report).contains(&"guarded_counting_loses_nothing_between_threads"), "\n{report}");
    let report = check(COMMON, Is::ScansWithoutEnd);
    assert!(report.to_string().contains("find no end"), "\n{report}");
}

#[test]
fn a_store_that_cannot_be_emptied_is_blamed_once() {
    let report = check(COMMON, Is::NeverRemoves);
    only(&report, "the_store_is_empty_and_takes_changes", "the store holds");
}

#[test]
fn a_fault_fails_its_own_claim_only_and_comes_to_word_first() {
    let report = check(COMMON, Is::FaultsAtScansOf(13));
    only(&report, "pages_join_without_gap_or_overlap", "the first fault");
    assert_eq!(report.not_checked(), 0, "\n{report}");
    let report = check(COMMON, Is::FaultsAtPuts);
    only(&report, "the_store_is_empty_and_takes_changes", "the first fault");
    assert!(!report.to_string().contains("a later fault"), "\n{report}");
}

#[test]
fn a_store_that_does_not_open_again_after_a_fault_is_blamed_once() {
    let mut opened = 0;
    let mut open = || -> Result<Box<dyn SyncStore>, StoreError> {
        opened += 1;
        match opened {
            1 | 2 => Ok(Box::new(Map::new(COMMON, Is::FaultsAtScansOf(13)))),
            _ => Err(StoreError::Other("it is locked".into())),
        }
    };
    let report = conformance::check_all(&mut open, &mut |_| {});
    only(&report, "pages_join_without_gap_or_overlap", "the first fault");
    assert!(report.not_checked() > 10, "\n{report}");
    assert!(
        report.to_string().contains("after pages_join_without_gap_or_overlap: a call failed: it is locked")
    );
}

#[test]
fn whoever_watches_is_told_of_each_claim_before_and_after() {
    let (mut open_claim, mut ended) = (None, Vec::new());
    let mut open = || -> Result<Box<dyn SyncStore>, StoreError> { Ok(Box::new(Map::new(COMMON, Is::Right))) };
    let report = conformance::check_all(&mut open, &mut |progress| match progress {
        Progress::Starts(claim) => assert_eq!(open_claim.replace(claim), None),
        Progress::Ends(outcome) => {
            assert_eq!(open_claim.take(), Some(outcome.claim));
            ended.push(outcome.to_string());
        }
    });
    assert_eq!(ended.join("\n") + "\n", report.to_string());
}
