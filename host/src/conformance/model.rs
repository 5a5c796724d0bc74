//! Random calls, compared with an ordered map.

use std::collections::BTreeMap;

use super::claim::{Checked, claim, claims, delete, everything, put};
use crate::{Durability, Guard, Mutation, StoreError, SyncStore};

claims![random_calls_agree_with_an_ordered_map];

const STEPS: u32 = 600;
const SEED: u64 = 0x5EED;

/// xorshift64*: good enough for calls, without another crate.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % bound
    }

    /// Few and short keys, so that calls meet.
    fn key(&mut self) -> Vec<u8> {
        let len = 1 + self.below(3);
        (0..len).map(|_| [0, b'a', b'b', 0xFF][self.below(4) as usize]).collect()
    }

    fn value(&mut self) -> Vec<u8> {
        let len = [0, 1, 5, 300][self.below(4) as usize];
        vec![self.below(256) as u8; len]
    }
}

fn random_calls_agree_with_an_ordered_map(store: &dyn SyncStore) -> Checked {
    let mut random = Random(SEED);
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for step in 0..STEPS {
        match random.below(4) {
            0 => get(store, &mut random, &model, step)?,
            1 => scan(store, &mut random, &model, step)?,
            _ => apply(store, &mut random, &mut model, step)?,
        }
    }
    let found = everything(store)?;
    claim!(found.iter().map(|(k, v)| (k, v)).eq(&model), "at the end (seed {SEED:#x}) the contents differ");
    Ok(())
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn get(store: &dyn SyncStore, random: &mut Random, model: &Model, step: u32) -> Checked {
    let most = store.limits()?.max_batch_entries.min(5);
    let keys: Vec<_> = (0..random.below(u64::from(most) + 1)).map(|_| random.key()).collect();
    let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let found = store.get(&asked)?;
    let same = found.len() == keys.len()
        && keys.iter().zip(&found).all(|(key, value)| model.get(key).map(Vec::as_slice) == value.as_deref());
    claim!(same, "step {step} of seed {SEED:#x}: get {keys:?} gave {found:?}");
    Ok(())
}

fn scan(store: &dyn SyncStore, random: &mut Random, model: &Model, step: u32) -> Checked {
    let (start, end) = (random.key(), if random.below(3) == 0 { Vec::new() } else { random.key() });
    let max_entries = random.below(8) as u32;
    let found = store.scan(&start, &end, max_entries, 1 << 20)?;
    let in_range = |key: &Vec<u8>| *key >= start && (end.is_empty() || *key < end);
    let wanted: Vec<_> = model.iter().filter(|(key, _)| in_range(key)).take(max_entries as usize).collect();
    // A page may hold fewer than asked for, but not none of some.
    let same = found.len() <= wanted.len()
        && found.is_empty() == wanted.is_empty()
        && found.iter().zip(&wanted).all(|(entry, (key, value))| entry.key == *key && entry.value == *value);
    claim!(same, "step {step} of seed {SEED:#x}: scan {start:?}..{end:?} gave {found:?}");
    Ok(())
}

fn apply(store: &dyn SyncStore, random: &mut Random, model: &mut Model, step: u32) -> Checked {
    let most = store.limits()?.max_batch_entries.min(5);
    let changes: Vec<(Vec<u8>, Option<Vec<u8>>)> = (0..random.below(u64::from(most) + 1))
        .map(|_| (random.key(), (random.below(3) > 0).then(|| random.value())))
        .collect();
    let mutations: Vec<Mutation<'_>> = changes
        .iter()
        .map(|(key, value)| value.as_ref().map_or_else(|| delete(key), |value| put(key, value)))
        .collect();
    let guarded = random.key();
    let expected = match random.below(5) {
        0 => Some(random.value()),
        _ => model.get(&guarded).cloned(),
    };
    let guard = Guard { key: &guarded, expected: expected.as_deref() };
    let level = if random.below(20) == 0 { Durability::Durable } else { Durability::Buffered };
    let holds = guard.holds(model.get(&guarded).map(Vec::as_slice));
    match store.apply(&[guard], &mutations, level) {
        Ok(()) if holds => {
            for (key, value) in changes {
                match value {
                    Some(value) => drop(model.insert(key, value)),
                    None => drop(model.remove(&key)),
                }
            }
            Ok(())
        }
        Err(StoreError::Conflict) if !holds => Ok(()),
        Err(error @ (StoreError::QuotaExceeded | StoreError::Fault(_))) => Err(error.into()),
        result => Err(super::claim::Failure::Broken(format!(
            "step {step} of seed {SEED:#x}: a guard that {} gave {result:?}",
            if holds { "holds" } else { "does not hold" }
        ))),
    }
}
