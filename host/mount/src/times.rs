//! Times of the volume and of the kernel.

use fuser::TimeOrNow;
use kvfs::{SetTime, Timestamp};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns a time of the volume for the kernel. One that the system cannot express is its epoch.
pub(crate) fn shown(time: Timestamp) -> SystemTime {
    let whole = Duration::from_secs(time.seconds.unsigned_abs());
    let second = match time.seconds {
        0.. => UNIX_EPOCH.checked_add(whole),
        _ => UNIX_EPOCH.checked_sub(whole),
    };
    let part = Duration::from_nanos(u64::from(time.nanoseconds));
    second.and_then(|second| second.checked_add(part)).unwrap_or(UNIX_EPOCH)
}

/// Returns how the kernel asks for a time to be set.
pub(crate) fn asked(time: Option<TimeOrNow>) -> SetTime {
    match time {
        None => SetTime::Keep,
        Some(TimeOrNow::Now) => SetTime::Now,
        Some(TimeOrNow::SpecificTime(time)) => SetTime::At(stamp(time)),
    }
}

/// Returns a time that `fuser` made of the kernel's seconds and nanoseconds. Before 1970 it subtracts the
/// nanoseconds, which the kernel counts forward: that is undone here.
fn stamp(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since.subsec_nanos(),
        },
        Err(before) => Timestamp {
            seconds: 0_i64.saturating_sub_unsigned(before.duration().as_secs()),
            nanoseconds: before.duration().subsec_nanos(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_ages_can_be_shown() {
        let time = |seconds, nanoseconds| shown(Timestamp { seconds, nanoseconds });
        assert_eq!(time(1, 5), UNIX_EPOCH + Duration::new(1, 5));
        assert_eq!(time(-2, 800_000_000), UNIX_EPOCH - Duration::from_millis(1200));
        for seconds in [i64::MIN, i64::MIN + 1, i64::MAX] {
            let _ = time(seconds, 999_999_999);
        }
    }
}
