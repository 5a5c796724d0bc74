//! Looks at a store: opens it, reads every key by `get` and by `scan`, and compares.

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use super::caught::{self, Failed};
use super::verdict::Verdict;
use crate::content::{History, MARK, Versions, passes_frame, value, version_of};
use crate::{Kind, Trial, Tuning};

/// Entries in a page of a scan.
const PAGE: u32 = 64;

/// What must be there: every apply up to `durable`, and maybe more of them up to `last`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) history: History,
    pub(super) durable: u64,
    pub(super) last: u64,
}

/// What a key's answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// A state that the key may have: that of this apply, or 0 for a key that was never there.
    Right(u64),
    Wrong {
        noticed: bool,
    },
    Stale,
    CameBack,
    Vanished,
}

impl Claim {
    /// The states that a key may have: numbers of applies, with the length of its value then.
    fn allowed<'v>(&self, versions: &'v [(u64, Option<usize>)]) -> (Option<&'v (u64, Option<usize>)>, usize) {
        let until = versions.partition_point(|(number, _)| *number <= self.durable);
        (until.checked_sub(1).map(|base| &versions[base]), until)
    }

    fn worth(&self, key: &[u8], versions: &[(u64, Option<usize>)], found: Option<&[u8]>) -> Worth {
        let (base, until) = self.allowed(versions);
        let later = &versions[until..versions.partition_point(|(number, _)| *number <= self.last)];
        let base_length = base.and_then(|(_, length)| *length);
        let Some(found) = found else {
            let removed = later.iter().rev().find(|(_, length)| length.is_none());
            return match (base_length, removed) {
                (_, Some((number, _))) => Worth::Right(*number),
                (None, None) => Worth::Right(base.map_or(0, |(number, _)| *number)),
                (Some(_), None) => Worth::Vanished,
            };
        };
        let claimed =
            version_of(found).and_then(|claimed| versions.iter().find(|(number, _)| *number == claimed));
        let genuine = claimed.filter(|(number, length)| {
            length.is_some_and(|length| value(self.history.seed, key, *number, length) == found)
        });
        match genuine {
            None => Worth::Wrong { noticed: !passes_frame(key, found) },
            Some((number, _)) if *number > self.last => Worth::Wrong { noticed: false },
            Some((number, _)) if *number > self.durable || base.is_some_and(|(base, _)| base == number) => {
                Worth::Right(*number)
            }
            Some(_) if base_length.is_none() => Worth::CameBack,
            Some(_) => Worth::Stale,
        }
    }

    fn must_have_value(&self, versions: &[(u64, Option<usize>)]) -> bool {
        let (base, until) = self.allowed(versions);
        let may_go =
            versions[until..].iter().any(|(number, length)| *number <= self.last && length.is_none());
        base.is_some_and(|(_, length)| length.is_some()) && !may_go
    }
}

/// What was found of one store.
struct Look<'c> {
    claim: &'c Claim,
    versions: &'c Versions,
    verdict: Verdict,
    /// Keys that are counted as wrong or lost already.
    bad: HashSet<Vec<u8>>,
    /// The state of each key by `get`.
    states: Vec<(&'c [u8], u64)>,
}

pub(super) fn look(kind: Kind, dir: &Path, tuning: Tuning, claim: &Claim) -> Verdict {
    let versions = claim.history.versions(claim.last);
    let mut look = Look {
        claim,
        versions: &versions,
        verdict: Verdict::default(),
        bad: HashSet::new(),
        states: Vec::new(),
    };
    look.verdict.expected =
        versions.values().filter(|versions| claim.must_have_value(versions)).count() as u64;
    let start = Instant::now();
    let opened = caught::call(|| kind.open(dir, tuning));
    look.verdict.open_millis = start.elapsed().as_secs_f64() * 1e3;
    match opened {
        Err(failed) => {
            look.verdict.open_failed = true;
            look.failed(failed);
        }
        Ok(store) => {
            look.get(&*store);
            look.scan(&*store);
            look.verdict.check = match caught::call(|| Ok(store.check())) {
                Ok(answer) => answer.map(|answer| answer.is_ok()),
                Err(_) => Some(false),
            };
            // What it says now comes too late for whoever read.
            let _ = caught::call(|| store.close());
        }
    }
    look.verdict.panics += caught::in_threads();
    look.verdict
}

impl<'c> Look<'c> {
    fn failed(&mut self, failed: Failed) {
        self.verdict.failed_calls += 1;
        self.verdict.panics += u64::from(matches!(failed, Failed::Panic));
        self.verdict.error.get_or_insert(failed.to_string());
    }

    /// Counts the answer for a key. Returns the key's state, if it is one that it may have.
    fn judge(&mut self, key: &[u8], found: Option<&[u8]>) -> Option<u64> {
        let never = Vec::new();
        let worth = self.claim.worth(key, self.versions.get(key).unwrap_or(&never), found);
        let unknown = !self.versions.contains_key(key);
        let verdict = &mut self.verdict;
        let (count, noticed) = match worth {
            Worth::Right(state) if !unknown => return Some(state),
            Worth::Right(_) => (&mut verdict.wrong, true),
            Worth::Wrong { noticed } => (&mut verdict.wrong, noticed),
            Worth::Stale => (&mut verdict.stale, true),
            Worth::CameBack => (&mut verdict.came_back, true),
            Worth::Vanished => (&mut verdict.vanished, true),
        };
        if self.bad.insert(key.to_vec()) {
            *count += 1;
            verdict.unnoticed += u64::from(!noticed);
        }
        None
    }

    fn get(&mut self, store: &dyn Trial) {
        let mut keys: Vec<&'c [u8]> = self.versions.keys().map(Vec::as_slice).collect();
        keys.sort_unstable();
        for key in keys {
            match caught::call(|| store.get(&[key])) {
                Err(failed) => self.failed(failed),
                Ok(answer) => {
                    let found = answer.first().and_then(Option::as_deref);
                    if let Some(state) = self.judge(key, found) {
                        let must = self.claim.must_have_value(&self.versions[key]);
                        self.verdict.right += u64::from(must);
                        self.states.push((key, state));
                    }
                }
            }
        }
        self.verdict.mark = self.states.iter().find(|(key, _)| *key == MARK).map_or(0, |(_, state)| *state);
        let mark = self.verdict.mark;
        let as_of_mark = |(key, state): &(&[u8], u64)| {
            let before = self.versions[*key].iter().rev().find(|(number, _)| *number <= mark);
            // Two removals look alike.
            let removed_by = |number: u64| self.versions[*key].contains(&(number, None));
            before.map_or(0, |(number, _)| *number) == *state
                || before.is_none_or(|(_, length)| length.is_none()) && (*state == 0 || removed_by(*state))
        };
        self.verdict.whole = self.states.len() == self.versions.len() && self.states.iter().all(as_of_mark);
    }

    fn scan(&mut self, store: &dyn Trial) {
        let mut start = Vec::new();
        let mut seen = HashSet::new();
        loop {
            let page = match caught::call(|| store.scan(&start, &[], PAGE, 1 << 20)) {
                Err(failed) => return self.failed(failed),
                Ok(page) => page,
            };
            let Some(last) = page.last() else { break };
            for entry in &page {
                if entry.key.as_ref() < start.as_slice() {
                    // Out of order: the scan could go on for ever.
                    self.verdict.wrong += 1;
                    return;
                }
                self.judge(&entry.key, Some(&entry.value));
                seen.insert(entry.key.to_vec());
                start.clear();
                start.extend_from_slice(&entry.key);
            }
            start.clear();
            start.extend_from_slice(&last.key);
            start.push(0);
        }
        let missing: Vec<&Vec<u8>> = self
            .versions
            .iter()
            .filter(|(key, versions)| self.claim.must_have_value(versions) && !seen.contains(*key))
            .map(|(key, _)| key)
            .collect();
        for key in missing {
            self.judge(key, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::key;

    #[test]
    fn an_answer_is_right_wrong_stale_come_back_or_vanished() {
        let claim = Claim { history: History { seed: 1, keys: 1 }, durable: 10, last: 12 };
        let key = key(b'e', 0, 0);
        let at = |number, length| value(1, &key, number, length);
        let worth = |versions: &[(u64, Option<usize>)], found: Option<Vec<u8>>| {
            claim.worth(&key, versions, found.as_deref())
        };
        let versions = [(3, Some(50)), (9, Some(60)), (12, Some(70))];
        assert_eq!(worth(&versions, Some(at(9, 60))), Worth::Right(9));
        assert_eq!(worth(&versions, Some(at(12, 70))), Worth::Right(12), "it may be there");
        assert_eq!(worth(&versions, Some(at(3, 50))), Worth::Stale);
        assert_eq!(worth(&versions, None), Worth::Vanished);
        let mut flipped = at(9, 60);
        flipped[20] ^= 4;
        assert_eq!(worth(&versions, Some(flipped)), Worth::Wrong { noticed: true });
        assert_eq!(worth(&versions, Some(at(9, 61))), Worth::Wrong { noticed: false }, "nobody wrote it");
        let removed = [(3, Some(50)), (9, None)];
        assert_eq!(worth(&removed, None), Worth::Right(9));
        assert_eq!(worth(&removed, Some(at(3, 50))), Worth::CameBack);
        let may_go = [(3, Some(50)), (11, None)];
        assert_eq!(worth(&may_go, None), Worth::Right(11));
        assert_eq!(worth(&may_go, Some(at(3, 50))), Worth::Right(3));
        assert!(!claim.must_have_value(&may_go) && claim.must_have_value(&versions));
        assert_eq!(worth(&[], None), Worth::Right(0));
    }
}
