//! Runs claims one after the other, so that no claim suffers from the one before.

use std::sync::Arc;

use super::claim::{Checked, Claims, Failure, delete, everything, write, write_all};
use super::reading;
use super::report::{Outcome, Progress, Report, Verdict};
use super::watched::{Seen, Watched, shortened};
use crate::{Durability, Limits, StoreError, SyncStore};

/// Opens the store once more. Its previous opener is gone, without having been told anything.
pub type Open<'a> = dyn FnMut() -> Result<Box<dyn SyncStore + 'a>, StoreError> + 'a;

pub(super) struct Session<'s, 'a> {
    open: &'s mut Open<'a>,
    watch: &'s mut dyn FnMut(Progress<'_>),
    store: Option<Watched<'a>>,
    seen: Arc<Seen>,
    outcomes: Vec<Outcome>,
    /// The reason why nothing more can be checked.
    stopped: Option<String>,
}

impl<'s, 'a> Session<'s, 'a> {
    pub(super) fn new(open: &'s mut Open<'a>, watch: &'s mut dyn FnMut(Progress<'_>)) -> Self {
        Self { open, watch, store: None, seen: Arc::default(), outcomes: Vec::new(), stopped: None }
    }

    pub(super) fn report(self) -> Report {
        Report { outcomes: self.outcomes }
    }

    /// Returns the store, opened if it is not.
    pub(super) fn store(&mut self) -> Result<&Watched<'a>, Failure> {
        if self.store.is_none() {
            let store = (self.open)()?;
            let none = Limits {
                max_key_bytes: 0,
                max_value_bytes: 0,
                max_batch_entries: 0,
                max_batch_bytes: 0,
                durable: false,
            };
            let mut watched = Watched { store, limits: none, seen: self.seen.clone() };
            watched.limits = watched.limits()?;
            self.store = Some(watched);
        }
        self.store.as_ref().ok_or_else(|| Failure::Broken("the store is not open".into()))
    }

    /// Opens the store once more. Its previous opener is gone, without having been told.
    pub(super) fn reopened(&mut self) -> Result<&Watched<'a>, Failure> {
        self.store = None;
        self.store()
    }

    /// Returns whether there is a store that is empty and takes changes.
    ///
    /// If not, the report has this as its only outcome, and nothing was changed.
    pub(super) fn start(&mut self) -> bool {
        const CLAIM: &str = "the_store_is_empty_and_takes_changes";
        (self.watch)(Progress::Starts(CLAIM));
        self.seen.begin(false);
        let verdict = match (self.open)() {
            // Nobody has seen the store, so it is not to blame.
            Err(error) => Verdict::NotChecked(shortened(&error.to_string())),
            Ok(store) => {
                drop(store);
                let result = self.look().map_err(out_of_reach);
                self.seen.judge(result)
            }
        };
        let outcome = Outcome { claim: CLAIM, verdict };
        let usable = outcome.verdict == Verdict::Holds;
        if !matches!(outcome.verdict, Verdict::NotChecked(_)) {
            (self.watch)(Progress::Ends(&outcome));
        }
        self.outcomes.push(outcome);
        usable
    }

    fn look(&mut self) -> Checked {
        let store = self.store()?;
        if !store.scan(b"", b"", 1, 1000)?.is_empty() {
            return Err(Failure::Beyond(
                "it holds data, which was left alone; name one that is empty".into(),
            ));
        }
        if store.limits.max_key_bytes == 0 || store.limits.max_batch_entries == 0 {
            return Err(Failure::Broken(format!("the store takes nothing: {:?}", store.limits)));
        }
        match write(store, &[super::claim::put(b"a", b"")]) {
            Ok(()) => clear(store, Durability::Durable),
            Err(error @ (StoreError::QuotaExceeded | StoreError::ReadOnly)) => {
                Err(Failure::Beyond(format!("{error}; only one that takes changes can be checked")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Checks claims that need only one instance.
    pub(super) fn claims(&mut self, claims: Claims, over_allowed: bool) {
        for (claim, check) in claims {
            self.claim(claim, over_allowed, |session| check(session.store()?));
        }
    }

    /// Checks a claim on the empty store, and empties it again.
    pub(super) fn claim(
        &mut self,
        claim: &'static str,
        over_allowed: bool,
        check: impl FnOnce(&mut Self) -> Checked,
    ) {
        (self.watch)(Progress::Starts(claim));
        let verdict = match &self.stopped {
            Some(why) => Verdict::NotChecked(why.clone()),
            None => {
                self.seen.begin(over_allowed);
                let result = check(self);
                let verdict = self.seen.judge(result);
                self.tidy(claim, verdict)
            }
        };
        let outcome = Outcome { claim, verdict };
        (self.watch)(Progress::Ends(&outcome));
        self.outcomes.push(outcome);
    }

    /// Empties the store after a claim, with a fresh instance if the old one is useless: a claim
    /// begins on an empty store, so it does not matter to it whether the store forgets. If the
    /// store cannot be emptied, the session stops.
    fn tidy(&mut self, claim: &str, verdict: Verdict) -> Verdict {
        let lost = self.seen.faulted();
        if lost {
            self.store = None;
        }
        let Some(why) = self.empty(Durability::Buffered) else { return verdict };
        self.store = None;
        if let Some(why) = self.empty(Durability::Durable) {
            self.stopped = Some(format!("the store could not be emptied after {claim}: {why}"));
        }
        match verdict {
            Verdict::Fails(_) => verdict,
            _ => Verdict::Fails(format!("it cannot be emptied afterwards: {why}")),
        }
    }

    /// Empties the store, or returns why it cannot.
    fn empty(&mut self, level: Durability) -> Option<String> {
        self.seen.begin(false);
        let result = self.store().and_then(|store| clear(store, level));
        match self.seen.judge(result) {
            Verdict::Holds => None,
            Verdict::Fails(why) | Verdict::NotChecked(why) => Some(why),
        }
    }
}

/// A store that fails its first call with the reason that it cannot work here breaks no contract.
fn out_of_reach(failure: Failure) -> Failure {
    match failure {
        Failure::Call(
            error @ (StoreError::AccessDenied
            | StoreError::Corrupt(_)
            | StoreError::Other(_)
            | StoreError::Unavailable(_)),
        ) => Failure::Beyond(error.to_string()),
        failure => failure,
    }
}

/// A store that somebody else owns.
pub(super) struct Borrowed<'a>(pub(super) &'a dyn SyncStore);

impl SyncStore for Borrowed<'_> {
    fn limits(&self) -> Result<Limits, StoreError> {
        self.0.limits()
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<crate::Bytes>>, StoreError> {
        self.0.get(keys)
    }

    fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<crate::Entry>, StoreError> {
        self.0.scan(start, end, max_entries, max_bytes)
    }

    fn apply(
        &self,
        guards: &[crate::Guard<'_>],
        mutations: &[crate::Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.0.apply(guards, mutations, level)
    }
}

/// Removes everything.
fn clear(store: &dyn SyncStore, level: Durability) -> Checked {
    let all = everything(store)?;
    let deletes: Vec<_> = all.iter().map(|(key, _)| delete(key)).collect();
    write_all(store, &deletes, level)?;
    reading::an_empty_store_holds_nothing(store)
}
