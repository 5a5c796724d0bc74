//! `delayed:TIME+URL`: another store, as if it were far away.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use kvfs_contract::AsyncKvStore;
use kvfs_remote::testing::Delayed;

use super::Asked;
use crate::any_store::AnyStore;
use crate::below::Below;
use crate::{Durability, Entry, Guard, Limits, Mutation, OpenError, StoreError};

/// Longest round trip: longer ones are typing errors.
const MAX_DELAY: Duration = Duration::from_secs(60);

pub(super) fn open(
    asked: &Asked<'_>,
    open_within: &dyn Fn(&str) -> Result<AnyStore, OpenError>,
) -> Result<AnyStore, OpenError> {
    let no_delay = || asked.failed("it has the form delayed:TIME+URL, such as delayed:1ms+file:DIR");
    let (delay, url) = asked.rest.split_once('+').ok_or_else(no_delay)?;
    let delay = parse(delay).ok_or_else(no_delay)?;
    let within = open_within(url)?;
    asked.reach(async { Ok::<_, Infallible>(Delayed::new(Within(Below(within)), delay)) })
}

/// Parses a time such as `250us`, `1ms` or `2s`.
fn parse(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let number = number.parse().ok()?;
    let delay = match unit {
        "us" => Duration::from_micros(number),
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => return None,
    };
    (delay <= MAX_DELAY).then_some(delay)
}

/// The store that is not far away, which is closed with the one in front of it.
struct Within(Below<AnyStore>);

impl AsyncKvStore for Within {
    type Bytes = Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        self.0.limits().await
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.0.get(keys).await
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.0.scan(start, end, max_entries, max_bytes).await
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<'a>],
        mutations: &'a [Mutation<'a>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.0.apply(guards, mutations, level).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.0.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(parse("250us"), Some(Duration::from_micros(250)));
        assert_eq!(parse("0ms"), Some(Duration::ZERO));
        assert_eq!(parse("2s"), Some(Duration::from_secs(2)));
        for wrong in ["", "1", "ms", "1m", "1.5ms", "-1ms", "61s", "99999999999999999999us"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
