//! What `kvfs run` lets a guest use of time, memory and fuel, and how it ends beyond that.

use super::warn;
use crate::Bounds;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;
use wasmtime::{Config, Engine, Trap};

/// Exit code after --timeout: that of timeout(1).
const TIMED_OUT: u8 = 124;

/// Exit code for a guest that could not go on for want of memory: what a shell shows for a program that a machine
/// without memory kills.
const OUT_OF_MEMORY: u8 = 137;

/// Exit code after --max-fuel: what a shell shows for a program that used up its processor time.
const OUT_OF_FUEL: u8 = 152;

/// How long a guest that is out of time may stay in a call of the host, which cannot be interrupted.
const GRACE: Duration = Duration::from_secs(1);

/// Has guests compiled so that the bounds can be kept. Without bounds they are faster.
pub(super) fn configure(config: &mut Config, bounds: &Bounds) {
    config.epoch_interruption(bounds.timeout.is_some());
    config.consume_fuel(bounds.max_fuel.is_some());
}

/// Ends the guest when its time is over; dropped, it lets it run.
pub(super) struct Watchdog(
    #[allow(dead_code, reason = "dropped to tell that the guest has ended")] Sender<()>,
);

impl Watchdog {
    pub(super) fn start(engine: &Engine, limit: Duration, guest: String) -> Self {
        let (ended, watched) = channel::<()>();
        let engine = engine.clone();
        thread::spawn(move || {
            if watched.recv_timeout(limit) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            // The guest traps at its next loop or call.
            engine.increment_epoch();
            if watched.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
                // The guest may be writing to standard error, where nobody reads.
                let (told, telling) = channel::<()>();
                thread::spawn(move || {
                    warn(format_args!("{guest}: {}", out_of_time(limit)));
                    drop(told);
                });
                let _ = telling.recv_timeout(GRACE);
                // This closes the stores in order, as every exit does.
                std::process::exit(TIMED_OUT.into());
            }
        });
        Watchdog(ended)
    }
}

/// Returns what to say of a guest that a bound has ended, and the exit code; `None` if something else has.
pub(super) fn ended_by(
    bounds: &Bounds,
    trap: Option<&Trap>,
    refused_memory: bool,
) -> Option<(String, ExitCode)> {
    let (why, code) = match (trap, bounds) {
        (Some(Trap::Interrupt), Bounds { timeout: Some(limit), .. }) => (out_of_time(*limit), TIMED_OUT),
        (Some(Trap::OutOfFuel), Bounds { max_fuel: Some(fuel), .. }) => {
            (format!("ended after {fuel} units of fuel (--max-fuel); {KEPT}"), OUT_OF_FUEL)
        }
        (_, Bounds { max_memory: Some(size), .. }) if refused_memory => {
            (format!("could not go on with {} bytes of memory (--max-memory); {KEPT}", size.0), OUT_OF_MEMORY)
        }
        _ => return None,
    };
    Some((why, ExitCode::from(code)))
}

const KEPT: &str = "what it had stored is kept";

fn out_of_time(limit: Duration) -> String {
    format!("ended after {} (--timeout); {KEPT}", humantime::format_duration(limit))
}
