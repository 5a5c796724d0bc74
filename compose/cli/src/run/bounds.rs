//! Bounds on a guest's time, memory and fuel, and how a guest beyond them ends.

use crate::parse::parse_time;
use crate::terminal::warn;
use clap::Args;
use kvfs_compose::ByteSize;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;
use wasmtime::{Config, Engine, Trap};

// No doc comment: clap would take it for the command's.
#[derive(Args)]
pub(super) struct Bounds {
    /// Ends the guest after a time, such as 500ms, 30s or 5m; a number alone is seconds. The exit
    /// code is then 124.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(super) timeout: Option<Duration>,
    /// Limits the memory of the guest and the file system beside it together, such as 256M. Beyond
    /// it, the guest is told that there is no memory; if it cannot go on, the exit code is 137.
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| text.parse::<ByteSize>())]
    pub(super) max_memory: Option<ByteSize>,
    /// Ends the guest after this many units of fuel, about one for each instruction. The same run
    /// takes the same fuel on every machine. The exit code is then 152.
    #[arg(long, value_name = "UNITS")]
    pub(super) max_fuel: Option<u64>,
}

/// Exit code after --timeout: that of timeout(1).
const TIMED_OUT: u8 = 124;

/// Exit code for a guest that could not go on without more memory: what a shell shows for a program
/// killed because the machine has no memory left.
const OUT_OF_MEMORY: u8 = 137;

/// Exit code after --max-fuel: what a shell shows for a program that has used up its processor
/// time.
const OUT_OF_FUEL: u8 = 152;

/// Time that a guest may spend, after its own is over, in a call of the host: such a call cannot be
/// interrupted.
const GRACE: Duration = Duration::from_secs(1);

/// Compiles guests with the checks that the bounds need, and no others: they cost time.
pub(super) fn configure(config: &mut Config, bounds: &Bounds) {
    config.epoch_interruption(bounds.timeout.is_some());
    config.consume_fuel(bounds.max_fuel.is_some());
}

/// Ends the guest when its time is over, unless dropped before.
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
        Self(ended)
    }
}

/// Returns the message and the exit code for a guest that a bound has ended; `None` if something
/// else has.
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
