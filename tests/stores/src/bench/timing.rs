//! Times of calls.

use std::time::Instant;

use anyhow::Result;

/// Returns what `call` returns and how many microseconds it took.
pub(super) fn micros<R>(call: impl FnOnce() -> Result<R>) -> Result<(R, f64)> {
    let start = Instant::now();
    let result = call()?;
    Ok((result, start.elapsed().as_secs_f64() * 1e6))
}
