//! The engine's own crash test on a store that writes behind: at every apply of the server the program
//! is killed, or the server crashes too.

use std::sync::{Arc, Mutex};

use kvfs_contract::{Durability, Limits, StoreError};
use kvfs_remote::Pace;
use kvfs_store_rig::{DropsApplies, Medium, OnTrial, Sweep, SweepOne};
use kvfs_trust::cuts::{Cuts, Loss, Mark, Met, within};
use kvfs_trust::moments::Ran;
use kvfs_trust::ops::{Op, Setup};
use kvfs_trust::store::TestStore;

use crate::near::{EAGER, LAZY, Near};
use crate::server::{Contents, Fate, Map, Server};

const SEQUENCES: u64 = 60;
const OPERATIONS: usize = 40;

/// A broken promise of the store or its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sabotage {
    /// Every seventh apply is acknowledged and not made.
    DropsAnApply,
    /// The server makes every third of its applies but for the last of its mutations.
    TearsABatch,
    /// Durable applies are buffered.
    NothingIsDurable,
}

/// The server, and how it is written to.
#[derive(Clone)]
struct Written {
    server: Server,
    pace: Pace,
    sabotage: Option<Sabotage>,
    /// The store that was opened last.
    open: Arc<Mutex<Option<Near<Server>>>>,
}

impl Medium for Written {
    type Store = Near<Server>;

    fn open(&self, _opening: u64) -> Result<Self::Store, StoreError> {
        // A program that ends closes its store.
        let mut open = self.open.lock().unwrap();
        if let Some(last) = open.take() {
            last.0.close()?;
        }
        Ok(open.insert(Near::new(self.server.clone(), self.pace)).clone())
    }

    fn mark<T>(&self, change: impl FnOnce(&mut Mark) -> T) -> T {
        self.server.look(|contents| change(&mut contents.mark))
    }

    fn level(&self, level: Durability, _number: usize) -> Durability {
        if self.sabotage == Some(Sabotage::NothingIsDurable) { Durability::Buffered } else { level }
    }
}

/// Loses some answers, and some calls.
fn unsteady(apply: u64) -> Fate {
    match apply % 5 {
        1 => Fate::AnswerLost,
        3 => Fate::Lost,
        _ => Fate::Answered,
    }
}

/// Runs a sequence, then checks every cut of it.
fn sweep(
    setup: &Setup,
    ops: &[Op],
    sabotage: Option<Sabotage>,
    (pace, is_unsteady): (Pace, bool),
) -> Result<Met, String> {
    let mut setup = within(setup, &Limits::standard(true));
    setup.limits.durable = true;
    let server = Server { limits: setup.limits, ..Server::new(Map::new()) };
    server.look(|contents| {
        contents.fate = match sabotage {
            None if is_unsteady => Some(unsteady),
            Some(Sabotage::TearsABatch) => {
                Some(|apply| if apply % 3 == 0 { Fate::Torn } else { Fate::Answered })
            }
            _ => None,
        };
    });
    let drops = DropsApplies(sabotage == Some(Sabotage::DropsAnApply));
    let open = |server, sabotage| {
        let on_trial = OnTrial::open(Written { server, pace, sabotage, open: Arc::default() }, drops);
        on_trial.map(Box::new).map_err(|error| format!("opening: {error:?}"))
    };
    let below = open(server.clone(), sabotage)?;
    let ran = Ran::new(&setup, ops, TestStore::over(Default::default(), setup.limits, below))?;
    let made: Contents = server.look(|contents| contents.clone());
    let mut cuts = Cuts::new(ran);
    let before = (Map::new(), Map::new());
    for apply in 0..=made.log.len() {
        let mark = made.marks.get(apply).copied().unwrap_or(made.mark);
        let (live, durable) = if apply == 0 { &before } else { &made.log[apply - 1] };
        for (left, how) in [(live, "a kill"), (durable, "a crash")] {
            let server = Server { limits: setup.limits, ..Server::new(left.clone()) };
            open(server, None)
                .and_then(|store| cuts.check(mark, Loss::NotDurable, store))
                .map_err(|what| format!("{how} before apply {apply} of {}: {what}", made.log.len()))?;
        }
    }
    Ok(cuts.met)
}

type Sabotaged = Option<Sabotage>;

const WAYS: [(&str, SweepOne<Sabotage>); 4] = [
    ("eagerly", |setup, ops, sabotage: Sabotaged| sweep(setup, ops, sabotage, (EAGER, false))),
    ("eagerly, unsteady", |setup, ops, sabotage: Sabotaged| sweep(setup, ops, sabotage, (EAGER, true))),
    ("lazily", |setup, ops, sabotage: Sabotaged| sweep(setup, ops, sabotage, (LAZY, false))),
    ("lazily, unsteady", |setup, ops, sabotage: Sabotaged| sweep(setup, ops, sabotage, (LAZY, true))),
];

#[test]
fn every_cut_leaves_a_volume_of_a_moment_not_before_the_last_durable_apply() {
    for (how, one) in WAYS {
        let all = Sweep(one).many(SEQUENCES, OPERATIONS);
        println!("{how}: {all:?}");
        let enough = all.cuts > 1_000 && all.split > 10 && all.journal > 10 && all.lost > 100;
        assert!(std::env::var("KVFS_SEED").is_ok() || enough, "{how}: these must be among them: {all:?}");
    }
}

#[test]
fn every_sabotage_of_the_store_and_its_server_is_noticed() {
    let kinds = [Sabotage::DropsAnApply, Sabotage::TearsABatch, Sabotage::NothingIsDurable];
    for (_, one) in WAYS {
        Sweep(one).notices(kinds, OPERATIONS);
    }
}
