//! The states that a store may have after a cut of its program at any call.

use crate::{Calls, Changes, Random, State, change};
use kvfs_contract::StoreError;

/// The states that a store may have, and the number of acknowledged applies.
///
/// The first state is certain. Each apply adds one, up to the last apply that was begun.
pub struct Known {
    states: Vec<State>,
    acknowledged: usize,
}

impl Known {
    /// Starts from a store with this state.
    pub fn certain(state: State) -> Self {
        Self { states: vec![state], acknowledged: 0 }
    }

    /// Makes random changes until the power goes, and records the states that the store may have.
    ///
    /// One of `durable_one_in` applies is durable, and then its state is certain. With `None` every
    /// apply is buffered.
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

    /// Checks and returns the store's state after a kill of the program, which loses no acknowledged
    /// apply.
    ///
    /// # Panics
    /// If the store has any other state. The message begins with `what`.
    pub fn check_killed(&self, store: &mut impl Calls, what: &str) -> State {
        self.check(store, self.acknowledged, what)
    }

    /// Checks and returns the store's state after a crash of the medium, which may lose the last
    /// applies.
    ///
    /// # Panics
    /// If the store has any other state. The message begins with `what`.
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
