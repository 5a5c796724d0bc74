//! Times that hold on a loaded machine.

use std::time::{Duration, Instant};

/// Longest time of a call that must end by itself. A loaded machine meets it, and it is shorter than
/// the 30 seconds for which stores wait unless they are told otherwise.
pub const SOON: Duration = Duration::from_secs(20);

/// Longest wait for a state that is sure to come. A server may have to replay its log meanwhile.
const LONGEST: Duration = Duration::from_secs(60);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until a state is there.
///
/// # Panics
/// If it is not there after a minute. The message is `what`.
pub fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(wait_up_to(LONGEST, is_so), "{what}: not so after {} s", LONGEST.as_secs());
}

/// Waits until a state is there, but no longer than that. Returns whether it is there.
pub(crate) fn wait_up_to(longest: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() >= longest {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}
