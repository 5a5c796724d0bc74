//! The clock of a database: the stamps of its writes, and the pace of its looks for work.

use chrono::{DateTime, Utc};
use slatedb_common::clock::{DefaultSystemClock, SystemClock, SystemClockTicker};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How often an idle database looks for work: tables to be merged, and merged ones. Each look is a
/// list.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// How often a database looks while tables wait to be merged. A stream would wait for its looks.
const BUSY_LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The system's clock, held at a floor while it is behind. Its tickers of [`LOOK_INTERVAL`] tick
/// earlier while the database is busy.
///
/// SlateDB stamps each write and ends a database whose clock is more than ten seconds behind the
/// newest stamp. The host before this one may have had a faster clock. The stamps matter to expiry
/// alone, which this store does not use.
#[derive(Debug)]
pub(crate) struct Clock {
    stamps: Arc<Stamps>,
    looks: Looks,
}

impl Clock {
    pub(crate) fn new(ahead: i64) -> Arc<Self> {
        let system = DefaultSystemClock::new();
        let stamps = Arc::new(Stamps { system, floor: AtomicI64::new(i64::MIN), ahead });
        let looks = Looks { stamps: stamps.clone(), busy: watch::Sender::new(false) };
        Arc::new(Self { stamps, looks })
    }

    /// Lets the clock show at least `millis` since the Unix epoch from now on.
    pub(crate) fn raise(&self, millis: i64) {
        self.stamps.floor.fetch_max(millis, Ordering::SeqCst);
    }

    /// Says whether tables wait to be merged.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.looks.busy.send_if_modified(|was| std::mem::replace(was, busy) != busy);
    }
}

impl SystemClock for Clock {
    fn now(&self) -> DateTime<Utc> {
        self.stamps.now()
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.stamps.sleep(duration)
    }

    fn ticker<'a>(&'a self, duration: Duration) -> SystemClockTicker<'a> {
        // No other wait may end early: it may be the time that a request has.
        if duration == LOOK_INTERVAL {
            SystemClockTicker::new(&self.looks, duration)
        } else {
            SystemClockTicker::new(&*self.stamps, duration)
        }
    }
}

/// The time that the clock shows.
#[derive(Debug)]
struct Stamps {
    system: DefaultSystemClock,
    /// Milliseconds since the Unix epoch.
    floor: AtomicI64,
    /// Milliseconds added to the system's time: tests simulate other hosts' clocks.
    ahead: i64,
}

impl SystemClock for Stamps {
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

/// The clock of tickers whose waits end early.
#[derive(Debug)]
struct Looks {
    stamps: Arc<Stamps>,
    busy: watch::Sender<bool>,
}

impl SystemClock for Looks {
    fn now(&self) -> DateTime<Utc> {
        self.stamps.now()
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let mut busy = self.busy.subscribe();
        Box::pin(async move {
            let hurried = async {
                // An error would say that the sender is gone, which `self` has.
                let _ = busy.wait_for(|busy| *busy).await;
                self.stamps.sleep(duration.min(BUSY_LOOK_INTERVAL)).await;
            };
            tokio::select! {
                () = self.stamps.sleep(duration) => {}
                () = hurried => {}
            }
        })
    }

    fn ticker<'a>(&'a self, duration: Duration) -> SystemClockTicker<'a> {
        SystemClockTicker::new(self, duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Returns how long the second tick of a ticker takes.
    async fn second_tick(clock: &Clock, duration: Duration) -> Duration {
        let mut ticker = clock.ticker(duration);
        ticker.tick().await;
        let begun = Instant::now();
        let _ = tokio::time::timeout(Duration::from_secs(2), ticker.tick()).await;
        begun.elapsed()
    }

    #[tokio::test]
    async fn looks_come_early_only_while_there_is_work_and_nothing_else_does() {
        let clock = Clock::new(0);
        let early = Duration::from_millis(1500);
        assert!(second_tick(&clock, LOOK_INTERVAL).await > early, "it is idle");
        clock.set_busy(true);
        assert!(second_tick(&clock, LOOK_INTERVAL).await < early);
        assert!(second_tick(&clock, LOOK_INTERVAL * 2).await > early, "another ticker");
        let slept = tokio::time::timeout(early, clock.sleep(LOOK_INTERVAL)).await;
        assert!(slept.is_err(), "a wait that is no look");
        clock.set_busy(false);
        assert!(second_tick(&clock, LOOK_INTERVAL).await > early, "it is idle again");
    }

    #[tokio::test]
    async fn work_that_comes_during_a_wait_ends_it() {
        let clock = Clock::new(0);
        let (waited, ()) = tokio::join!(second_tick(&clock, LOOK_INTERVAL), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            clock.set_busy(true);
        });
        assert!(waited < Duration::from_millis(1500), "{waited:?}");
    }
}
