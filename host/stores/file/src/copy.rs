//! Copies what counts of some segments into a new one, and goes on writing there.
//!
//! The new segment counts once the record behind the copies is there, and does not exist before
//! that: a copy that fails is removed. The segments that were copied lose their names only after
//! the new one is durable.

use crate::directory::{Directory, File};
use crate::index::changes_of;
use crate::lease::remove;
use crate::location::Location;
use crate::log::{Log, State};
use crate::names::{lease_name, segment_name};
use crate::own::{NotWritten, Own};
use crate::record::{Builder, FLAG_COPIES, FLAG_END};
use crate::records::{Record, Records, Window, replay_bytes_of};
use crate::remedy::reason;
use crate::roll::{begin, switch};
use crate::segment::damaged;
use kvfs_contract::StoreError;

/// Most bytes of one record of copies, unless a single value is longer: a copy holds one in memory.
const MAX_RECORD_BYTES: usize = 1 << 20;

/// Bytes of a segment that are read at once.
pub(crate) const COPY_WINDOW_BYTES: usize = 256 << 10;

/// Copies live entries, and the removals that are still needed, of `victims` and switches to the
/// copy.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if one of them is damaged, [`StoreError::Unavailable`] if it cannot be
/// read: it stays then, and so does the damage, where its checksums find it.
pub(crate) fn copy<D: Directory>(log: &mut Log<D>, victims: &[u64]) -> Result<(), StoreError> {
    let collected = log.list(victims).collected;
    let mut next = begin(log, FLAG_COPIES, victims)?;
    let copied = copy_all(log, &mut next, victims);
    if let Err((StoreError::Corrupt(_) | StoreError::Unavailable(_), epoch)) = copied
        && !log.index.is_damaged()
    {
        log.stays.push(epoch);
    }
    let copied = copied.map_err(|(error, _)| NotWritten::Undone(error)).and_then(|()| {
        let mut end = Builder::new();
        next.finish(&mut end, FLAG_END);
        next.write(end.record()).map(|()| next.accept(end.record()))
    });
    if let Err(not_written) = copied {
        let not_written = match not_written {
            NotWritten::Undone(_) => {
                // Without its end it counts for nobody, and no crash gives it one.
                let _ = remove(&log.directory, &segment_name(next.lease.epoch));
                let _ = remove(&log.directory, &lease_name(next.lease.epoch));
                not_written
            }
            NotWritten::InDoubt => NotWritten::Unknown("it is unknown whether a copy ended".into()),
            NotWritten::Unknown(_) => not_written,
        };
        return Err(log.state.after(not_written));
    }
    switch(log, next)?;
    if let Err(error) = move_to_copies(log) {
        // The victims stay readable: some keys are still looked for there.
        let why = reason(error.clone());
        log.state = State::Broken(format!("a copy was not read back ({why}); open the store anew"));
        return Err(error);
    }
    log.emptied.extend_from_slice(victims);
    log.drop_emptied();
    log.collected = collected;
    Ok(())
}

/// Makes the index name the copies, which are found by reading them again: they are many, and memory
/// is short.
fn move_to_copies<D: Directory>(log: &mut Log<D>) -> Result<(), StoreError> {
    let mut copies = log.own.records();
    while let Some(record) = copies.next()? {
        log.replay_bytes += replay_bytes_of(record.header.record_bytes(), record.index.len());
        if record.has_changes() {
            log.index.move_to(&record)?;
        }
    }
    match copies.offset() {
        end if end == log.own.end => Ok(()),
        end => Err(damaged(log.own.lease.epoch, end)),
    }
}

/// Copies all victims. An error comes with the victim's epoch.
fn copy_all<D: Directory>(
    log: &Log<D>,
    next: &mut Own<D::File>,
    victims: &[u64],
) -> Result<(), (StoreError, u64)> {
    let own = (log.own.lease.epoch, &log.own.file, log.own.end, log.own.salt);
    let older = log.older.iter().map(|older| (older.epoch, &older.file, older.accepted_bytes, older.salt));
    let all = older.chain([own]).filter(|(epoch, ..)| victims.contains(epoch));
    let mut builder = Builder::new();
    let mut window = Window::default();
    for (epoch, file, accepted_bytes, salt) in all {
        let keeps_removals = hides_older(log, epoch, victims);
        let part = 0..accepted_bytes;
        let mut records = Records::with_window(file, epoch, part, Some(salt), window, COPY_WINDOW_BYTES);
        copy_segment(log, next, &mut builder, &mut records, keeps_removals)
            .and_then(|()| match records.offset() {
                end if end == accepted_bytes => Ok(()),
                end => Err(damaged(epoch, end)),
            })
            .map_err(|error| (error, epoch))?;
        window = records.into_window();
        window.clear();
    }
    flush(next, &mut builder).map_err(|error| (error, next.lease.epoch))
}

/// Returns whether a removal in a segment must stay because an older one may have the key, unless it
/// is among those that go.
pub(crate) fn hides_older<D: Directory>(log: &Log<D>, epoch: u64, going: &[u64]) -> bool {
    let goes = |of: u64| going.contains(&of) || log.emptied.contains(&of);
    log.older.iter().map(|older| older.epoch).any(|older| older < epoch && !goes(older))
}

fn copy_segment<D: Directory>(
    log: &Log<D>,
    next: &mut Own<D::File>,
    builder: &mut Builder,
    records: &mut Records<'_, D::File>,
    keeps_removals: bool,
) -> Result<(), StoreError> {
    while let Some(record) = records.next()? {
        live_changes(log, records, &record, keeps_removals, |key, value| {
            if builder.size_bytes() + key.len() + value.map_or(0, <[u8]>::len) > MAX_RECORD_BYTES {
                flush(next, builder)?;
            }
            builder.push(key, value);
            Ok(())
        })?;
    }
    Ok(())
}

/// Calls `push` with each change of a record that still counts.
///
/// # Errors
///
/// Those of `push`, and [`StoreError::Corrupt`] if a value counts and the record's values are
/// damaged.
pub(crate) fn live_changes<D: Directory>(
    log: &Log<D>,
    records: &mut Records<'_, D::File>,
    record: &Record,
    keeps_removals: bool,
    mut push: impl FnMut(&[u8], Option<&[u8]>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if !record.has_changes() {
        return Ok(());
    }
    let epoch = record.header.epoch;
    let mut counting = Vec::new();
    let mut at = 0;
    for (key, length) in changes_of(record)? {
        let Some(length) = length else {
            // A later put of the key is in a later segment, and hides older ones itself.
            if keeps_removals && log.index.find(key)?.is_none() {
                counting.push((key, None));
            }
            continue;
        };
        let offset = record.values_at() + at as u64;
        let from = at;
        at += length as usize;
        if log.index.find(key)? == Some(Location { epoch, offset, length }) {
            counting.push((key, Some(from..at)));
        }
    }
    if counting.iter().all(|(_, value)| value.is_none()) {
        return counting.into_iter().try_for_each(|(key, _)| push(key, None));
    }
    let values = records.values(record)?.ok_or_else(|| damaged(epoch, record.values_at()))?;
    for (key, value) in counting {
        let value = value.map(|value| {
            // The values are as long as the changes say.
            values.get(value).ok_or_else(|| damaged(epoch, record.values_at()))
        });
        push(key, value.transpose()?)?;
    }
    Ok(())
}

fn flush<F: File>(next: &mut Own<F>, builder: &mut Builder) -> Result<(), StoreError> {
    if builder.is_empty() {
        return Ok(());
    }
    next.finish(builder, 0);
    let record = builder.record();
    next.file.write(next.end, record).map_err(|error| error.at(&segment_name(next.lease.epoch)))?;
    next.accept(record);
    builder.clear();
    Ok(())
}
