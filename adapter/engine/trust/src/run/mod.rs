//! Runs operations on engine and reference side by side, and keeps what a crash check needs.

mod answers;
mod clock;
mod direct;
mod slots;

mod runner;

// Operations and checks by subject. Each file adds methods to the runner.
mod apply;
mod attributes;
mod by_number;
mod close;
mod data;
mod finish;
mod listing;
mod look;
mod names;
mod open;
mod promises;

pub use answers::Check;
pub use clock::{TestClock, time};
pub use runner::{Moment, Runner, Wrote};

use crate::ops::{Op, Setup};
use crate::store::TestStore;

/// Runs a sequence on a new volume and checks its end.
pub fn run(setup: &Setup, ops: &[Op]) -> Check {
    let mut runner = Runner::new(setup, TestStore::new(setup.limits), false)?;
    for (index, op) in ops.iter().enumerate() {
        runner.step(index, op)?;
    }
    runner.finish()
}
