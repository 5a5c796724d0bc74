//! The host's wall clock as the engine's clock.

use crate::bindings::wasi::clocks::wall_clock;
use kvfs::{Clock, Timestamp};

/// The imported `wasi:clocks/wall-clock`.
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&mut self) -> Timestamp {
        let now = wall_clock::now();
        Timestamp {
            seconds: i64::try_from(now.seconds).unwrap_or(i64::MAX),
            nanoseconds: now.nanoseconds.min(999_999_999),
        }
    }
}
