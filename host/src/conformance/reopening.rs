//! Claims about stores that outlive their openers: what the next opener finds.
//!
//! An opener ends without being told, so these claims notice a store that leaves work for later.
//! They do not see the effects of a crash of the machine: only that shows whether a store waits for
//! the disk.

use super::claim::{Checked, claim, delete, everything, put, value_of, write, write_all};
use super::session::Session;
use crate::{Durability, Guard, Mutation, StoreError, SyncStore};

/// A claim and its check.
type Claim = (&'static str, fn(&mut Session<'_, '_>) -> Checked);

const CLAIMS: [Claim; 7] = [
    ("what_was_applied_durably_is_there_when_the_store_is_opened_again", durable_is_there),
    ("what_was_applied_buffered_is_there_when_the_store_is_opened_again", buffered_is_there),
    ("what_was_removed_stays_removed_when_the_store_is_opened_again", removed_stays_removed),
    ("what_was_refused_is_not_there_when_the_store_is_opened_again", refused_is_not_there),
    ("a_durable_apply_keeps_every_earlier_one_when_the_store_is_opened_again", durable_keeps_earlier),
    ("a_barrier_keeps_every_earlier_apply_when_the_store_is_opened_again", barrier_keeps_earlier),
    ("no_apply_is_there_without_the_earlier_ones_when_the_store_is_opened_again", none_without_the_earlier),
];

pub(super) fn check(session: &mut Session<'_, '_>) {
    for (claim, check) in CLAIMS {
        session.claim(claim, false, check);
    }
}

fn durable_is_there(session: &mut Session<'_, '_>) -> Checked {
    let store = session.reopened()?;
    let value =
        vec![7; store.limits.max_value_bytes.min(5000).min(store.limits.max_batch_bytes / 2) as usize];
    store.apply(&[], &[put(b"a", b"1"), put(b"b", &value)], Durability::Durable)?;
    let store = session.reopened()?;
    claim!(value_of(store, b"a")?.as_deref() == Some(b"1"), "a value of 1 byte is not there");
    let found = value_of(store, b"b")?;
    claim!(found.as_deref() == Some(&value[..]), "a value of {} bytes is not there", value.len());
    Ok(())
}

fn buffered_is_there(session: &mut Session<'_, '_>) -> Checked {
    let store = session.reopened()?;
    write(store, &[put(b"a", b"1")])?;
    write(store, &[put(b"b", b"2")])?;
    let store = session.reopened()?;
    for (key, value) in [(b"a", b"1"), (b"b", b"2")] {
        let found = value_of(store, key)?;
        claim!(found.as_deref() == Some(value), "{key:?} has the value {found:?}");
    }
    Ok(())
}

fn removed_stays_removed(session: &mut Session<'_, '_>) -> Checked {
    let store = session.reopened()?;
    store.apply(&[], &[put(b"a", b"1"), put(b"b", b"2")], Durability::Durable)?;
    let store = session.reopened()?;
    write(store, &[delete(b"a"), put(b"b", b"3")])?;
    let store = session.reopened()?;
    claim!(value_of(store, b"a")?.is_none(), "a removed key has its old value");
    claim!(value_of(store, b"b")?.as_deref() == Some(b"3"), "a replaced value is there again");
    Ok(())
}

/// A store that logs a batch before it checks the guards applies it again when it is opened.
fn refused_is_not_there(session: &mut Session<'_, '_>) -> Checked {
    for level in [Durability::Buffered, Durability::Durable] {
        let store = session.reopened()?;
        store.apply(&[], &[put(b"a", b"1"), put(b"b", b"1")], level)?;
        let outdated = Guard { key: b"a", expected: Some(b"0") };
        for batch in [[put(b"a", b"2"), put(b"new", b"2")], [delete(b"a"), put(b"b", b"2")]] {
            let result = store.apply(&[outdated], &batch, level);
            claim!(matches!(result, Err(StoreError::Conflict)), "a false guard gave {result:?}");
        }
        let found = everything(session.reopened()?)?;
        let wanted = [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"1".to_vec())];
        claim!(found == wanted, "{level:?}: after refused batches there is {found:?}");
    }
    Ok(())
}

/// Applies that record their own number in two places, so that the entries tell which applies
/// count.
const STEPS: u8 = 24;

/// `step` sets the key `last` and a key of its own. Every third step also removes the key that the
/// step before set, which is not set again. So each step overwrites the work of the one before.
fn step(store: &dyn SyncStore, step: u8, level: Durability) -> Checked {
    let (own, before) = ([b'k', step], [b'k', step.wrapping_sub(1)]);
    let number = [step];
    // Of several lengths, in case a store keeps long values elsewhere.
    let limits = store.limits()?;
    let long = limits.max_value_bytes.min(limits.max_batch_bytes / 2).min(3000) as usize;
    let value = vec![step; if step % 4 == 1 { long } else { 1 }];
    let second = if step % 3 == 2 { delete(&before) } else { put(&own, &value) };
    let last = value_of(store, b"last")?;
    let guard = Guard { key: b"last", expected: last.as_deref() };
    store.apply(&[guard], &[put(b"last", &number), second], level)?;
    Ok(())
}

/// Returns the entries after the steps before `count`: pairs of a key and the first byte of its
/// value.
fn after(count: u8) -> Vec<(Vec<u8>, u8)> {
    let own = |step: u8| step % 3 != 2 && !((step + 1) % 3 == 2 && step + 1 < count);
    let mut all: Vec<_> = (0..count).filter(|step| own(*step)).map(|step| (vec![b'k', step], step)).collect();
    all.extend(count.checked_sub(1).map(|last| (b"last".to_vec(), last)));
    all
}

/// Returns the number of steps that the entries correspond to; `None` if there is no such number.
fn steps_there(store: &dyn SyncStore) -> Result<Option<u8>, super::claim::Failure> {
    let found: Vec<_> = everything(store)?
        .into_iter()
        .map(|(key, value)| (key, value.first().copied().unwrap_or_default()))
        .collect();
    Ok((0..=STEPS).find(|count| found == after(*count)))
}

/// Makes the steps, with the last one before `durable` at level durable, by itself or by a barrier.
/// Returns how many of them are there when the store is opened again.
fn steps(
    session: &mut Session<'_, '_>,
    durable: u8,
    total: u8,
    barrier: bool,
) -> Result<Option<u8>, super::claim::Failure> {
    let all = everything(session.reopened()?)?;
    let rest: Vec<Mutation<'_>> = all.iter().map(|(key, _)| delete(key)).collect();
    let store = session.store()?;
    write_all(store, &rest, Durability::Durable)?;
    for number in 0..total {
        let last = number + 1 == durable;
        let level = if last && !barrier { Durability::Durable } else { Durability::Buffered };
        step(store, number, level)?;
        if last && barrier {
            store.apply(&[], &[], Durability::Durable)?;
        }
    }
    let store = session.reopened()?;
    let there = steps_there(store)?;
    if let Some(count) = there.filter(|count| *count > 0 && *count < STEPS) {
        // The entries found can be built upon.
        step(store, count, Durability::Durable)?;
        let more = steps_there(session.reopened()?)?;
        claim!(
            more == Some(count + 1),
            "after {count} applies and one more by another opener there is {more:?}"
        );
    }
    Ok(there)
}

fn durable_keeps_earlier(session: &mut Session<'_, '_>) -> Checked {
    for durable in [1, 2, 3, 12, STEPS] {
        let there = steps(session, durable, durable, false)?;
        claim!(there == Some(durable), "of {durable} applies, the last durable: {}", said(there));
    }
    Ok(())
}

fn barrier_keeps_earlier(session: &mut Session<'_, '_>) -> Checked {
    for durable in [1, 2, 3, 12, STEPS] {
        let there = steps(session, durable, durable, true)?;
        claim!(there == Some(durable), "of {durable} buffered applies before a barrier: {}", said(there));
    }
    Ok(())
}

fn none_without_the_earlier(session: &mut Session<'_, '_>) -> Checked {
    for durable in [0, 1, 6, 17] {
        for more in [1, 2, 3, 7] {
            let there = steps(session, durable, durable + more, false)?;
            claim!(
                there.is_some_and(|count| count >= durable),
                "{durable} applies, the last durable, and {more} buffered ones: {}",
                said(there)
            );
        }
    }
    Ok(())
}

fn said(there: Option<u8>) -> String {
    match there {
        Some(count) => format!("the first {count} are there"),
        None => "what is there is not what any first ones of them leave".into(),
    }
}
