//! Repairs the settings. Nothing that they say is lifted in silence: lost or damaged settings keep
//! the volume from being opened, until somebody sets them again or accepts the loss.

use super::keep::keep_and_remove;
use super::work::Work;
use crate::error::Result;
use crate::fsck::picture::Picture;
use crate::stored::record::settings::SettingsRecord;

pub(super) fn stage(work: &mut Work<'_>, picture: &Picture) -> Result<()> {
    let told = picture.superblock.as_ref().map_or(0, |superblock| superblock.settings);
    let key = work.writer.keys.settings();
    let right = match &picture.settings {
        Some(settings) => settings.generation(),
        None if !work.options.accept_loss => return Ok(()),
        None => SettingsRecord::default().generation(),
    };
    if picture.has_settings && picture.settings.is_none() {
        // Together with the superblock below, so that a cut leaves either.
        set_generation(work, right);
        return keep_and_remove(work, key, "the settings, whose limits and policies count no more,", None);
    }
    if told == right {
        return Ok(());
    }
    set_generation(work, right);
    work.writer.put_superblock()?;
    let what = match right {
        0 => "the lost settings are given up: their limits and policies count no more",
        _ => "the superblock tells of the settings",
    };
    work.note(key, what);
    Ok(())
}

fn set_generation(work: &mut Work<'_>, generation: u8) {
    if let Some(superblock) = &mut work.writer.superblock {
        superblock.set_settings(generation);
    }
}
