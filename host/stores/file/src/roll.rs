//! The next segment: a writer goes on in a new one when its own is long enough.
//!
//! The new segment has an epoch of its own, claimed like an opener's, so readers find it by the
//! same rules. Nothing is made durable here, so that streams of writes do not wait for the disk.

use crate::chain::Older;
use crate::directory::Directory;
use crate::lease::{Lease, remove};
use crate::list::List;
use crate::log::{Log, State};
use crate::names::{MAX_EPOCH, lease_name, segment_name};
use crate::own::{NotBegun, Own};
use crate::remedy::reason;
use crate::reserve;
use crate::usage::Used;
use kvfs_contract::StoreError;

/// Growth of the own segment after which a roll that failed is tried again.
const RETRY_BYTES: u64 = 1 << 20;

/// Most bytes that are not known to be durable after a roll: an opener reads their values.
const MAX_NOT_DURABLE_BYTES: u64 = 512 << 20;

/// Divides the live bytes into so many segments: fewer files, or shorter copies.
const SEGMENTS: u64 = 32;

/// Returns the size at which a segment ends.
pub(crate) fn segment_bytes<D: Directory>(log: &Log<D>) -> u64 {
    let least = log.options.min_segment_bytes;
    (log.index.usage.live_bytes() / SEGMENTS).min(log.options.max_segment_bytes).max(least)
}

/// Begins the next segment if the own one is long enough.
///
/// A failure leaves the store as it was, or takes its right to write; the next call says so.
pub(crate) fn if_due<D: Directory>(log: &mut Log<D>) {
    let long = log.own.end - log.own.start_bytes >= segment_bytes(log);
    let due = long && log.own.end >= log.roll_at_bytes;
    if !due || log.full_until_live_bytes.is_some() {
        return;
    }
    match roll(log) {
        Ok(()) => {
            log.roll_at_bytes = 0;
            keep_reserve(log);
        }
        Err(_) => log.roll_at_bytes = log.own.end + RETRY_BYTES,
    }
}

/// Makes the reserve as large as the live bytes ask for.
pub(crate) fn keep_reserve<D: Directory>(log: &mut Log<D>) {
    let size_bytes = reserve::size_for(log.index.usage.live_bytes(), log.options.reserve_bytes);
    let is_about_right = size_bytes <= log.reserve_bytes + log.reserve_bytes / 4;
    if log.reserve_is_kept && is_about_right && size_bytes > log.reserve_bytes / 2 {
        return;
    }
    reserve::keep(&log.directory, size_bytes);
    (log.reserve_bytes, log.reserve_is_kept) = (size_bytes, true);
}

/// Begins the next segment.
pub(crate) fn roll<D: Directory>(log: &mut Log<D>) -> Result<(), StoreError> {
    let next = begin(log, 0, &[])?;
    switch(log, next)?;
    log.sync_oldest(MAX_NOT_DURABLE_BYTES)
}

/// Claims the next epoch and begins its segment, with a list without some of the segments.
pub(crate) fn begin<D: Directory>(
    log: &mut Log<D>,
    flags: u32,
    without: &[u64],
) -> Result<Own<D::File>, StoreError> {
    let lease = claim(log)?;
    let list = log.list(without);
    begin_with(log, lease, &list, flags)
}

/// Claims the next epoch.
pub(crate) fn claim<D: Directory>(log: &mut Log<D>) -> Result<Lease<D::File>, StoreError> {
    let epoch = log.own.lease.epoch + 1;
    if epoch > MAX_EPOCH {
        return Err(StoreError::Unavailable("there are no more numbers for segments".into()));
    }
    // What may be left at the own end of a record that was not acknowledged must not come back if
    // the next segment turns out void.
    if let Err(not_written) = log.own.clear_leftover() {
        return Err(log.state.after(not_written));
    }
    match Lease::claim(&log.directory, epoch)? {
        Some(lease) => Ok(lease),
        None => {
            log.state = State::Fenced(None);
            Err(StoreError::AccessDenied)
        }
    }
}

/// Begins the segment of a lease. The lease is gone after an error.
pub(crate) fn begin_with<D: Directory>(
    log: &mut Log<D>,
    lease: Lease<D::File>,
    list: &List,
    flags: u32,
) -> Result<Own<D::File>, StoreError> {
    let epoch = lease.epoch;
    Own::begin(&log.directory, lease, list, flags).map_err(|not_begun| {
        let _ = remove(&log.directory, &lease_name(epoch));
        match not_begun {
            NotBegun::Exists => number_is_taken(log, &segment_name(epoch)),
            NotBegun::Undone(error) => error,
            NotBegun::Unknown(error) => {
                let why = reason(error.clone());
                log.state = State::Broken(format!("a segment was not begun ({why}); open the store anew"));
                error
            }
        }
    })
}

/// Gives the store up to whoever comes next, because the next number has files already that could
/// not be removed. The next change opens the store anew with a greater number.
pub(crate) fn number_is_taken<D: Directory>(log: &mut Log<D>, name: &str) -> StoreError {
    log.state = State::Fenced(None);
    StoreError::Unavailable(format!("{name} is there already"))
}

/// Goes on in another segment, whose start is there whole.
pub(crate) fn switch<D: Directory>(log: &mut Log<D>, next: Own<D::File>) -> Result<(), StoreError> {
    match next.lease.is_held() {
        Ok(true) => {}
        Ok(false) => {
            log.state = State::Fenced(None);
            return Err(StoreError::AccessDenied);
        }
        Err(error) => {
            // Another opener may build on the new segment, so there is no way back.
            let why = reason(error.clone());
            log.state = State::Broken(format!("a lease could not be looked at ({why}); open the store anew"));
            return Err(error);
        }
    }
    if let Err(error) = log.own.lease.give_up(&log.directory) {
        // Others would go on reading the own segment, and miss what comes in the new one.
        let why = reason(error.clone());
        log.state = State::Broken(format!("a lease was not given up ({why}); open the store anew"));
        return Err(error);
    }
    let own = std::mem::replace(&mut log.own, next);
    log.new_names = true;
    log.retired.append(&mut log.unused);
    log.collect_at_activity = 0;
    log.index.usage.enter(log.own.lease.epoch, Used::default());
    log.older.push(Older {
        epoch: own.lease.epoch,
        file: own.file,
        accepted_bytes: own.end,
        durable_bytes: own.synced_to,
        salt: own.salt,
    });
    log.drop_emptied();
    Ok(())
}
