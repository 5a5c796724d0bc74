//! Cuts at every change of the object store.

use crate::objects::{Objects, open, over};
use kvfs_contract::AsyncKvStore;
use kvfs_store_rig::{Calls, Random, State};

/// An apply: the state after it, and, if it was durable, how many changes the object store had when
/// it was acknowledged.
struct Step {
    state: State,
    durable_from: Option<usize>,
}

/// Makes changes, and returns the object store with the states after each.
fn work(seed: u64) -> (std::sync::Arc<Objects>, Vec<Step>) {
    let mut random = Random::new(seed);
    let objects = Objects::new();
    let mut store = open(over(&objects));
    let mut state = State::new();
    let mut steps = vec![Step { state: state.clone(), durable_from: None }];
    for number in 0..60u8 {
        if random.chance(12) {
            store.wait(store.store.close()).unwrap();
            steps.last_mut().unwrap().durable_from = Some(objects.log().len());
            store = open(over(&objects));
        }
        let key = vec![random.below(10) as u8];
        let value = (!random.chance(4)).then(|| vec![number; 100]);
        let changes = [(vec![0], Some(vec![number])), (key, value)];
        let durable = random.chance(3);
        store.make(&changes, durable).unwrap();
        kvfs_store_rig::change(&mut state, &changes);
        steps.push(Step { state: state.clone(), durable_from: durable.then(|| objects.log().len()) });
    }
    store.kill();
    (objects, steps)
}

#[test]
fn a_cut_anywhere_leaves_every_durable_apply_and_no_gap() {
    let mut lost_some = 0;
    for seed in 1..4 {
        let (objects, steps) = work(seed);
        let log = objects.log();
        for cut in 0..=log.len() {
            let durable = |step: &Step| step.durable_from.is_some_and(|from| from <= cut);
            let least = steps.iter().rposition(durable).unwrap_or(0);
            let mut store = open(over(&Objects::after(&log[..cut])));
            let found = store.entries(b"", b"").unwrap();
            let at = steps[least..].iter().position(|step| step.state == found);
            let at = at.unwrap_or_else(|| panic!("seed {seed}, cut {cut} of {}: {least}", log.len()));
            lost_some += usize::from(least + at + 1 < steps.len());
            // And it goes on.
            store.set(&[], &[(b"after", Some(b""))], true).unwrap();
        }
    }
    assert!(lost_some > 20, "{lost_some} cuts lost something");
}
