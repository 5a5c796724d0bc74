//! Finds the end of a segment's valid part.

use crate::directory::{Directory, File, IoKind};
use crate::list::List;
use crate::mark::Mark;
use crate::names::segment_name;
use crate::record::{
    FLAG_COPIES, FLAG_END, FLAG_LIST, FLAG_SALT, FLAG_SNAPSHOT, FLAG_START, HEADER_BYTES, Header,
};
use crate::records::{Record, Records, WINDOW_BYTES};
use crate::salt::{SALT_BYTES, Salt};
use kvfs_contract::StoreError;

/// A segment whose end no later segment states.
pub(crate) struct Head {
    /// What its start lists.
    pub(crate) list: List,
    /// The end of its valid part.
    pub(crate) end: u64,
    /// Up to where it declares itself durable. With more than nothing, it declares all segments
    /// that it lists durable too.
    pub(crate) durable_to: u64,
    pub(crate) salt: Salt,
}

/// Reads a segment whose end is unknown: its writer was replaced, killed or struck by a crash.
///
/// The valid part ends before the first record that is not whole. Returns `None` if the start
/// itself is not whole, or copied records have no end: the segment does not count then. `salt_left`
/// finds its salt, which behind a damaged start tells records from values.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if bytes are missing that a later record or a note declares durable.
pub(crate) fn read_head<F: File>(
    file: &F,
    epoch: u64,
    salt_left: impl FnOnce() -> Result<Option<Salt>, StoreError>,
) -> Result<Option<Head>, StoreError> {
    let name = segment_name(epoch);
    let size = file.status().map_err(|error| error.at(&name))?.size_bytes;
    let mut records = Records::new(file, epoch, 0, size, None);
    let (mut start, mut ended_at, mut durable_to) = (None, None, 0);
    while let Some(record) = records.next()? {
        durable_to = durable_to.max(record.header.synced_to);
        if record.header.flags & FLAG_END != 0 {
            ended_at = ended_at.or(Some(record.end()));
        }
        if record.offset == 0 {
            // Before anything of it is taken for damage.
            refuse_newer_form(&record)?;
            start = Some(record);
        }
    }
    let whole_to = records.offset();
    let salt = match records.salt() {
        Some(salt) => Some(salt),
        None => salt_left()?,
    };
    // Without a salt nobody can tell anything of what is there.
    let Some(salt) = salt else { return Ok(None) };
    let note = size.saturating_sub(whole_to).min(HEADER_BYTES as u64) as usize;
    let note = file.read(whole_to, note).map_err(|error| error.at(&name))?;
    if let Some(note) = Header::read(&note, whole_to, salt).filter(|header| header.epoch == epoch) {
        durable_to = durable_to.max(note.synced_to);
    }
    // Durable records are whole. The values of the others are checked: a crash keeps any part of
    // them.
    let valid_to = if durable_to < whole_to {
        whole_to_with_values(file, epoch, durable_to, whole_to, salt)?
    } else {
        whole_to
    };
    if durable_to > valid_to
        || valid_to < size
            && durable_further_on(file, epoch, valid_to, size, salt)?.is_some_and(|to| to > valid_to)
    {
        return Err(damaged(epoch, valid_to));
    }
    let Some(start) = start.filter(|start| start.header.flags & FLAG_START != 0 && start.end() <= valid_to)
    else {
        return Ok(None);
    };
    let needs_end = start.header.flags & (FLAG_SNAPSHOT | FLAG_COPIES) != 0;
    if needs_end && ended_at.is_none_or(|end| end > valid_to) {
        return Ok(None);
    }
    let list = list_of(&start).ok_or_else(|| {
        StoreError::Corrupt(format!("{name}: the list of segments in its first record is none"))
    })?;
    Ok(Some(Head { list, end: valid_to, durable_to, salt }))
}

/// Returns the salt of a segment whose start is damaged: as its mark has it, or as what is left of
/// the start does. A wrong one makes a record of nothing. Whether the segment is of a form without
/// salts, what is left of its header says, or else the next older segment. The first opener that
/// gives segments salts makes its start durable, so only damage takes that.
///
/// `epochs` are those of the segments in the directory, ascending.
pub(crate) fn salt_left<D: Directory>(
    directory: &D,
    file: &D::File,
    epoch: u64,
    epochs: &[u64],
    marks: &[Mark],
) -> Result<Option<Salt>, StoreError> {
    if let Some(mark) = marks.iter().find(|mark| mark.epoch == epoch) {
        return Ok(Some(mark.salt));
    }
    let start = |file: &D::File, epoch| {
        let start = file.read(0, HEADER_BYTES + SALT_BYTES);
        start.map_err(|error| error.at(&segment_name(epoch)))
    };
    let left = start(file, epoch)?;
    let salt = left.get(HEADER_BYTES..).and_then(|rest| rest.first_chunk());
    let salt = salt.map(|&bytes| Salt::from_bytes(bytes)).filter(|&salt| salt != Salt::NONE);
    let choose = |flags: u32| if flags & FLAG_SALT == 0 { Some(Salt::NONE) } else { salt };
    if let Some(flags) = Header::flags_left(&left) {
        return Ok(choose(flags));
    }
    for &older in epochs.iter().rev().filter(|&&older| older < epoch) {
        let Some(file) = open_segment(directory, older)? else { continue };
        if let Some(header) = Header::read(&start(&file, older)?, 0, Salt::NONE) {
            return Ok(choose(header.flags));
        }
    }
    Ok(salt)
}

/// Refuses a segment that a newer version of the store wrote: it is whole, and nobody should mend it.
pub(crate) fn refuse_newer_form(start: &Record) -> Result<(), StoreError> {
    if !start.header.is_of_newer_version() {
        return Ok(());
    }
    let name = segment_name(start.header.epoch);
    Err(StoreError::Unavailable(format!(
        "{name} was written by a newer version, which this one cannot read; use the newer one"
    )))
}

/// Returns the list in a segment's first record.
pub(crate) fn list_of(start: &Record) -> Option<List> {
    let epoch = start.header.epoch;
    match start.header.flags {
        flags if flags & FLAG_SNAPSHOT != 0 => Some(List::default()),
        flags if flags & FLAG_SALT != 0 => List::from_bytes(start.index.get(SALT_BYTES..)?, epoch),
        flags if flags & FLAG_LIST != 0 => List::from_second_form(&start.index, epoch),
        _ => List::from_first_form(&start.index, epoch),
    }
}

/// Opens the file of a segment; `None` if it is not there.
pub(crate) fn open_segment<D: Directory>(directory: &D, epoch: u64) -> Result<Option<D::File>, StoreError> {
    let name = segment_name(epoch);
    match directory.open(&name) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind == IoKind::NotFound => Ok(None),
        Err(error) => Err(error.at(&name)),
    }
}

/// Returns the error for a segment that is not whole where it must be.
pub(crate) fn damaged(epoch: u64, at: u64) -> StoreError {
    StoreError::Corrupt(format!("{} is damaged at byte {at}", segment_name(epoch)))
}

/// Returns up to where the records of a part are whole, values included.
pub(crate) fn whole_to_with_values<F: File>(
    file: &F,
    epoch: u64,
    from: u64,
    to: u64,
    salt: Salt,
) -> Result<u64, StoreError> {
    let mut records = Records::new(file, epoch, from, to, Some(salt));
    loop {
        let valid_to = records.offset();
        match records.next()? {
            Some(record) if record.values(file)?.is_some() => {}
            _ => return Ok(valid_to),
        }
    }
}

/// Searches for records and notes behind the valid part, up to `size`, and returns the furthest
/// offset that one of them declares durable.
fn durable_further_on<F: File>(
    file: &F,
    epoch: u64,
    from: u64,
    size: u64,
    salt: Salt,
) -> Result<Option<u64>, StoreError> {
    let name = segment_name(epoch);
    let mut furthest = None;
    let mut offset = from;
    while offset < size {
        // Bytes added after the size was read belong to a writer that goes on.
        let length = (size - offset).min((WINDOW_BYTES + HEADER_BYTES - 1) as u64) as usize;
        let bytes = file.read(offset, length);
        let bytes = bytes.map_err(|error| error.at(&name))?;
        for (at, part) in bytes.windows(HEADER_BYTES).enumerate() {
            if let Some(header) = Header::read(part, offset + at as u64, salt)
                && header.epoch == epoch
            {
                furthest = furthest.max(Some(header.synced_to));
            }
        }
        offset += WINDOW_BYTES as u64;
    }
    Ok(furthest)
}
