//! Unmounts on an interrupt.

use anyhow::{Context, Result};
use kvfs_mount::Unmounter;
use std::sync::{Arc, Mutex, PoisonError};

/// Exit code after an interrupt: what a shell shows for a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// What interrupts do.
pub(super) struct Interrupts(Arc<Mutex<Option<Unmounter>>>);

/// Makes `SIGINT`, `SIGTERM` and `SIGHUP` unmount, once there is something to unmount. Before that, and for
/// the second time, they exit the process: `kvfs_host` then commits what the open stores were given.
pub(super) fn watch() -> Result<Interrupts> {
    let unmounter = Arc::new(Mutex::new(None::<Unmounter>));
    let taken = Arc::clone(&unmounter);
    ctrlc::set_handler(move || {
        match taken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The command ends when the mount has: it tries again to unmount what still lies there, and
            // tells if that fails.
            Some(unmounter) => {
                let _ = unmounter.unmount();
            }
            None => std::process::exit(INTERRUPTED),
        }
    })
    .context("cannot watch for interrupts")?;
    Ok(Interrupts(unmounter))
}

impl Interrupts {
    /// Makes the next interrupt unmount.
    pub(super) fn unmount_by(&self, unmounter: Unmounter) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(unmounter);
    }
}
