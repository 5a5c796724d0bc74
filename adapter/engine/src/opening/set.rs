//! Shows and sets the settings of a volume without opening it: for hosts and tools.

use super::checks::{Heads, check_new, check_volume_name};
use crate::attempts::{beside_others, busy};
use crate::error::{Error, Result};
use crate::quota::{Quota, Settings, Used};
use crate::store::{Durability, Guard, KvStore, Limits, Mutation, StoreError};
use crate::stored::key::KeySpace;
use crate::stored::record::settings::SettingsRecord;
use crate::stored::record::superblock::Superblock;
use crate::volume::room::check_settings_fit;

/// Returns the settings of a volume of a store, and what the volume uses. Changes nothing. A volume
/// above an image needs no image for this.
///
/// # Errors
/// [`Error::NoEntry`] if there is no such volume, [`Error::Invalid`] for a name that no volume can
/// have, [`Error::Damaged`] for settings that cannot be read, [`Error::Format`] for a volume of a
/// newer version or an image, and the store's.
///
/// # Cost
/// One `get`.
pub fn settings(store: &mut dyn KvStore, volume: &str) -> Result<(Settings, Used)> {
    check_volume_name(volume)?;
    let keys = KeySpace::new(volume);
    let heads = Heads::read(store, &keys)?;
    let superblock = superblock_of(store, &heads, &keys)?;
    let record = heads.settings(&keys, &superblock)?;
    Ok((public(&superblock, &record), superblock.used()))
}

/// Changes the settings of a volume of a store. `change` gets the stored ones, or the reason why
/// they cannot be read ([`Error::Damaged`]); what it returns replaces them, or fails.
///
/// This takes the volume over, as opening it does: a program that has it open can store nothing any
/// more, so that nobody goes on by the former settings. A volume above an image needs no image.
///
/// `change` is called again if others open the volume meanwhile. It must not use the store: others may be
/// waiting for it.
///
/// # Durability
/// Durable when it returns.
///
/// # Errors
/// As [`settings`], except for damaged settings; [`Error::StoreLimits`] for settings that do not
/// fit the store; [`Error::Format`] for a limit of names on a volume of a format that counts none
/// (the next program that opens it counts them); those of `change`. Nothing has changed then.
///
/// # Cost
/// `get-limits`, one `get` and one `apply`.
pub fn set_settings(
    store: &mut dyn KvStore,
    volume: &str,
    change: &mut dyn FnMut(Result<Settings>) -> Result<Settings>,
) -> Result<()> {
    check_volume_name(volume)?;
    let keys = KeySpace::new(volume);
    let limits = store.limits()?;
    let set =
        beside_others(store, &mut |store, attempts| try_to_set(store, &keys, &limits, change, attempts))?;
    set.ok_or_else(busy)
}

/// Changes the settings in so many attempts; `None` if others were always faster.
fn try_to_set(
    store: &mut dyn KvStore,
    keys: &KeySpace,
    limits: &Limits,
    change: &mut dyn FnMut(Result<Settings>) -> Result<Settings>,
    attempts: u32,
) -> Result<Option<()>> {
    for attempt in 0..attempts {
        let heads = Heads::read(store, keys)?;
        let found = superblock_of(store, &heads, keys)?;
        let record = match heads.settings(keys, &found) {
            // A store may answer with halves of before and after a change.
            Err(Error::Damaged(_)) if attempt == 0 => continue,
            Err(error @ Error::Damaged(_)) => Err(error),
            record => Ok(record?),
        };
        let before = record.clone().unwrap_or_default();
        let settings = change(record.map(|record| public(&found, &record)))?;
        if settings.quota.names.is_some() && !found.counts_names() {
            return Err(Error::Format("it counts no names yet; open it once for writing, as a guest does"));
        }
        let mut superblock = found.clone();
        superblock.take_over();
        superblock.set_quota(settings.quota);
        let mut record = before.with(&settings);
        record.follow(found.settings);
        superblock.set_settings(record.generation());
        check_settings_fit(&record, &superblock, keys, limits)?;
        let (key, value) = record.stored(keys);
        let superblock_value = superblock.encode(keys.superblock());
        let guard = Guard { key: keys.superblock(), expected: heads.superblock.as_deref() };
        let mutations = [
            match &value {
                Some(value) => Mutation::Put { key: &key, value },
                None => Mutation::Delete { key: &key },
            },
            Mutation::Put { key: keys.superblock(), value: &superblock_value },
        ];
        match store.apply(&[guard], &mutations, Durability::Durable) {
            Ok(()) => return Ok(Some(())),
            // The writer or an opener was faster, or the settings are stored without knowing it: look again.
            Err(StoreError::Conflict | StoreError::UnknownOutcome) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn superblock_of(store: &mut dyn KvStore, heads: &Heads, keys: &KeySpace) -> Result<Superblock> {
    let Some(value) = heads.superblock.as_deref() else {
        return check_new(store, keys).and(Err(Error::NoEntry));
    };
    let superblock = Superblock::decode(keys.superblock(), value)?;
    if superblock.frozen {
        return Err(Error::Format("it is frozen: an image that others lie on has no settings"));
    }
    Ok(superblock)
}

fn public(superblock: &Superblock, record: &SettingsRecord) -> Settings {
    let quota = Quota { file_bytes: record.max_file_bytes(), ..superblock.quota() };
    Settings { quota, scrubbing: record.scrubbing() }
}
