//! The exit codes of fsck(8). A sound store gives 0; of several volumes, the highest code counts.

use super::volumes::Done;

/// Everything that was wrong has been repaired.
pub(super) const REPAIRED: u8 = 1;
/// Something is wrong, and still is.
pub(super) const UNSOUND: u8 = 4;
/// Something could not be checked or repaired.
pub(super) const FAILED: u8 = 8;

/// The exit code, if some volumes could not be checked.
pub(super) fn worst<T>(done: &Done<T>, code: u8) -> u8 {
    if done.failed.is_empty() { code } else { FAILED }
}
