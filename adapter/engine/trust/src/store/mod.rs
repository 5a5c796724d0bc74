//! A store for tests: strict about its limits, with a log of applies, call counts, faults, and a
//! saboteur that breaks promises to see whether the suites notice.

mod applied;
mod fault;
mod limits;

mod sabotage;

mod test_store;

pub use applied::{Applied, Change, Map, tag_of};
pub use fault::Fault;
pub use limits::{JOURNALLED, LARGE, SMALL, TINY};
pub use sabotage::Sabotage;
pub use test_store::{Calls, Inner, TestStore, Tool};
