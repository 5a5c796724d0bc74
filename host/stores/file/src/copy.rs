//! Copies what counts of some segments into a new one, and goes on writing there.
//!
//! The new segment counts once the record behind the copies is there, and does not exist before
//! that: a copy that fails is removed. The segments that were copied lose their names only after
//! the new one is durable.

use crate::chain::Older;
use crate::directory::{Directory, File};
use crate::index::changes_of;
use crate::lease::remove;
use crate::location::Location;
use crate::log::{Log, Retired, State};
use crate::names::{Name, lease_name, segment_name};
use crate::own::{NotWritten, Own};
use crate::record::{Builder, FLAG_COPIES, FLAG_END};
use crate::records::{Record, Records, replay_bytes_of};
use crate::remedy::reason;
use crate::roll::{begin, switch};
use crate::segment::damaged;
use kvfs_contract::StoreError;

/// Most bytes of one record of copies, unless a single value is longer: a copy holds one in memory.
const MAX_RECORD_BYTES: usize = 1 << 20;

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
        let end = next.finish(Builder::new(), FLAG_END);
        next.write(&end).map(|()| next.accept(&end))
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
    log.collected = collected;
    let (victims, kept): (Vec<Older<D::File>>, _) =
        std::mem::take(&mut log.older).into_iter().partition(|older| victims.contains(&older.epoch));
    log.older = kept;
    for victim in victims {
        log.index.usage.forget(victim.epoch);
        log.retired.push(Retired { name: Name::Segment(victim.epoch), bytes: victim.accepted_bytes });
    }
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
    let all: Vec<_> = older.chain([own]).collect();
    let oldest_kept = all.iter().map(|(epoch, ..)| *epoch).find(|epoch| !victims.contains(epoch));
    let mut builder = Builder::new();
    for &(epoch, file, accepted_bytes, salt) in all.iter().filter(|(epoch, ..)| victims.contains(epoch)) {
        let keeps_removals = oldest_kept.is_some_and(|oldest| oldest < epoch);
        let mut records = Records::new(file, epoch, 0, accepted_bytes, Some(salt));
        copy_segment(log, next, &mut builder, &mut records, file, keeps_removals)
            .and_then(|()| match records.offset() {
                end if end == accepted_bytes => Ok(()),
                end => Err(damaged(epoch, end)),
            })
            .map_err(|error| (error, epoch))?;
    }
    flush(next, &mut builder).map_err(|error| (error, next.lease.epoch))
}

fn copy_segment<D: Directory>(
    log: &Log<D>,
    next: &mut Own<D::File>,
    builder: &mut Builder,
    records: &mut Records<'_, D::File>,
    file: &D::File,
    keeps_removals: bool,
) -> Result<(), StoreError> {
    while let Some(record) = records.next()? {
        if record.has_changes() {
            copy_record(log, next, builder, &record, file, keeps_removals)?;
        }
    }
    Ok(())
}

/// Copies what counts of a record.
fn copy_record<D: Directory>(
    log: &Log<D>,
    next: &mut Own<D::File>,
    builder: &mut Builder,
    record: &Record,
    file: &D::File,
    keeps_removals: bool,
) -> Result<(), StoreError> {
    let epoch = record.header.epoch;
    let mut values = None;
    let mut at = 0;
    for (key, length) in changes_of(record)? {
        let Some(length) = length else {
            // A later put of the key is in a later segment, and hides older ones itself.
            if keeps_removals && log.index.find(key)?.is_none() {
                make_room(next, builder, key.len())?;
                builder.push(key, None);
            }
            continue;
        };
        let offset = record.values_at() + at as u64;
        let from = at;
        at += length as usize;
        if log.index.find(key)? != Some(Location { epoch, offset, length }) {
            continue;
        }
        let values = match &values {
            Some(values) => values,
            None => {
                let whole = record.values(file)?.ok_or_else(|| damaged(epoch, record.values_at()))?;
                values.insert(whole)
            }
        };
        // The values are as long as the changes say.
        let value = values.get(from..at).ok_or_else(|| damaged(epoch, record.values_at()))?;
        make_room(next, builder, key.len() + value.len())?;
        builder.push(key, Some(value));
    }
    Ok(())
}

/// Writes the record in the making if so much more would make it too long.
fn make_room<F: File>(next: &mut Own<F>, builder: &mut Builder, bytes: usize) -> Result<(), StoreError> {
    if builder.size_bytes() + bytes > MAX_RECORD_BYTES { flush(next, builder) } else { Ok(()) }
}

fn flush<F: File>(next: &mut Own<F>, builder: &mut Builder) -> Result<(), StoreError> {
    if builder.is_empty() {
        return Ok(());
    }
    let record = next.finish(std::mem::replace(builder, Builder::new()), 0);
    next.file.write(next.end, &record).map_err(|error| error.at(&segment_name(next.lease.epoch)))?;
    next.accept(&record);
    Ok(())
}
