//! The table of handles against a model of it.

use super::super::handles::{KINDS, LOANS, TABLE};
use super::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use wasmtime::Func;

/// Most handles that there can be.
const PLACES: u32 = 1 << 20;

struct Rig {
    store: Store<()>,
    /// Kind and representation of what was destroyed.
    destroyed: Arc<Mutex<Vec<(u32, u32)>>>,
    new: TypedFunc<(u32, u32), u32>,
    rep: TypedFunc<(u32, u32), u32>,
    drop: TypedFunc<(u32, u32), ()>,
    borrow: TypedFunc<(u32, u32), u32>,
    give_back: TypedFunc<u32, ()>,
    note: TypedFunc<u32, ()>,
    unnote: TypedFunc<(), u32>,
    loans: TypedFunc<(), u32>,
    kind: TypedFunc<u32, u32>,
}

impl Rig {
    fn new() -> Self {
        let engine = engine();
        let mut store = Store::new(&engine, ());
        let module = Module::new(&engine, TABLE).unwrap();
        let destroyed = Arc::new(Mutex::new(Vec::new()));
        let log = destroyed.clone();
        let table = instantiate(&mut store, &module, |store, module, name| {
            assert_eq!(module, "destructors");
            let (kind, log): (u32, _) = (name.parse().unwrap(), log.clone());
            assert!(kind < KINDS);
            Func::wrap(store, move |rep: u32| log.lock().unwrap().push((kind, rep))).into()
        });
        let loans = Module::new(&engine, LOANS).unwrap();
        let loans = instantiate(&mut store, &loans, |_, _, _| unreachable!("it imports nothing"));
        Self {
            destroyed,
            new: function(&mut store, &table, "new"),
            rep: function(&mut store, &table, "rep"),
            drop: function(&mut store, &table, "drop"),
            borrow: function(&mut store, &table, "borrow"),
            give_back: function(&mut store, &table, "give-back"),
            note: function(&mut store, &loans, "note"),
            unnote: function(&mut store, &loans, "unnote"),
            loans: function(&mut store, &loans, "loans"),
            kind: function(&mut store, &table, "kind"),
            store,
        }
    }

    fn new_handle(&mut self, rep: u32, kind: u32) -> u32 {
        self.new.call(&mut self.store, (rep, kind)).unwrap()
    }
}

#[derive(Clone, Copy, Debug)]
struct Held {
    kind: u32,
    rep: u32,
    lent: u32,
}

#[test]
fn a_handle_is_good_exactly_as_long_as_it_is_held_and_for_its_kind() {
    for seed in 0..20 {
        let mut rig = Rig::new();
        let mut rng = Rng(seed);
        let mut held: HashMap<u32, Held> = HashMap::new();
        let mut all: Vec<u32> = Vec::new();
        for step in 0..3000_u32 {
            let known: Vec<u32> = held.keys().copied().collect();
            let handle = match rng.below(10) {
                0 => rng.next() as u32,
                1 => {
                    rng.pick(&[0, 1, 0xf_ffff, 0x3fff_ffff, 0x4000_0000, 0x400f_ffff, 0x7fff_ffff, u32::MAX])
                }
                // One bit off.
                2 if !known.is_empty() => rng.pick(&known) ^ (1 << rng.below(32)),
                // Held or dropped.
                3 if !all.is_empty() => rng.pick(&all),
                _ if !known.is_empty() => rng.pick(&known),
                _ => 0x4000_0000,
            };
            let kind = match held.get(&handle) {
                Some(held) if !rng.one_in(8) => held.kind,
                _ => rng.pick(&[0, 1, 2, 3, 4, 5, 6, u32::MAX]),
            };
            let right = held.get(&handle).copied().filter(|held| held.kind == kind);
            let about = format!("seed {seed}, step {step}: {handle:x} as {kind}, {right:?}");
            match rng.below(8) {
                0..=2 if held.len() < 60 => {
                    let (rep, kind) = (rng.next() as u32, rng.below(KINDS as usize) as u32);
                    let handle = rig.new_handle(rep, kind);
                    assert_eq!(handle >> 30, 1, "{handle:x} could be the host's");
                    assert!(handle & 0xf_ffff < 60, "{handle:x}: places are used again");
                    assert!(held.insert(handle, Held { kind, rep, lent: 0 }).is_none(), "{handle:x} twice");
                    // Fewer than 1,024 handles are made in one place by all these steps.
                    assert!(!all.contains(&handle), "{handle:x} was another's");
                    all.push(handle);
                }
                0..=3 => {
                    let found = rig.rep.call(&mut rig.store, (handle, kind)).ok();
                    assert_eq!(found, right.map(|held| held.rep), "rep, {about}");
                }
                4 => {
                    let found = rig.borrow.call(&mut rig.store, (handle, kind)).ok();
                    assert_eq!(found, right.map(|held| held.rep), "borrow, {about}");
                    held.entry(handle).and_modify(|held| held.lent += u32::from(right.is_some()));
                }
                5 => {
                    let lent: Vec<u32> = known.iter().copied().filter(|h| held[h].lent > 0).collect();
                    if !lent.is_empty() {
                        let handle = rng.pick(&lent);
                        rig.give_back.call(&mut rig.store, handle).unwrap();
                        held.entry(handle).and_modify(|held| held.lent -= 1);
                    }
                }
                _ => {
                    let found = rig.drop.call(&mut rig.store, (handle, kind)).is_ok();
                    let free = right.filter(|held| held.lent == 0);
                    assert_eq!(found, free.is_some(), "drop, {about}");
                    let expected: Vec<_> = free.map(|held| (held.kind, held.rep)).into_iter().collect();
                    assert_eq!(std::mem::take(&mut *rig.destroyed.lock().unwrap()), expected, "{about}");
                    if free.is_some() {
                        held.remove(&handle);
                    }
                }
            }
        }
        for (handle, Held { kind, .. }) in held {
            assert_eq!(rig.kind.call(&mut rig.store, handle).unwrap(), kind);
        }
    }
}

#[test]
fn a_number_comes_back_after_1024_uses_of_its_place() {
    let mut rig = Rig::new();
    let first = rig.new_handle(1, 0);
    let mut handle = first;
    for use_number in 1..1024 {
        rig.drop.call(&mut rig.store, (handle, 0)).unwrap();
        handle = rig.new_handle(1, 0);
        assert_ne!(handle, first, "after {use_number} uses");
        assert_eq!((handle & 0xf_ffff, handle >> 30), (first & 0xf_ffff, 1));
    }
    rig.drop.call(&mut rig.store, (handle, 0)).unwrap();
    assert_eq!(rig.new_handle(1, 0), first);
}

#[test]
fn one_handle_more_than_there_are_places_traps_and_the_rest_still_work() {
    let mut rig = Rig::new();
    let all: Vec<u32> = (0..PLACES).map(|rep| rig.new_handle(rep, rep % KINDS)).collect();
    assert!(rig.new.call(&mut rig.store, (0, 0)).is_err(), "there are more than {PLACES}");
    for rep in [0, 1, 4095, 4096, PLACES / 2, PLACES - 1] {
        let handle = all[rep as usize];
        assert_eq!(rig.rep.call(&mut rig.store, (handle, rep % KINDS)).unwrap(), rep);
        rig.drop.call(&mut rig.store, (handle, rep % KINDS)).unwrap();
        assert_ne!(rig.new_handle(rep, 0), handle, "the place is free, the number is another");
        assert!(rig.new.call(&mut rig.store, (0, 0)).is_err());
    }
}

#[test]
fn notes_of_loans_are_a_stack_as_deep_as_a_call_needs() {
    let mut rig = Rig::new();
    let count = 40_000;
    for number in 0..count {
        rig.note.call(&mut rig.store, number * 3).unwrap();
    }
    assert_eq!(rig.loans.call(&mut rig.store, ()).unwrap(), count);
    for number in (0..count).rev() {
        assert_eq!(rig.unnote.call(&mut rig.store, ()).unwrap(), number * 3);
    }
    assert_eq!(rig.loans.call(&mut rig.store, ()).unwrap(), 0);
}
