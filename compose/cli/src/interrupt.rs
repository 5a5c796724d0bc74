//! Interrupts: the command ends in order, with its stores closed.

use anyhow::{Context, Result};

/// Exit code after an interrupt: what a shell shows for a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Has an interrupt (`SIGINT`, `SIGTERM`, `SIGHUP`) end the command as any other end does: `kvfs_host` stores what the
/// open stores were given and closes them when the process exits, and says if that fails.
pub(super) fn end_in_order() -> Result<()> {
    ctrlc::set_handler(|| std::process::exit(INTERRUPTED)).context("cannot watch for interrupts")
}
