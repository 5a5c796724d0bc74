//! Takes a volume over, to become its only writer, or makes it.

use super::checks::{Heads, check_new, check_same_name, decode_usable};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::store::{Durability, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::image::Image;
use crate::stored::key::KeySpace;
use crate::stored::record::inode::{Content, Inode};
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::Superblock;
use crate::types::{Clock, InodeNo, Kind, Timestamp};
use crate::volume::room::{check_fit, fitting_sizes};
use xxhash_rust::xxh64::xxh64;

/// Attempts to open against others that open at the same time.
pub(super) const OPEN_ATTEMPTS: u32 = 16;

/// Becomes the only writer: raises the epoch of the volume, or makes one.
pub(super) fn take_over(
    store: &mut dyn KvStore,
    clock: &mut dyn Clock,
    keys: &KeySpace,
    options: &Options,
    limits: &Limits,
    mut image: Option<&mut Image>,
) -> Result<(Superblock, Vec<u8>, SettingsRecord)> {
    if let Some(image) = &image {
        check_same_name(image, &options.volume)?;
    }
    let key = keys.superblock().to_vec();
    for attempt in 0..OPEN_ATTEMPTS {
        let heads = Heads::read(store, keys)?;
        let found = &heads.superblock;
        let (mut superblock, root) = match found {
            Some(value) => {
                let mut superblock = decode_usable(&key, value, image.as_deref().map(Image::id))?;
                // An opener that cannot use the volume must not take it from its writer.
                check_fit(&superblock, limits)?;
                superblock.take_over();
                (superblock, None)
            }
            None => {
                check_new(store, keys)?;
                let now = clock.now();
                let uuid = make_uuid(options, now);
                if let Some(image) = &mut image {
                    let superblock = image.superblock()?.above(image.id().clone(), uuid);
                    check_fit(&superblock, limits)?;
                    (superblock, None)
                } else {
                    let (extent_bytes, inline_bytes) = fitting_sizes(options, limits);
                    let superblock = Superblock::new(uuid, extent_bytes, inline_bytes);
                    let root = Inode::new(Kind::Directory, InodeNo::ROOT, now, Content::None);
                    let (mut key, mut value) = (Vec::new(), Vec::new());
                    keys.inode(InodeNo::ROOT, &mut key);
                    root.encode(&key, &mut value);
                    (superblock, Some((key, value)))
                }
            }
        };
        let settings = match heads.settings(keys, &superblock) {
            Ok(settings) => settings,
            // A store may answer with halves of before and after a change.
            Err(Error::Damaged(_)) if attempt == 0 => continue,
            Err(error) => return Err(error),
        };
        if let Some(quota) = options.quota {
            superblock.set_quota(quota);
        }
        let value = superblock.encode(&key);
        let mut mutations = vec![Mutation::Put { key: &key, value: &value }];
        if let Some((key, value)) = &root {
            mutations.push(Mutation::Put { key, value });
        }
        let guard = Guard { key: &key, expected: found.as_deref() };
        match store.apply(&[guard], &mutations, Durability::Buffered) {
            Ok(()) => return Ok((superblock, value, settings)),
            // Another opener was faster, or this one succeeded without knowing it: look again.
            Err(StoreError::Conflict | StoreError::UnknownOutcome) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Store(StoreError::Unavailable("others keep opening the volume".to_owned())))
}

/// Makes a volume's uuid of its name and the time: the engine has no randomness.
pub(crate) fn make_uuid(options: &Options, now: Timestamp) -> [u8; 16] {
    let mut text = options.volume.clone().into_bytes();
    text.extend_from_slice(&now.seconds.to_be_bytes());
    text.extend_from_slice(&now.nanoseconds.to_be_bytes());
    let mut uuid = [0; 16];
    for (half, seed) in uuid.chunks_exact_mut(8).zip([1, 2]) {
        half.copy_from_slice(&xxh64(&text, seed).to_be_bytes());
    }
    uuid
}
