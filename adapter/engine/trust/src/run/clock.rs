//! The time that reference and engine see.

use kvfs::{Clock, Timestamp};
use std::cell::Cell;
use std::rc::Rc;

/// A clock that shows the number of the current operation.
#[derive(Debug, Clone, Default)]
pub struct TestClock(pub Rc<Cell<i64>>);

impl Clock for TestClock {
    fn now(&mut self) -> Timestamp {
        time(self.0.get())
    }
}

pub fn time(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanoseconds: 7 }
}
