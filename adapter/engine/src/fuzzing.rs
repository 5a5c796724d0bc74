//! For fuzz targets: forges records with right checksums, and decodes single ones. Not part of the
//! interface.

use crate::error::{Error, Result};
use crate::stored::key::{KeySpace, tag};
use crate::stored::record::dentry::is_storable_name;
use crate::stored::record::inode::Inode;
use crate::stored::record::journal;
use crate::stored::record::layer::LayerHeader;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::{MAX_INLINE_BYTES, Superblock};
use crate::stored::record::{FRAME_BYTES, RecordId, begin, dentry, reap, seal, unseal};
use crate::types::{ExtentIndex, InodeNo};

/// Returns `body` as a value of `key`, in a correct frame.
pub fn framed(key: &[u8], tag: u8, body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(FRAME_BYTES + body.len());
    begin(&mut value);
    value.extend_from_slice(body);
    seal(key, tag, &mut value);
    value
}

/// Decodes a record and encodes it again, key and value. The key's tag chooses the decoder, so
/// every decoder of stored bytes can be reached.
///
/// Decoded bytes must come out as they went in. Otherwise two values have one meaning, or something
/// is lost.
///
/// # Errors
/// [`Error::Damaged`] for a key or a value that is no record, [`Error::Format`] for a superblock or
/// settings of another format.
pub fn recode(volume: &str, key: &[u8], value: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    let no_record = Error::damaged("key", 0, "of no known form");
    let keys = KeySpace::new(volume);
    let Some((tag, rest)) = keys.split(key) else { return Err(no_record) };
    // For a part of a journal it is the index.
    let ino = InodeNo(rest.first_chunk::<8>().map_or(0, |ino| u64::from_be_bytes(*ino)));
    if !matches!(tag, tag::SUPERBLOCK | tag::SETTINGS | tag::JOURNAL | tag::LAYER)
        && [0, u64::MAX].contains(&ino.0)
    {
        return Err(no_record); // Numbers of no inode.
    }
    let (mut again_key, mut again) = (Vec::new(), Vec::new());
    match (tag, rest.len()) {
        (tag::SUPERBLOCK, 0) => {
            again_key.extend_from_slice(keys.superblock());
            again = Superblock::decode(key, value)?.encode(key);
        }
        (tag::SETTINGS, 0) => {
            again_key = keys.settings();
            let settings = SettingsRecord::decode(key, value)?;
            settings.check_known(false)?;
            again = settings.encode(key);
        }
        (tag::LAYER, 0) => {
            again_key = keys.own_layer().header();
            again = LayerHeader::decode(key, value)?.encode(key);
        }
        (tag::INODE, 8) => {
            keys.inode(ino, &mut again_key);
            Inode::decode(key, ino, MAX_INLINE_BYTES, value)?.encode(key, &mut again);
        }
        (tag::DENTRY, 9..) => {
            let name = keys.dentry_name(ino, key).filter(|name| is_storable_name(name)).ok_or(no_record)?;
            keys.dentry(ino, name, &mut again_key);
            dentry::encode(dentry::decode(key, ino, value)?, key, &mut again);
        }
        (tag::EXTENT, 16) => {
            let index = keys.extent_index(ino, key).ok_or(no_record)?;
            keys.extent(ino, ExtentIndex(index), &mut again_key);
            let id = RecordId { tag, name: "extent", ino: ino.0 };
            again = framed(key, tag, unseal(key, id, value)?);
        }
        (tag::REAP, 8) => {
            keys.reap(ino, &mut again_key);
            reap::encode(reap::decode(key, ino, value)?, key, &mut again);
        }
        (tag::ORPHAN, 8) => {
            keys.orphan(ino, &mut again_key);
            reap::decode_orphan(key, ino, value)?;
            reap::encode_orphan(key, &mut again);
        }
        (tag::JOURNAL, 0) => {
            keys.journal_commit(&mut again_key);
            let commit = journal::decode_commit(key, value)?;
            // With parts, these bytes need not start with a change: any result will do.
            let _ = journal::decode_changes(&keys, commit.rest);
            journal::encode_commit(&commit, key, &mut again);
        }
        (tag::JOURNAL, 8) => {
            keys.journal_part(ino.0, &mut again_key);
            journal::encode_part(journal::decode_part(key, value)?, key, &mut again);
        }
        _ => return Err(no_record),
    }
    Ok((again_key, again))
}

/// Returns records, in the order of their keys, as an image, whatever they hold. A valid superblock
/// becomes one of an image.
pub fn image_of(volume: &str, records: &[(Vec<u8>, Vec<u8>)]) -> Option<Vec<u8>> {
    let keys = KeySpace::new(volume);
    let inner = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let mut value = value.clone();
        if let Ok(mut superblock) = Superblock::decode(key, &value)
            && key == keys.superblock()
        {
            superblock.freeze(superblock.used_bytes);
            value = superblock.encode(key);
        }
        Some((keys.inner(key)?.to_vec(), value))
    };
    let records: Vec<_> = records.iter().filter_map(inner).collect();
    crate::stored::image::lay_out(&records, volume, "hostile", [7; 16]).ok()
}

/// Corrects the checksums of an image's header and blocks, but not those of its records.
pub fn reseal_image(bytes: &mut [u8]) {
    crate::stored::image::reseal(bytes);
}
