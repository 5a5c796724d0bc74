//! Claims about `apply`: guards, order, atomicity, levels. No batch has more than two mutations,
//! which every store must take.

use super::claim::{Checked, claim, claims, delete, everything, put, value_of, write, write_all};
use crate::{Durability, Guard, StoreError, SyncStore};

claims![
    the_last_mutation_of_a_key_wins,
    deleting_an_absent_key_is_no_error,
    a_deleted_key_is_gone_for_every_call,
    a_guard_compares_the_whole_value,
    one_failed_guard_stops_the_whole_batch,
    guards_see_the_state_before_the_call,
    a_guard_alone_is_a_question,
    an_empty_durable_apply_is_a_barrier,
    an_apply_is_seen_at_once_at_either_level,
    guarded_counting_loses_nothing_between_threads,
    a_reader_never_sees_half_of_an_apply,
];

fn the_last_mutation_of_a_key_wins(store: &dyn SyncStore) -> Checked {
    for level in [Durability::Buffered, Durability::Durable] {
        store.apply(&[], &[put(b"a", b"1"), put(b"a", b"2")], level)?;
        claim!(
            value_of(store, b"a")?.as_deref() == Some(b"2"),
            "at level {level:?} the first of two puts won"
        );
        store.apply(&[], &[delete(b"b"), put(b"b", b"3")], level)?;
        store.apply(&[], &[put(b"c", b"4"), delete(b"c")], level)?;
        store.apply(&[], &[delete(b"a"), put(b"a", b"5")], level)?;
        let found = everything(store)?;
        let wanted = [(b"a".to_vec(), b"5".to_vec()), (b"b".to_vec(), b"3".to_vec())];
        claim!(found == wanted, "at level {level:?} the store holds {found:?}");
        write(store, &[delete(b"a"), delete(b"b")])?;
    }
    Ok(())
}

fn deleting_an_absent_key_is_no_error(store: &dyn SyncStore) -> Checked {
    write(store, &[delete(b"a"), put(b"b", b"1")])?;
    write(store, &[put(b"b", b"2"), delete(b"c")])?;
    store.apply(&[], &[delete(b"a")], Durability::Durable)?;
    claim!(everything(store)?.len() == 1, "the put among the deletes was lost");
    Ok(())
}

fn a_deleted_key_is_gone_for_every_call(store: &dyn SyncStore) -> Checked {
    write_all(store, &[put(b"a", b"1"), put(b"b", b"2"), put(b"c", b"3")], Durability::Durable)?;
    write(store, &[delete(b"b")])?;
    claim!(value_of(store, b"b")?.is_none(), "get finds it");
    let keys: Vec<_> = everything(store)?.into_iter().map(|(key, _)| key).collect();
    claim!(keys == [b"a", b"c"], "scan finds {keys:?}");
    let absent = Guard { key: b"b", expected: None };
    store.apply(&[absent], &[], Durability::Buffered)?;
    Ok(())
}

fn a_guard_compares_the_whole_value(store: &dyn SyncStore) -> Checked {
    write(store, &[put(b"a", b"value"), put(b"empty", b"")])?;
    type Case<'a> = (&'a [u8], Option<&'a [u8]>, bool);
    let cases: [Case<'_>; 9] = [
        (b"a", Some(b"value"), true),
        (b"a", Some(b"valu"), false),
        (b"a", Some(b"value\0"), false),
        (b"a", Some(b"valuf"), false),
        (b"a", None, false),
        (b"empty", Some(b""), true),
        (b"empty", None, false),
        (b"absent", None, true),
        (b"absent", Some(b""), false),
    ];
    for level in [Durability::Buffered, Durability::Durable] {
        for (key, expected, holds) in cases {
            let result = store.apply(&[Guard { key, expected }], &[put(b"other", b"1")], level);
            let as_said = match &result {
                Ok(()) => holds,
                Err(StoreError::Conflict) => !holds,
                Err(_) => false,
            };
            claim!(as_said, "{level:?}: {key:?} expected {expected:?}: {result:?}");
        }
    }
    Ok(())
}

fn one_failed_guard_stops_the_whole_batch(store: &dyn SyncStore) -> Checked {
    write(store, &[put(b"a", b"1"), put(b"b", b"2")])?;
    let before = everything(store)?;
    let holds = Guard { key: b"a", expected: Some(b"1") };
    let fails = Guard { key: b"b", expected: Some(b"1") };
    for level in [Durability::Buffered, Durability::Durable] {
        for guards in [&[holds, fails][..], &[fails, holds], &[holds, holds, fails]] {
            for batch in [[put(b"a", b"x"), delete(b"b")], [put(b"new", b"x"), put(b"b", b"x")]] {
                let result = store.apply(guards, &batch, level);
                claim!(matches!(result, Err(StoreError::Conflict)), "the guards gave {result:?}");
                let after = everything(store)?;
                claim!(after == before, "a refused batch changed the store to {after:?}");
            }
        }
    }
    Ok(())
}

fn guards_see_the_state_before_the_call(store: &dyn SyncStore) -> Checked {
    let absent = Guard { key: b"a", expected: None };
    store.apply(&[absent], &[put(b"a", b"1")], Durability::Buffered)?;
    let one = Guard { key: b"a", expected: Some(b"1") };
    store.apply(&[one, one], &[put(b"a", b"2")], Durability::Durable)?;
    let result = store.apply(&[one], &[put(b"a", b"1")], Durability::Buffered);
    claim!(matches!(result, Err(StoreError::Conflict)), "an outdated guard gave {result:?}");
    Ok(())
}

fn a_guard_alone_is_a_question(store: &dyn SyncStore) -> Checked {
    write(store, &[put(b"a", b"1")])?;
    for level in [Durability::Buffered, Durability::Durable] {
        store.apply(&[Guard { key: b"a", expected: Some(b"1") }], &[], level)?;
        let result = store.apply(&[Guard { key: b"a", expected: None }], &[], level);
        claim!(matches!(result, Err(StoreError::Conflict)), "a false guard gave {result:?}");
    }
    Ok(())
}

fn an_empty_durable_apply_is_a_barrier(store: &dyn SyncStore) -> Checked {
    store.apply(&[], &[], Durability::Durable)?;
    write(store, &[put(b"a", b"1")])?;
    store.apply(&[], &[], Durability::Durable)?;
    store.apply(&[], &[], Durability::Durable)?;
    claim!(value_of(store, b"a")?.as_deref() == Some(b"1"), "the barrier lost a value");
    Ok(())
}

fn an_apply_is_seen_at_once_at_either_level(store: &dyn SyncStore) -> Checked {
    for step in 0..40u8 {
        let level = if step % 3 == 0 { Durability::Durable } else { Durability::Buffered };
        store.apply(&[], &[put(b"a", &[step]), put(&[step], b"x")], level)?;
        claim!(value_of(store, b"a")?.as_deref() == Some(&[step]), "step {step} is not seen by get");
        let found = everything(store)?.len();
        claim!(found == usize::from(step) + 2, "after step {step} scan gave {found} entries");
    }
    Ok(())
}

fn guarded_counting_loses_nothing_between_threads(store: &dyn SyncStore) -> Checked {
    const THREADS: u32 = 4;
    const EACH: u32 = 50;
    write(store, &[put(b"count", &0u32.to_be_bytes())])?;
    let count = || -> Checked {
        // Every conflict is another thread's success.
        let mut conflicts_left = THREADS * EACH;
        for _ in 0..EACH {
            loop {
                let old = value_of(store, b"count")?.unwrap_or_default();
                let next = old.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)) + 1;
                let guard = Guard { key: b"count", expected: Some(&old) };
                match store.apply(&[guard], &[put(b"count", &next.to_be_bytes())], Durability::Buffered) {
                    Err(StoreError::Conflict) => {
                        claim!(conflicts_left > 0, "a guard on what was just read fails, and nobody wrote");
                        conflicts_left -= 1;
                    }
                    result => break result?,
                }
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(count)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(StoreError::Fault("the store panicked".into()).into()))
        })
    })?;
    let total = value_of(store, b"count")?;
    let wanted = (THREADS * EACH).to_be_bytes();
    claim!(total.as_deref() == Some(&wanted), "{THREADS} times {EACH} is {total:?}");
    Ok(())
}

fn a_reader_never_sees_half_of_an_apply(store: &dyn SyncStore) -> Checked {
    write(store, &[put(b"a", &[0]), put(b"z", &[0])])?;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<(), StoreError> {
            for step in 0..200u8 {
                let level = if step % 20 == 0 { Durability::Durable } else { Durability::Buffered };
                store.apply(&[], &[put(b"a", &[step]), put(b"z", &[step])], level)?;
            }
            Ok(())
        });
        while !writer.is_finished() {
            let values = store.get(&[b"a", b"z"])?;
            claim!(values[0] == values[1], "get saw {values:?}");
            let entries = store.scan(b"", b"", 2, 100)?;
            let same = entries.len() < 2 || entries[0].value == entries[1].value;
            claim!(same, "scan saw {entries:?}");
        }
        writer.join().unwrap_or_else(|_| Err(StoreError::Fault("the store panicked".into())))?;
        Ok(())
    })
}
