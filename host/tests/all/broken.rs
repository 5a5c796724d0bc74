//! Checks the suite itself: a store with one fault must fail it.

use kvfs_host::{
    Bytes, Durability, Entry, Guard, Limits, MemoryStore, Mutation, StoreError, SyncStore, conformance,
};

/// The fault of a broken store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    Nothing,
    IgnoresGuards,
    GuardsCompareLengthOnly,
    EmptyValueIsAbsent,
    HalfABatchOnConflict,
    FirstMutationWins,
    DeleteOfAbsentFails,
    BufferedIsInvisible,
    EndIsIncluded,
    StartIsExcluded,
    SignedOrder,
    NoEntryWhenOverBytes,
    PageOverBytes,
    GetForgetsRepeats,
    TruncatesValues,
    NoLimitOnKeys,
    AppliesThenRefusesLargeBatch,
    NotAtomicBetweenThreads,
}

/// Each fault, and the claim that finds it.
const ALL: [(Wrong, &str); 17] = [
    (Wrong::IgnoresGuards, "one_failed_guard_stops_the_whole_batch"),
    (Wrong::GuardsCompareLengthOnly, "a_guard_compares_the_whole_value"),
    (Wrong::EmptyValueIsAbsent, "what_is_put_is_read_back"),
    (Wrong::HalfABatchOnConflict, "one_failed_guard_stops_the_whole_batch"),
    (Wrong::FirstMutationWins, "the_last_mutation_of_a_key_wins"),
    (Wrong::DeleteOfAbsentFails, "deleting_an_absent_key_is_no_error"),
    (Wrong::BufferedIsInvisible, "an_apply_is_seen_at_once_at_either_level"),
    (Wrong::EndIsIncluded, "a_scan_includes_its_start_and_excludes_its_end"),
    (Wrong::StartIsExcluded, "a_scan_includes_its_start_and_excludes_its_end"),
    (Wrong::SignedOrder, "keys_are_ordered_as_unsigned_bytes"),
    (Wrong::NoEntryWhenOverBytes, "a_page_keeps_its_bounds_but_has_one_entry"),
    (Wrong::PageOverBytes, "a_page_keeps_its_bounds_but_has_one_entry"),
    (Wrong::GetForgetsRepeats, "get_answers_in_the_order_of_its_keys"),
    (Wrong::TruncatesValues, "keys_and_values_of_the_longest_length_work"),
    (Wrong::NoLimitOnKeys, "longer_keys_are_refused"),
    (Wrong::AppliesThenRefusesLargeBatch, "a_batch_of_too_many_bytes_is_refused_whole"),
    (Wrong::NotAtomicBetweenThreads, "a_reader_never_sees_half_of_an_apply"),
];

struct Broken {
    wrong: Wrong,
    inner: MemoryStore,
}

impl Broken {
    fn look(&self, key: &[u8]) -> Option<Bytes> {
        SyncStore::get(&self.inner, &[key]).ok()?.pop().flatten()
    }
}

impl SyncStore for Broken {
    fn limits(&self) -> Result<Limits, StoreError> {
        SyncStore::limits(&self.inner)
    }

    fn get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        if self.wrong == Wrong::NoLimitOnKeys {
            return keys
                .iter()
                .map(|key| Ok(SyncStore::get(&self.inner, &[&key[..key.len().min(9)]])?.remove(0)))
                .collect();
        }
        let mut values = SyncStore::get(&self.inner, keys)?;
        for (i, value) in values.iter_mut().enumerate() {
            match self.wrong {
                Wrong::EmptyValueIsAbsent => *value = value.take().filter(|value| !value.is_empty()),
                Wrong::GetForgetsRepeats if keys[..i].contains(&keys[i]) => *value = None,
                Wrong::TruncatesValues => {
                    *value = value.take().map(|value| value.slice(..value.len().min(100_000)));
                }
                _ => {}
            }
        }
        Ok(values)
    }

    fn scan(&self, start: &[u8], end: &[u8], entries: u32, bytes: u32) -> Result<Vec<Entry>, StoreError> {
        let mut page = SyncStore::scan(&self.inner, start, end, entries, bytes)?;
        match self.wrong {
            Wrong::EndIsIncluded if !end.is_empty() && (page.len() as u32) < entries => {
                page.extend(SyncStore::scan(&self.inner, end, &[end, b"\0"].concat(), 1, bytes)?);
            }
            Wrong::StartIsExcluded => page.retain(|entry| entry.key != start),
            Wrong::SignedOrder => {
                page.sort_by_key(|entry| entry.key.iter().map(|b| *b as i8).collect::<Vec<_>>())
            }
            Wrong::NoEntryWhenOverBytes => {
                page.retain(|entry| entry.key.len() + entry.value.len() <= bytes as usize);
            }
            Wrong::PageOverBytes => page = SyncStore::scan(&self.inner, start, end, entries, u32::MAX)?,
            _ => {}
        }
        Ok(page)
    }

    fn apply(
        &self,
        guards: &[Guard<'_>],
        mutations: &[Mutation<'_>],
        level: Durability,
    ) -> Result<(), StoreError> {
        let apply = |guards: &[Guard<'_>], mutations: &[Mutation<'_>]| {
            SyncStore::apply(&self.inner, guards, mutations, level)
        };
        match self.wrong {
            Wrong::IgnoresGuards => apply(&[], mutations),
            Wrong::GuardsCompareLengthOnly => {
                let values: Vec<_> = guards.iter().map(|guard| self.look(guard.key)).collect();
                let same = guards
                    .iter()
                    .zip(&values)
                    .all(|(guard, value)| guard.expected.map(<[u8]>::len) == value.as_ref().map(Bytes::len));
                if same { apply(&[], mutations) } else { Err(StoreError::Conflict) }
            }
            Wrong::HalfABatchOnConflict => apply(guards, mutations).inspect_err(|_| {
                let _ = apply(&[], &mutations[..mutations.len() / 2]);
            }),
            Wrong::FirstMutationWins => {
                let reversed: Vec<_> = mutations.iter().rev().copied().collect();
                apply(guards, &reversed)
            }
            Wrong::DeleteOfAbsentFails => {
                for mutation in mutations {
                    if mutation.value().is_none() && self.look(mutation.key()).is_none() {
                        return Err(StoreError::Other("no such key".into()));
                    }
                }
                apply(guards, mutations)
            }
            Wrong::BufferedIsInvisible if level == Durability::Buffered => Ok(()),
            Wrong::AppliesThenRefusesLargeBatch => apply(guards, mutations).inspect_err(|error| {
                if matches!(error, StoreError::TooLarge) {
                    let _ = apply(&[], &mutations[..1]);
                }
            }),
            Wrong::NotAtomicBetweenThreads => {
                apply(guards, &[])?;
                mutations.iter().try_for_each(|mutation| {
                    std::thread::sleep(std::time::Duration::from_micros(50));
                    apply(&[], &[*mutation])
                })
            }
            _ => apply(guards, mutations),
        }
    }
}

#[test]
fn every_broken_store_fails_the_suite() {
    let broken = |wrong| conformance::check(&Broken { wrong, inner: MemoryStore::new() });
    assert!(broken(Wrong::Nothing).passed(), "\n{}", broken(Wrong::Nothing));
    for (wrong, claim) in ALL {
        let report = broken(wrong);
        let found = report.outcomes.iter().any(|outcome| {
            outcome.claim == claim && matches!(outcome.verdict, conformance::Verdict::Fails(_))
        });
        assert!(found, "{claim} does not notice {wrong:?}\n{report}");
    }
}
