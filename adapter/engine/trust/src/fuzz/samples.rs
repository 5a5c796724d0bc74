//! Valid stores to start from: random sequences cut in the middle, before a journal is in place,
//! and at their end.

use crate::run::Runner;
use crate::shrink::case;
use crate::store::{Applied, Map, TestStore};
use std::rc::Rc;

const SEQUENCES: u64 = 16;
const OPERATIONS: usize = 60;

thread_local! {
    static SAMPLES: Rc<Vec<Map>> = Rc::new((0..SEQUENCES).flat_map(sample).collect());
}

/// Returns the stores, always the same ones.
pub(super) fn samples() -> Rc<Vec<Map>> {
    SAMPLES.with(Rc::clone)
}

/// Some moments of one sequence. Nothing is synced or cleaned up at its end, so the records include
/// garbage and files without a name.
fn sample(seed: u64) -> Vec<Map> {
    let (setup, ops) = case(seed, OPERATIONS);
    let store = TestStore::new(setup.limits);
    let mut runner = Runner::new(&setup, store.clone(), false).expect("an engine that opens");
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op).expect("an engine that passes the model test");
    }
    let log = &store.0.borrow().log;
    let middle = log.len() / 2;
    let journal =
        log.iter().skip(middle).position(Applied::commits_journal).map(|behind| middle + behind + 1);
    let cuts = [Some(middle), journal, Some(log.len())];
    cuts.into_iter().flatten().map(|cut| replayed(&log[..cut])).collect()
}

fn replayed(log: &[Applied]) -> Map {
    let mut map = Map::new();
    for applied in log {
        applied.replay(&mut map);
    }
    map
}
