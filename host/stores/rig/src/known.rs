//! Knowledge of a store whose program is cut short at any call.

use crate::{Calls, Changes, Random, State, change};
use kvfs_contract::StoreError;

/// The states that a store may have: one after each apply, from the last that is certain to the
/// last that was begun; and how many of the applies were acknowledged.
pub struct Known {
    states: Vec<State>,
    acknowledged: usize,
}

impl Known {
    /// Starts from the known state of a store.
    pub fn certain(state: State) -> Self {
        Self { states: vec![state], acknowledged: 0 }
    }

    /// Makes random changes until the power goes, and notes the possible states after each.
    ///
    /// One in `durable_one_in` applies is durable, so that nothing before it can be lost; none if it
    /// is `None`.
    pub fn work(
        &mut self,
        store: &mut impl Calls,
        random: &mut Random,
        applies: usize,
        durable_one_in: Option<u64>,
        changes: impl Fn(&mut Random) -> Changes,
    ) {
        for _ in 0..applies {
            let changes = changes(random);
            let durable = durable_one_in.is_some_and(|one_in| random.chance(one_in));
            let mut state = self.states.last().expect("a state").clone();
            change(&mut state, &changes);
            self.states.push(state);
            match store.make(&changes, durable) {
                Ok(()) => {
                    self.acknowledged = self.states.len() - 1;
                    if durable {
                        self.states.drain(..self.acknowledged);
                        self.acknowledged = 0;
                    }
                }
                Err(StoreError::UnknownOutcome) => return,
                Err(_) => {
                    self.states.pop();
                    return;
                }
            }
        }
    }

    /// Returns what the store holds, which must be one of the states that a kill of the program may
    /// leave: nothing that was acknowledged is lost.
    ///
    /// # Panics
    /// If it is not, saying `what` was done.
    pub fn check_killed(&self, store: &mut impl Calls, what: &str) -> State {
        self.check(store, self.acknowledged, what)
    }

    /// Returns what the store holds, which must be one of the states that a crash of the medium may
    /// leave: what is lost is a suffix.
    ///
    /// # Panics
    /// If it is not, saying `what` was done.
    pub fn check_crashed(&self, store: &mut impl Calls, what: &str) -> State {
        self.check(store, 0, what)
    }

    fn check(&self, store: &mut impl Calls, least: usize, what: &str) -> State {
        let found = store.entries(b"", b"").expect("scanning");
        let possible = &self.states[least..];
        assert!(
            possible.contains(&found),
            "{what}: {} states are possible, found {} keys",
            possible.len(),
            found.len()
        );
        found
    }

    /// Returns the state after the last apply that was begun.
    pub fn last(mut self) -> State {
        self.states.pop().expect("a state")
    }
}
