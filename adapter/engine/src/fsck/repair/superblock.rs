//! Becomes the volume's writer, and makes a superblock if none can be read.

use super::keep::kept_record;
use super::work::{Below, Work};
use crate::error::Result;
use crate::fsck::picture::Picture;
use crate::opening::checks::check_usable;
use crate::opening::take_over::make_uuid;
use crate::options::Options;
use crate::stored::record::FRAME_BYTES;
use crate::stored::record::inode::Content;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::{MAX_EXTENT_BYTES, MIN_EXTENT_BYTES, Superblock};
use crate::types::InodeNo;
use crate::volume::room::{check_fit, fitting_sizes};

/// The place of the extent size in a superblock's value.
const EXTENT_BYTES_AT: usize = FRAME_BYTES + 40;

/// Returns whether the volume can be repaired: not if its extent size is lost.
pub(super) fn take_over(
    work: &mut Work<'_>,
    picture: &Picture,
    volume: &str,
    below: Option<&Below>,
) -> Result<bool> {
    let found = picture.superblock_value.as_deref();
    if let Some(settings) = &picture.settings {
        settings.check_known(true)?;
    }
    if let Some(superblock) = &picture.superblock {
        check_usable(superblock, below.map(|below| &below.id))?;
        check_fit(superblock, work.writer.limits())?;
        let mut superblock = superblock.clone();
        superblock.epoch = superblock.epoch.saturating_add(1);
        let hides = picture.written && superblock.is_as_its_image();
        if hides {
            superblock.set_written();
        }
        work.writer.extent_bytes = u64::from(superblock.extent_bytes);
        work.writer.take_over(found, superblock, Vec::new())?;
        if hides {
            let key = work.writer.keys.superblock().to_vec();
            work.note(key, "it now says that something was written above the image");
        }
        work.writer.start_numbers_above(picture);
        return Ok(true);
    }
    let defaults = Options { volume: volume.to_owned(), ..Options::default() };
    let usual = fitting_sizes(&defaults, work.writer.limits());
    let known = below.map(|below| below.superblock.extent_bytes);
    let Some(extent_bytes) = known.or_else(|| extent_bytes(picture, found, usual.0)) else {
        return Ok(false);
    };
    let inline = |inode: &crate::stored::record::inode::Inode| matches!(inode.content, Content::Inline(_));
    let longest = picture.inodes.values().filter(|inode| inline(inode)).map(|inode| inode.size).max();
    let inline_bytes = u32::try_from(longest.unwrap_or(0)).unwrap_or(extent_bytes);
    let inline_bytes = inline_bytes.max(usual.1).min(extent_bytes);
    let uuid = make_uuid(volume.as_bytes(), work.writer.clock.now());
    let mut superblock = match below {
        Some(below) => below.superblock.above(below.id.clone(), uuid),
        None => Superblock::new(uuid, extent_bytes, inline_bytes),
    };
    if picture.written {
        superblock.set_written();
    }
    if picture.has_settings {
        // If they are damaged, it tells of them all the same: they must not be lifted in silence.
        superblock.set_settings(picture.settings.as_ref().map_or(1, SettingsRecord::generation));
    }
    superblock.next_inode = picture.highest_record().saturating_add(1).max(superblock.next_inode);
    check_fit(&superblock, work.writer.limits())?;
    // The lost superblock announced the journal.
    superblock.set_journal(picture.has_journal);
    work.writer.extent_bytes = u64::from(extent_bytes);
    work.writer.superblock = Some(superblock.clone());
    work.writer.start_numbers_above(picture);
    let key = work.writer.keys.superblock().to_vec();
    let (mut others, mut kept) = (Vec::new(), String::new());
    if let Some(value) = found {
        let (ino, records) = kept_record(work, &key, value)?;
        if work.writer.fits_one_apply(&records) {
            (others, kept) = (records, format!("; the damaged one is kept as inode {}", ino.0));
            superblock.next_inode = ino.0 + 1;
        }
    }
    work.writer.take_over(found, superblock, others)?;
    let unless = if picture.settings.is_some() { ", except for what the settings say" } else { "" };
    work.note(
        key,
        format!("made anew with extents of {extent_bytes} bytes; quotas are lost{unless}, and the uuid is new{kept}"),
    );
    Ok(true)
}

/// Finds the extent size with which all files have as many extents as their inodes count; `usual`
/// if nothing depends on it.
fn extent_bytes(picture: &Picture, damaged: Option<&[u8]>, usual: u32) -> Option<u32> {
    let sizes = (MIN_EXTENT_BYTES.ilog2()..=MAX_EXTENT_BYTES.ilog2()).map(|bits| 1u32 << bits);
    let long_enough = |size: &u32| *size as usize >= picture.longest_extent_bytes;
    let fitting: Vec<u32> = sizes.filter(long_enough).filter(|size| counts_agree(picture, *size)).collect();
    // The damage may have spared it.
    let said = damaged
        .and_then(|value| value.get(EXTENT_BYTES_AT..)?.first_chunk::<4>())
        .map(|bytes| u32::from_be_bytes(*bytes))
        .filter(|size| size.is_power_of_two() && (MIN_EXTENT_BYTES..=MAX_EXTENT_BYTES).contains(size))
        .filter(long_enough);
    match fitting.as_slice() {
        _ if said.is_some_and(|said| fitting.is_empty() || fitting.contains(&said)) => said,
        [only] => Some(*only),
        [] => None,
        // With first extents alone, every size fits.
        [first, ..] if picture.extents.values().all(|indices| indices.iter().all(|index| *index == 0)) => {
            Some(if fitting.contains(&usual) { usual } else { *first })
        }
        _ => None,
    }
}

fn counts_agree(picture: &Picture, extent_bytes: u32) -> bool {
    let none = Vec::new();
    picture.inodes.iter().filter(|(_, inode)| matches!(inode.content, Content::Extents)).all(
        |(ino, inode)| {
            let ino: &InodeNo = ino;
            let end = inode.extents_end(u64::from(extent_bytes));
            let indices = picture.extents.get(ino).unwrap_or(&none);
            indices.iter().filter(|index| **index < end).count() as u64 == inode.extents
        },
    )
}
