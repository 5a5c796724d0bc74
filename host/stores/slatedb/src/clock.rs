//! The clock that SlateDB stamps writes with, which never goes behind the newest stamp.

use chrono::{DateTime, Utc};
use slatedb_common::clock::{DefaultSystemClock, SystemClock, SystemClockTicker};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The system's clock, held at a floor while it is behind.
///
/// SlateDB stamps each write and ends a database whose clock is more than ten seconds behind the
/// newest stamp. The host before this one may have had a faster clock. The stamps matter to expiry
/// alone, which this store does not use.
#[derive(Debug)]
pub(crate) struct Clock {
    system: DefaultSystemClock,
    /// Milliseconds since the Unix epoch.
    floor: AtomicI64,
    /// Milliseconds added to the system's time: tests simulate other hosts' clocks.
    ahead: i64,
}

impl Clock {
    pub(crate) fn new(ahead: i64) -> Arc<Self> {
        Arc::new(Self { system: DefaultSystemClock::new(), floor: AtomicI64::new(i64::MIN), ahead })
    }

    /// Lets the clock show at least `millis` since the Unix epoch from now on.
    pub(crate) fn raise(&self, millis: i64) {
        self.floor.fetch_max(millis, Ordering::SeqCst);
    }
}

impl SystemClock for Clock {
    fn now(&self) -> DateTime<Utc> {
        let now = self.system.now().timestamp_millis().saturating_add(self.ahead);
        let shown = now.max(self.floor.load(Ordering::SeqCst));
        // A stamp beyond chrono's years is damage that the floor has taken from the store.
        DateTime::from_timestamp_millis(shown).unwrap_or_else(|| self.system.now())
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.system.sleep(duration)
    }

    fn ticker<'a>(&'a self, duration: Duration) -> SystemClockTicker<'a> {
        SystemClockTicker::new(self, duration)
    }
}
