//! Ends the command in order on an interrupt.

use anyhow::{Context, Result};

/// Exit code after an interrupt: what a shell shows for a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Makes `SIGINT`, `SIGTERM` and `SIGHUP` exit the process. At every exit, `kvfs_host` commits what
/// the open stores were given, closes them, and says if that fails.
pub(crate) fn end_in_order() -> Result<()> {
    ctrlc::set_handler(|| std::process::exit(INTERRUPTED)).context("cannot watch for interrupts")
}
